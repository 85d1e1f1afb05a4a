//! GGUF files: what they hold, and how a language model in one becomes a graph.
//!
//! Weights stay as they are stored, byte for byte: the blocks of GGML are the model file's blocks too. The tokenizer in the
//! file becomes a [`Vocabulary`](crate::Vocabulary).

mod llama;
mod reader;
mod tokenizer;
mod types;

use crate::diag::{GgufError, Result};
use crate::ir::bytes::Source;
use crate::ir::graph::Graph;
use crate::limit::Limit;
use crate::vocabulary::Vocabulary;
use reader::Gguf;

/// Architectures that can be compiled.
const ARCHITECTURES: &str = "`llama`";

/// What the import of a GGUF file is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct GgufOptions {
    /// How many positions (tokens of prompt and answer) the model keeps; at most what it was made for. 1024 if not given, or
    /// what it was made for if that is less. Each costs memory for its keys and values in every layer.
    pub context: Option<u32>,
}

/// Whether `bytes` are a GGUF file, or at least meant to be.
pub fn is_gguf(bytes: &[u8]) -> bool {
    bytes.starts_with(reader::MAGIC)
}

/// Reads the language model in a GGUF file: its graph and its tokenizer.
///
/// # Errors
/// What in the file cannot be compiled and where. No bytes make it panic.
pub(crate) fn import(bytes: &[u8], gguf: &GgufOptions, limit: &Limit) -> Result<(Graph, Vocabulary)> {
    let file = Gguf::parse(bytes)?;
    const ARCHITECTURE: &str = "general.architecture";
    match file.string(ARCHITECTURE)? {
        Some("llama") => {}
        found => {
            let found = found.map_or("missing".to_string(), |found| format!("`{found}`"));
            let accepted = ARCHITECTURES.to_string();
            return Err(GgufError::Unsupported { key: ARCHITECTURE.into(), found, accepted }.into());
        }
    }
    let vocabulary = tokenizer::vocabulary(&file)?;
    let graph = llama::import(&file, Source::new(bytes), vocabulary.count(), gguf, limit)?;
    Ok((graph, vocabulary))
}
