//! Chat templates: format the messages of a conversation as one text.
//!
//! A template is Jinja, as Hugging Face's tokenizers define it. It comes with the model, perhaps from an untrusted
//! source, so its work is limited: its length, and thereby its nesting depth; the steps of its program; the text that
//! it writes. It is rendered on a thread whose stack is large enough for the deepest nesting of that length.
//!
//! One thing is not limited here: the memory of the values that a program can build in so many steps, by doubling a
//! text again and again. A program that accepts untrusted models should render in a process with a memory limit, as
//! `tealight generate` does; a [`Conversation`] is the complete input of such a process.

use crate::{Message, TextError};
use minijinja::{Environment, ErrorKind, context, value::Value};
use std::io::{self, Write};
use std::thread;

/// The maximum length of a template in bytes. Published ones have up to some 25,000.
const MAX_TEMPLATE: usize = 1 << 16;

/// The maximum number of steps of a template's program. It is lower for a fuzzer, which would otherwise wait for the
/// longest programs.
const FUEL: u64 = if cfg!(fuzzing) { 10_000 } else { 1_000_000 };

/// The maximum number of bytes that a template may write besides its messages.
const MAX_TEXT: usize = 1 << 20;

/// The maximum number of times that a template may write each message.
const MAX_COPIES: usize = 16;

/// The size of the stack in bytes. A level of nesting takes at least one byte of the template (`-x`, `(x)`), and at
/// most this much stack: measured in a build without optimization by the tests of this crate.
const STACK: usize = MAX_TEMPLATE * if cfg!(debug_assertions) { 5 << 10 } else { 2 << 10 };

/// The messages of a conversation, and the template that formats them as one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The template, in Jinja.
    pub template: String,
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// The token that begins a text; empty if there is none.
    pub begin: String,
    /// The token that ends a text; empty if there is none.
    pub end: String,
}

impl Conversation {
    /// Returns the text up to the point where the model's answer begins.
    ///
    /// # Errors
    /// The template is longer than 65,536 bytes, is not valid Jinja, takes too many steps, writes too much, or refuses
    /// these messages.
    pub fn render(&self) -> Result<String, TextError> {
        let failed = |what: String| TextError::Template(what);
        check_length(&self.template)?;
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("chat template".into()).stack_size(STACK);
            let rendering = builder.spawn_scoped(scope, || self.render_here());
            let rendering =
                rendering.map_err(|error| failed(format!("there is not enough memory to render it: {error}")))?;
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
        let content_len: usize = self.messages.iter().map(|message| message.role.len() + message.content.len()).sum();
        let room = MAX_TEXT.saturating_add(content_len.saturating_mul(MAX_COPIES));
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

/// Returns a template in the form in which it is kept. A template that is too long, perhaps as long as the file,
/// becomes an error.
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

/// A text with a limited number of bytes.
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
