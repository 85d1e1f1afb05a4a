//! Networks that are defined and trained with Candle, and the path from Candle to a Tealight model file.
//!
//! # Bring a Candle model of your own
//!
//! A model is a struct with `load(vb)` and `forward`, as in candle-nn, with two differences. Layers come from
//! [`layers`] instead of candle-nn (same names, same arguments, candle-nn's layers inside), and `forward` is generic
//! over [`Array`](array::Array) instead of taking a tensor, because Candle does not record how a tensor was computed.
//! On a Candle tensor it computes; on a [`Traced`](trace::Traced) value it records the network.
//!
//! ```
//! use candle_core::{DType, Device, Result, Tensor};
//! use candle_nn::VarBuilder;
//! use tealight_compiler::{Options, quantize::{Quantize, compile_float}};
//! use tealight_models::array::Array;
//! use tealight_models::layers::{Linear, linear};
//! use tealight_models::random::VarInit;
//! use tealight_models::{trace, weights};
//!
//! struct Net { fc1: Linear, fc2: Linear }
//!
//! impl Net {
//!     fn load(vb: VarBuilder) -> Result<Self> {
//!         Ok(Self { fc1: linear(4, 8, vb.pp("fc1"))?, fc2: linear(8, 2, vb.pp("fc2"))? })
//!     }
//!
//!     fn forward<A: Array>(&self, x: &A) -> Result<A> {
//!         self.fc2.forward(&self.fc1.forward(x)?.relu()?)?.softmax()
//!     }
//! }
//!
//! // Train as ever: the variables are candle-nn's. (These are untrained.)
//! let init = VarInit::new(1);
//! Net::load(VarBuilder::from_backend(Box::new(init.clone()), DType::F32, Device::Cpu))?;
//! let checkpoint = weights::save(&init.weights())?; // the bytes of a safetensors file
//!
//! // A checkpoint must hold exactly the weights that the model asks for.
//! let net = weights::load(&checkpoint, Net::load)?;
//! let scores = net.forward(&Tensor::zeros((1, 4), DType::F32, &Device::Cpu)?)?;
//!
//! // Written down, quantized by representative inputs, compiled.
//! let network = trace::trace(&[1, 4], |x| net.forward(x))?;
//! let sample = |i: usize| (0..4).map(|j| ((i * 7 + j * 3) % 11) as f32 - 5.0).collect();
//! let samples: Vec<Vec<f32>> = (0..50).map(sample).collect();
//! let (compiled, report) =
//!     compile_float(&network, &samples, &Quantize::default(), &checkpoint, &Options::default())?;
//! assert!(report.snr_db > 20.0);
//! # let _ = (scores, compiled.bytes);
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! Images are `[N, C, H, W]` in Candle and `[N, H, W, C]` in the compiled file; [`layout`] reorders the weights.
//! Samples for the compiler, and inputs of the compiled model, are in the file's order: [`layout::elements`] reorders
//! them.
//!
//! A network that reads a sequence, as language models do, also takes layers from [`sequence`]. On Candle's tensors,
//! its `forward` sees the whole sequence; [`trace::trace_step`] records the step that reads the next position, with the
//! keys and values of attention as state. `models/charlm` is an example.
//!
//! # The models
//!
//! Each has a folder with its definition, training, card (`README.md`), float weights, compiled file and golden
//! vectors. `cargo xtask train NAME` regenerates the files, `cargo xtask eval` measures the card's figures. A new model
//! is a folder and a line in [`MODELS`].

pub mod array;
pub mod conv1d;
pub mod export;
pub mod layers;
pub mod layout;
pub mod pickle;
pub mod progress;
pub mod random;
pub mod sequence;
pub mod trace;
pub mod trainer;
pub mod weights;
pub mod wheel;

#[path = "../anomaly/mod.rs"]
pub mod anomaly;
#[path = "../balance/mod.rs"]
pub mod balance;
#[path = "../charlm/mod.rs"]
pub mod charlm;
#[path = "../digits/mod.rs"]
pub mod digits;
#[path = "../gesture/mod.rs"]
pub mod gesture;
#[path = "../keyword/mod.rs"]
pub mod keyword;

use anyhow::Result;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use tealight_compiler::graph::Graph;

/// All models.
pub const MODELS: &[&dyn Entry] =
    &[&anomaly::Entry, &balance::Entry, &charlm::Entry, &digits::Entry, &gesture::Entry, &keyword::Entry];

