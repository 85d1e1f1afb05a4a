//! Text in and out of a Tealight language model.
//!
//! A language model takes numbers, its tokens, and gives a score for each token that may come next. This crate is what lies
//! between that and text, for programs with an operating system: the [`Tokenizer`] that a model file holds, the [`Decoder`]
//! that puts pieces of text together, the [`Sampler`] that chooses the next token. What is in the file is written down in the
//! model format's SPEC.md, section 5.
//!
//! Byte-pair encodings and chat templates are the feature `bpe`, on by default; without it, this crate is small and reads
//! tokenizers of characters only.
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
