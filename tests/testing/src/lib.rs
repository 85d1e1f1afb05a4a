//! What tests and fuzz targets of several crates share. Nothing here is published, and no crate but tests depends on
//! it.
//!
//! | module | what |
//! |---|---|
//! | [`rng`] | the one source of random numbers |
//! | [`build`] | model files, written by hand and independently of the compiler |
//! | [`random`] | nearly valid plans of every operator, chosen by bytes: for property tests and for the fuzzer |
//! | [`exercise`] | what must hold of any model that the parser accepts |
//! | `gguf`, `onnx`, `tflite` | sources of models, written by hand (feature `sources`) |
//! | `gguf_random`, `tflite_random` | nearly valid sources, chosen by bytes (feature `sources`) |
//! | `llama` | a language model as a graph of the compiler (feature `graphs`) |
//!
//! The tests in a crate's `tests` folder may use it although it depends on that crate. Unit tests may only use what has
//! none of its types: they are compiled with the crate, whose types are then others than those here.

#![allow(missing_docs, reason = "fields and functions of builders are named after what they set")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

pub mod build;
pub mod exercise;
#[cfg(feature = "sources")]
pub mod gguf;
#[cfg(feature = "sources")]
pub mod gguf_random;
#[cfg(feature = "graphs")]
pub mod llama;
#[cfg(feature = "sources")]
pub mod onnx;
pub mod random;
pub mod rng;
#[cfg(feature = "sources")]
pub mod tflite;
#[cfg(feature = "sources")]
pub mod tflite_random;