/// A model of this folder.
pub trait Entry: Sync {
    /// Returns its name, which is that of its folder.
    fn name(&self) -> &'static str;

    /// Trains it, unless `keep_weights` is set, and writes its files.
    ///
    /// # Errors
    /// If data is missing, or a file cannot be read or written.
    fn train(&self, paths: &Paths, keep_weights: bool) -> Result<()>;

    /// Returns the network of a checkpoint's float weights, without quantization.
    ///
    /// # Errors
    /// If the checkpoint belongs to another network.
    fn network(&self, checkpoint: &[u8]) -> Result<Graph>;

    /// Measures the files in its folder on held-out data.
    ///
    /// # Errors
    /// As for [`Entry::train`], and if the figures are below the model's requirements.
    fn evaluate(&self, paths: &Paths) -> Result<Figures>;

    /// Returns `count` consecutive held-out inputs in the form that the firmware takes.
    ///
    /// # Errors
    /// As for [`Entry::train`].
    fn inputs(&self, paths: &Paths, count: usize) -> Result<Vec<u8>>;

    /// Quantizes the float weights to each of [`export::TYPES`] and measures the results on held-out data; `folder` is for
    /// their files.
    ///
    /// # Errors
    /// As for [`Entry::train`], and if the model has no such comparison.
    fn types(&self, paths: &Paths, folder: &Path) -> Result<Vec<OfType>> {
        let _ = (paths, folder);
        anyhow::bail!("there is no comparison of types of `{}`", self.name())
    }

    /// Returns the features that the firmware computes from an input before the network; `None` for most models.
    fn features(&self, input: &[u8]) -> Option<Vec<u8>> {
        let _ = input;
        None
    }
}

/// A model quantized to one type of integers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfType {
    /// The type, of [`export::TYPES`].
    pub name: &'static str,
    /// The share of held-out inputs that it classifies right.
    pub accuracy: f64,
    /// The number of these inputs.
    pub samples: usize,
    /// The compiled file.
    pub file: PathBuf,
    /// A file of some held-out inputs, as the model takes them.
    pub inputs: PathBuf,
    /// A file of this machine's outputs for them.
    pub outputs: PathBuf,
}

/// The quality of a model, measured on held-out data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The model.
    pub name: String,
    /// The metric.
    pub metric: String,
    /// The value for the float weights, run by Candle.
    pub float: f64,
    /// The value for the compiled file, run by Tealight.
    pub quantized: f64,
    /// The number of held-out samples.
    pub samples: usize,
    /// The size of the compiled file in bytes.
    pub bytes: u64,
    /// The same for whole recordings: their windows vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<Recordings>,
    /// The same for some of the samples, or for another compiled file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartFigures>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, metric, float, quantized, samples, bytes, recordings, parts } = self;
        write!(f, "{name}: {metric} {float:.4} in float, {quantized:.4} compiled, {samples} samples, {bytes} bytes")?;
        if let Some(Recordings { float, quantized, samples }) = recordings {
            write!(f, "; {float:.4} in float, {quantized:.4} compiled over {samples} recordings")?;
        }
        for PartFigures { name, float, quantized, samples } in parts {
            write!(f, "; {name}: {float:.4} in float, {quantized:.4} compiled, {samples} samples")?;
        }
        Ok(())
    }
}

/// The quality of a model on some of the samples, or of another compiled file of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartFigures {
    /// The name of the part.
    pub name: String,
    /// The value for the float weights.
    pub float: f64,
    /// The value for the compiled file.
    pub quantized: f64,
    /// The number of samples.
    pub samples: usize,
}

/// The quality of a model on whole recordings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recordings {
    /// The value for the float weights.
    pub float: f64,
    /// The value for the compiled file.
    pub quantized: f64,
    /// The number of recordings.
    pub samples: usize,
}

/// The locations of files.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The folder of fetched packages.
    pub cache: PathBuf,
    /// The folder with a folder for each model.
    pub models: PathBuf,
}

impl Paths {
    /// Returns those of the repository.
    pub fn new() -> Self {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf();
        Self { cache: models.join("../target/tealight-cache"), models }
    }

    /// Returns the path of a model's file.
    pub fn file(&self, model: &str, name: &str) -> PathBuf {
        self.models.join(model).join(name)
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}
