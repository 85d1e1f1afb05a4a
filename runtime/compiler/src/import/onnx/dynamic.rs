//! What stands for codes of dynamic quantization while a network is read.

use crate::ir::graph::{Bytes, TensorId};
use std::collections::HashMap;

/// What a DynamicQuantizeLinear quantizes, and what depends on it.
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    /// Activations that stand for their codes, and products of them: those that still are to be multiplied by the scale
    /// of this number.
    pub(super) unscaled: HashMap<TensorId, usize>,
    /// Constants that stand for the scale of this number, or a multiple of it, or for its zero point; by the identity of
    /// their bytes, which are therefore held.
    pub(super) scales: HashMap<usize, (Bytes, usize)>,
    /// How many there are.
    pub(super) count: usize,
    /// The layers with 8-bit weights that became float32.
    pub(super) layers: usize,
}
