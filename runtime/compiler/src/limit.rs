//! One limit for what a network may make the compiler hold, compute and write.
//!
//! A small file can name the same bytes many times, or ask for constants that are far larger than itself. What compiling
//! makes of it is therefore counted: bytes that are computed beforehand or read for that, tables, and constants as they will
//! be written. The limit is in proportion to what the network itself holds, so the time and memory of compiling are too.

use crate::diag::{CompileError, Result};
use crate::ir::bytes::Bytes;
use crate::ir::graph::{Content, ElementType, Graph, Tensor};
use crate::options::Options;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// What is allowed in any case, in bytes.
pub(crate) const LEAST: u64 = 64 << 20;

/// What is allowed in any case to run a network in, in bytes: what the command line lets a model take.
const LEAST_TO_RUN: u64 = 512 << 20;

/// What is allowed otherwise, in multiples of the bytes that the network holds.
///
/// Weights of one byte that become float32 take four times their size, and four more if they are then transposed; those in
/// half precision take half of that.
pub(crate) const FACTOR: u64 = 8;

/// The limit of one compilation, and what it has made so far.
#[derive(Debug)]
pub(crate) struct Limit {
    limit: u64,
    made: Cell<u64>,
}

impl Limit {
    /// The limit for a network of which `held` bytes are there.
    pub(crate) fn new(held: u64, options: &Options) -> Self {
        let limit = options.max_memory.unwrap_or(held.saturating_mul(FACTOR).max(LEAST));
        Self { limit, made: Cell::new(0) }
    }

    /// The limit for `graph` as it was read.
    pub(crate) fn of(graph: &Graph, options: &Options) -> Self {
        Self::new(held(graph), options)
    }

    /// The limit for memory to run a network in, of which `held` bytes are there.
    pub(crate) fn to_run_held(held: u64, max_memory: Option<u64>) -> Self {
        let limit = max_memory.unwrap_or(held.saturating_mul(FACTOR).max(LEAST_TO_RUN));
        Self { limit, made: Cell::new(0) }
    }

    /// The limit for memory to run `graph` in.
    pub(crate) fn to_run(graph: &Graph, options: &Options) -> Self {
        Self::to_run_held(held(graph), options.max_memory)
    }

    /// Counts `bytes` that are made, or read to make others, for what `what` names.
    ///
    /// # Errors
    /// They are more than are left. Nothing was made of them yet.
    pub(crate) fn make(&self, bytes: u64, what: impl FnOnce() -> String) -> Result<()> {
        let needed = self.made.get().saturating_add(bytes);
        if needed > self.limit {
            return Err(CompileError::Memory { what: what(), needed, limit: self.limit });
        }
        self.made.set(needed);
        Ok(())
    }

    /// Checks that the constants that nodes read and that states start from are not more than the limit, each counted as
    /// often as it is written: once for each type, shape and quantization.
    ///
    /// # Errors
    /// They are more.
    pub(crate) fn check_constants(&self, graph: &Graph) -> Result<()> {
        let mut seen = HashSet::new();
        let mut needed = 0u64;
        for &id in graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten()) {
            let tensor = &graph.tensors[id];
            let base = &graph.tensors[graph.base(id)];
            let (Content::Constant(bytes) | Content::State(Some(bytes))) = &base.content else { continue };
            if seen.insert(written_as(tensor, bytes)) {
                needed = needed.saturating_add(bytes.len() as u64);
                if needed > self.limit {
                    let what = format!("the constants up to `{}`", tensor.name);
                    return Err(CompileError::Memory { what, needed, limit: self.limit });
                }
            }
        }
        Ok(())
    }
}

/// What tells a constant from others in the file that is written.
fn written_as<'a>(tensor: &'a Tensor, bytes: &Bytes) -> (usize, ElementType, &'a [u32], Option<(u32, i32)>) {
    let quantization = tensor.per_tensor().map(|(scale, zero_point)| (scale.to_bits(), zero_point));
    (bytes.identity(), tensor.dtype, &tensor.shape, quantization)
}

/// Bytes of all constants of `graph`, those that are ranges of one file counted once, as that file.
fn held(graph: &Graph) -> u64 {
    let mut owners = HashMap::new();
    for tensor in graph.tensors.iter().chain(graph.subgraphs.iter().flat_map(|graph| &graph.tensors)) {
        if let Content::Constant(bytes) | Content::State(Some(bytes)) = &tensor.content {
            owners.extend([bytes.owner()]);
        }
    }
    owners.into_values().map(|len| len as u64).fold(0, u64::saturating_add)
}
