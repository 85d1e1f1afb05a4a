//! Options of a compilation.

use crate::vocabulary::Vocabulary;
use crate::weight_type::WeightType;
use tealight_format::ops::BlockType;

/// Options of a compilation.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The model's name, kept in the file; `model` if none.
    pub name: Option<String>,
    /// Names of the classes that the output scores, kept in the file.
    pub labels: Vec<String>,
    /// What computes the input from a sensor's samples, kept in the file (`tealight_audio::LOG_MEL`); nothing if none.
    pub front_end: Option<String>,
    /// Keep views that nothing reads as values, so that each source tensor whose bytes exist is in
    /// [`Compiled::tensors`](crate::Compiled::tensors).
    pub keep_tensor_map: bool,
    /// Constants keep the names that the source gives them, but for characters that a file's header cannot hold; else they
    /// get short ones made from what converters leave behind.
    pub keep_names: bool,
    /// Store the weights of float32 fully connected layers, and tables that rows are gathered from, in blocks of this
    /// type, where their rows are whole blocks.
    pub quantize: Option<BlockType>,
    /// The tokenizer of a language model, kept in the file.
    pub vocabulary: Option<Vocabulary>,
    /// Store the weights of other float32 layers as f16, where all of them are in its range: of convolutions, fully
    /// connected and recurrent layers.
    pub f16: bool,
    /// Types for the weights of single float32 layers, by name; the last that fits a layer counts. A name may hold `*` (any
    /// characters) and `?` (any one); it then names the layers that can have the type.
    pub layers: Vec<(String, WeightType)>,
    /// The most bytes that compiling may make of the network: constants that are computed beforehand, tables, and all
    /// constants of the file that is written. Eight times what the network's own constants take, and at least 64 MiB, if not
    /// given: more is needed by files that were made to do harm, rarely by others. Calibration takes as much again to run the
    /// network in; at least 512 MiB, if not given.
    pub max_memory: Option<u64>,
}
