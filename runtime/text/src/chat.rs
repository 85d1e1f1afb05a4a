//! Chat templates: one text from the messages of a conversation.
//!
//! A template is Jinja, as Hugging Face's tokenizers define it. It comes with the model, perhaps from a stranger, so its work
//! is bounded: its length, and with that how deep it nests; the steps of its program; the text that it writes. It is
//! rendered on a thread whose stack is made for the deepest nesting of that length.
//!
//! One thing is not bounded here: the values that a program of so many steps can make, by doubling a text again and again.
//! A program that takes models from strangers renders in a process with a memory limit, as `tealight generate` does; a
//! [`Conversation`] is all that such a process needs to be given.

use crate::{Message, TextError};
use minijinja::{Environment, ErrorKind, context, value::Value};
use std::io::{self, Write};
use std::thread;

/// Bytes of the longest template. Published ones have up to some 25,000.
const MAX_TEMPLATE: usize = 1 << 16;

/// Steps of a template's program, at most. A fuzzer, which finds the longest programs, need not wait for them.
const FUEL: u64 = if cfg!(fuzzing) { 10_000 } else { 1_000_000 };

/// Bytes of text that a template may write besides its messages.
const MAX_TEXT: usize = 1 << 20;

/// How often a template may write each message.
const MAX_COPIES: usize = 16;

/// Bytes of the stack. A level of nesting takes one byte of the template at least (`-x`, `(x)`), and no more stack than this
/// for each: measured in a build without optimization by the tests of this crate.
const STACK: usize = MAX_TEMPLATE * if cfg!(debug_assertions) { 5 << 10 } else { 2 << 10 };

/// The messages of a conversation, and the template that makes one text of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The template, in Jinja.
    pub template: String,
    /// What was said, in order.
    pub messages: Vec<Message>,
    /// The token that begins a text, empty if there is none.
    pub begin: String,
    /// The token that ends a text, empty if there is none.
    pub end: String,
}

impl Conversation {
    /// The text up to where the model's answer begins.
    ///
    /// # Errors
    /// The template is longer than 65,536 bytes, is no Jinja, takes too many steps, writes too much, or refuses these
    /// messages.
    pub fn render(&self) -> Result<String, TextError> {
        let failed = |what: String| TextError::Template(what);
        check_length(&self.template)?;
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("chat template".into()).stack_size(STACK);
            let rendering = builder.spawn_scoped(scope, || self.render_here());
            let rendering = rendering.map_err(|error| failed(format!("there is no memory to render it: {error}")))?;
            rendering.join().unwrap_or_else(|_| Err(failed("the library that renders it panicked".into())))
        })
    }

    fn render_here(&self) -> Result<String, TextError> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.add_function("raise_exception", |what: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, what))
        });
        let messages = self.messages.iter().map(|Message { role, content }| context! { role, content });
        let messages: Vec<Value> = messages.collect();
        let said: usize = self.messages.iter().map(|message| message.role.len() + message.content.len()).sum();
        let room = MAX_TEXT.saturating_add(said.saturating_mul(MAX_COPIES));
        let (bos_token, eos_token) = (&self.begin, &self.end);
        let context = context! { messages, add_generation_prompt => true, bos_token, eos_token };
        let mut text = Text { bytes: Vec::new(), room, full: false };
        let rendered = environment
            .template_from_str(&self.template)
            .and_then(|template| template.render_captured_to(context, &mut text).map(drop));
        match rendered {
            _ if text.full => Err(TextError::Template(format!("it writes more than {room} bytes"))),
            Err(error) => Err(TextError::Template(error.to_string())),
            Ok(()) => String::from_utf8(text.bytes).map_err(|error| TextError::Template(error.to_string())),
        }
    }
}

/// A template as it is kept: an error in the place of one that is too long, which may be as long as a file.
pub(crate) fn checked(template: &str) -> Result<String, TextError> {
    check_length(template).map(|()| template.into())
}

fn check_length(template: &str) -> Result<(), TextError> {
    if template.len() > MAX_TEMPLATE {
        let what = format!("it has {} bytes; at most {MAX_TEMPLATE} are read", template.len());
        return Err(TextError::Template(what));
    }
    Ok(())
}

/// A text that takes a limited number of bytes.
struct Text {
    bytes: Vec<u8>,
    room: usize,
    full: bool,
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room - self.bytes.len() {
            self.full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
