//! Options of a compilation.

use crate::target::Target;
use crate::vocabulary::Vocabulary;
use crate::weight_type::WeightType;
use std::path::PathBuf;
use tealight_format::ops::BlockType;

/// Which memory plans may run operators in groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch {
    /// None of them.
    #[default]
    Off,
    /// The plan with the smallest arena.
    Auto,
    /// The cheapest of the plans whose arena has at most this many bytes; if there is none, as [`Auto`](Self::Auto).
    Arena(u32),
}

/// The value of an input that becomes a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct InputValue {
    /// Its shape; `None` for a list of numbers, which takes the shape that the input has in the file.
    pub shape: Option<Vec<u32>>,
    /// Its elements, in row-major order. They must fit the input's type.
    pub numbers: Numbers,
}

/// Numbers of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Whole numbers: for an input of any type that holds them.
    Integers(Vec<i64>),
    /// For a floating-point input.
    Floats(Vec<f64>),
}

impl Numbers {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(list) => list.len(),
            Self::Floats(list) => list.len(),
        }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Options of a compilation.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The model's name, kept in the file; `model` if not given.
    pub name: Option<String>,
    /// Names of the classes that the output scores, kept in the file.
    pub labels: Vec<String>,
    /// How the first input is computed from a sensor's data, kept in the file: `tealight_audio::LOG_MEL`, or a
    /// `tealight_sensor` front end as text; `None` if there is no front end.
    pub front_end: Option<String>,
    /// Keep views as values even if nothing reads them. Each source tensor whose bytes exist is then in
    /// [`Compiled::tensors`](crate::Compiled::tensors).
    pub keep_tensor_map: bool,
    /// Keep the source's names of constants, except for characters that a file's header cannot hold. Otherwise they get
    /// short names, without the parts that converters leave in them.
    pub keep_names: bool,
    /// Store the weights of float32 fully connected layers, and of tables that rows are gathered from, in blocks of
    /// this type, where their rows are whole blocks.
    pub quantize: Option<BlockType>,
    /// The tokenizer of a language model, kept in the file.
    pub vocabulary: Option<Vocabulary>,
    /// Store the weights of other float32 layers (convolutions, fully connected and recurrent layers) as f16, where all
    /// of them are in its range.
    pub f16: bool,
    /// Types for the weights of single float32 layers, by name; the last entry that matches a layer counts. A name may
    /// hold `*` (any characters) and `?` (any one); it then selects only those of the matching layers that can have the
    /// type.
    pub layers: Vec<(String, WeightType)>,
    /// The maximum number of bytes that compiling may allocate for the network: constants that are computed beforehand,
    /// tables, and all constants of the file that is written. The default is eight times what the network's own
    /// constants take, and at least 64 MiB; hostile files need more, others rarely. Calibration may use the same amount
    /// again to run the network; its default is at least 512 MiB.
    pub max_memory: Option<u64>,
    /// The folder of an ONNX file, in which the files with its data are. Without it, such files are refused.
    pub folder: Option<PathBuf>,
    /// The signature of a `.tflite` file that is compiled. The names of inputs and outputs are then those of the signature.
    /// A file whose signatures stand for several graphs is refused without it.
    pub signature: Option<String>,
    /// Shapes of inputs, by the file's names and in its order of dimensions: what the file leaves dynamic gets the
    /// length that stands there, and what it fixes must be the same.
    pub input_shapes: Vec<(String, Vec<u32>)>,
    /// Inputs that become constants, by the file's names. The model does not have these inputs.
    pub input_values: Vec<(String, InputValue)>,
    /// Tensors that become the outputs, by the file's names, in place of the outputs that it states. What only other
    /// outputs need is left out.
    pub outputs: Vec<String>,
    /// Whether operators may run in groups, a few rows at a time, which takes less memory and a little more time.
    pub patch: Patch,
    /// Whether the input, an image, comes in rows while the network runs, so that only some of them are in memory. Its first
    /// layers then run in a group, whatever [`patch`](Self::patch) says.
    pub input_rows: bool,
    /// The core for which weights are laid out; the file runs on every other with the same bits.
    pub target: Target,
}
