//! One limit for the bytes that the compiler holds, computes and writes for a network.
//!
//! A small file can refer to the same bytes many times, or ask for constants far larger than itself. Allocations are
//! therefore counted: bytes that are computed beforehand or read for that, tables, and constants in their written form.
//! The limit is proportional to what the network itself holds, and so are the time and memory of compiling.

use crate::diag::{CompileError, Result};
use crate::ir::bytes::Bytes;
use crate::ir::graph::{Content, ElementType, Graph, Tensor};
use crate::options::Options;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// The minimum of the limit, in bytes.
pub(crate) const MIN_LIMIT: u64 = 64 << 20;

/// The minimum of the limit for running a network, in bytes: the default limit of the command line.
const MIN_LIMIT_TO_RUN: u64 = 512 << 20;

/// The limit above the minimum, as a multiple of the bytes that the network holds.
///
/// Weights of one byte that become float32 take four times their size, and four times more if they are then transposed;
/// those in half precision take half of that.
pub(crate) const FACTOR: u64 = 8;

/// The maximum number of steps of all recurrent layers of a network, one for each direction.
pub(crate) const MAX_STEPS: usize = 1024;

/// The limit of one compilation, and the bytes counted so far.
#[derive(Debug)]
pub(crate) struct Limit {
    limit: Cell<u64>,
    /// Whether the user has set it.
    fixed: bool,
    made: Cell<u64>,
}

impl Limit {
    /// Creates the limit for a network that holds `held` bytes.
    pub(crate) fn new(held: u64, options: &Options) -> Self {
        let limit = options.max_memory.unwrap_or(held.saturating_mul(FACTOR).max(MIN_LIMIT));
        Self { limit: Cell::new(limit), fixed: options.max_memory.is_some(), made: Cell::new(0) }
    }

    /// Creates the limit for `graph` as it was read.
    pub(crate) fn of(graph: &Graph, options: &Options) -> Self {
        Self::new(held(graph), options)
    }

    /// Creates the limit for the memory to run a network that holds `held` bytes.
    pub(crate) fn to_run_held(held: u64, max_memory: Option<u64>) -> Self {
        let limit = max_memory.unwrap_or(held.saturating_mul(FACTOR).max(MIN_LIMIT_TO_RUN));
        Self { limit: Cell::new(limit), fixed: max_memory.is_some(), made: Cell::new(0) }
    }

    /// Raises the limit for `bytes` more that the network holds, in a file of data.
    pub(crate) fn hold(&self, bytes: u64) {
        if !self.fixed {
            self.limit.set(self.limit.get().saturating_add(bytes.saturating_mul(FACTOR)));
        }
    }

    /// Creates the limit for the memory to run `graph`.
    pub(crate) fn to_run(graph: &Graph, options: &Options) -> Self {
        Self::to_run_held(held(graph), options.max_memory)
    }

    /// Counts `bytes` that are allocated, or read to compute others; `what` describes them.
    ///
    /// # Errors
    /// They exceed what is left. Nothing has been allocated for them.
    pub(crate) fn make(&self, bytes: u64, what: impl FnOnce() -> String) -> Result<()> {
        let needed = self.made.get().saturating_add(bytes);
        let limit = self.limit.get();
        if needed > limit {
            return Err(CompileError::Memory { what: what(), needed, limit });
        }
        self.made.set(needed);
        Ok(())
    }

    /// Checks that the constants that nodes read and the initial values of state are within the limit, each counted as
    /// often as it is written: once for each type, shape and quantization.
    ///
    /// # Errors
    /// They exceed it.
    pub(crate) fn check_constants(&self, graph: &Graph) -> Result<()> {
        let mut seen = HashSet::new();
        let mut needed = 0u64;
        for &id in graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten()) {
            let tensor = &graph.tensors[id];
            let base = &graph.tensors[graph.base(id)];
            let (Content::Constant(bytes) | Content::State(Some(bytes))) = &base.content else { continue };
            if seen.insert(written_as(tensor, bytes)) {
                needed = needed.saturating_add(bytes.len() as u64);
                if needed > self.limit.get() {
                    let what = format!("the constants up to `{}`", tensor.name);
                    return Err(CompileError::Memory { what, needed, limit: self.limit.get() });
                }
            }
        }
        Ok(())
    }
}

/// Returns the key that distinguishes a constant in the file that is written.
fn written_as<'a>(tensor: &'a Tensor, bytes: &Bytes) -> (usize, ElementType, &'a [u32], Option<(u32, i32)>) {
    let quantization = tensor.per_tensor().map(|q| (q.scale.to_bits(), q.zero_point));
    (bytes.identity(), tensor.dtype, &tensor.shape, quantization)
}

/// Returns the bytes of all constants of `graph`. Constants that are ranges of one file count once, with the size of
/// that file.
fn held(graph: &Graph) -> u64 {
    let mut owners = HashMap::new();
    for tensor in graph.tensors.iter().chain(graph.subgraphs.iter().flat_map(|graph| &graph.tensors)) {
        if let Content::Constant(bytes) | Content::State(Some(bytes)) = &tensor.content {
            owners.extend([bytes.owner()]);
        }
    }
    owners.into_values().map(|len| len as u64).fold(0, u64::saturating_add)
}
