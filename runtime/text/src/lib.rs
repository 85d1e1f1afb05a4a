//! Converts text to the tokens of a Tealight language model, and back.
//!
//! A language model reads numbers, its tokens, and returns a score for each token that may come next. For programs with
//! an operating system, this crate provides the steps between that and text: the [`Tokenizer`] in a model file, the
//! [`Decoder`], which joins pieces of text, and the [`Sampler`], which chooses the next token. Section 5 of the model
//! format's SPEC.md describes what the file contains.
//!
//! The feature `bpe`, on by default, adds byte-pair encodings and chat templates. Without it, this crate is small and
//! only reads tokenizers of characters.
//!
//! ```
//! # use tealight_compiler::{Options, Vocabulary, builder::{Builder, compile_kernel_graph}, graph::ElementType};
//! # use tealight_format::{Model, Operator, ops};
//! # let mut b = Builder::new();
//! # let x = b.input("x", ElementType::F32, &[1]);
//! # let neg = ops::UnaryF32 { function: ops::UnaryFunction::Neg };
//! # let y = b.op("y", Operator::UnaryF32(neg), [x], ElementType::F32, &[1]);
//! # b.output(y);
//! # let vocabulary = Some(Vocabulary::Chars("helo ".chars().collect()));
//! # let options = Options { vocabulary, ..Options::default() };
//! # let file = compile_kernel_graph(b.finish(), b"", &options)?.bytes;
//! use tealight_text::{Decoder, Tokenizer};
//!
//! // A model whose tokens are the characters of "helo ".
//! let tokenizer = Tokenizer::read(&Model::parse(&file)?)?;
//! let tokens = tokenizer.encode("hello")?;
//! assert_eq!(tokens, [0, 1, 2, 2, 3]);
//!
//! let mut decoder = Decoder::default();
//! let text: String = tokens.iter().map(|&token| decoder.push(tokenizer.bytes(token))).collect();
//! assert_eq!(text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "bpe")]
mod bpe;
#[cfg(feature = "bpe")]
mod chat;
mod decoder;
mod error;
mod parts;
mod sampler;
mod tokenizer;
pub mod vocabulary;

#[cfg(feature = "bpe")]
pub use chat::Conversation;
pub use decoder::Decoder;
pub use error::TextError;
pub use sampler::{Sampler, Sampling};
pub use tokenizer::{Message, Tokenizer};
