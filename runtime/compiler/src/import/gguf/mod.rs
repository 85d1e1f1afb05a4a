//! GGUF files: what they contain, and how the language model in one becomes a graph.
//!
//! Weights keep their bytes: GGML's blocks are also the model file's blocks. The tokenizer in the file becomes a
//! [`Vocabulary`](crate::Vocabulary).

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

/// Options of the import of a GGUF file.
#[derive(Debug, Clone, Copy, Default)]
pub struct GgufOptions {
    /// How many positions (tokens of prompt and answer) the model keeps, at most as many as it was trained for. If not
    /// given: 1024, or what it was trained for if that is less. Each position takes memory for its keys and values in
    /// every layer.
    pub context: Option<u32>,
    /// How many tokens of a prompt the model can read at a time: the file then has a second plan that does. With 1 it
    /// does not. If not given: 16, or the number of positions if that is less. It takes memory for the activations of
    /// so many tokens.
    pub batch: Option<u32>,
}

/// The language model in a GGUF file.
pub(crate) struct Imported {
    /// What takes one token and returns the scores of the next.
    pub(crate) graph: Graph,
    /// What takes several tokens and only stores them in the same state.
    pub(crate) batch: Option<Graph>,
    pub(crate) vocabulary: Vocabulary,
}

/// Returns whether `bytes` begin like a GGUF file.
pub fn is_gguf(bytes: &[u8]) -> bool {
    bytes.starts_with(reader::MAGIC)
}

/// Reads the language model in a GGUF file: its graphs and its tokenizer.
///
/// # Errors
/// What in the file cannot be compiled and where. No bytes make it panic.
pub(crate) fn import(bytes: &[u8], gguf: &GgufOptions, limit: &Limit) -> Result<Imported> {
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
    let (graph, batch) = llama::import(&file, Source::new(bytes), vocabulary.count(), gguf, limit)?;
    Ok(Imported { graph, batch, vocabulary })
}
