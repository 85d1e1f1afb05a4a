//! Chat templates: one text from the messages of a conversation.
//!
//! A template is Jinja, as Hugging Face's tokenizers define it. It comes with the model, so its work is bounded.

use crate::{Message, TextError};
use minijinja::{Environment, ErrorKind, context, value::Value};

/// Steps of a template's program, at most.
const FUEL: u64 = 1_000_000;

/// The text of `messages`, up to where the answer begins. `begin` and `end` are the tokens that begin and end a text.
pub(crate) fn render(template: &str, messages: &[Message], begin: &str, end: &str) -> Result<String, TextError> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.add_function("raise_exception", |what: String| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, what))
    });
    let messages: Vec<Value> = messages.iter().map(|Message { role, content }| context! { role, content }).collect();
    let context = context! { messages, add_generation_prompt => true, bos_token => begin, eos_token => end };
    environment.render_str(template, context).map_err(|error| TextError::Template(error.to_string()))
}
