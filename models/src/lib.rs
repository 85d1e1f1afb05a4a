//! Networks that are defined and trained with Candle here, and the way from Candle to a Tealight model file.
//!
//! # Bring a Candle model of your own
//!
//! A model is a struct with `load(vb)` and `forward`, as in candle-nn; two things differ. Layers come from [`layers`]
//! instead of candle-nn (same names, same arguments, candle-nn's layers inside), and `forward` is generic over
//! [`Array`](array::Array) instead of taking a tensor, because Candle does not tell afterwards how a tensor was made.
//! On a Candle tensor it computes; on a [`Traced`](trace::Traced) value it writes down the network.
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
//! Pictures are `[N, C, H, W]` in Candle and `[N, H, W, C]` in the compiled file; [`layout`] moves the weights. Samples
//! for the compiler, and inputs of the compiled model, are in the file's order: [`layout::elements`] puts them so.
//!
//! A network that reads a sequence, as language models do, takes its layers from [`sequence`] too. Its `forward` sees
//! the whole sequence on Candle's tensors; [`trace::trace_step`] writes down the step that reads the next position,
//! with the keys and values of attention as state. `models/charlm` is an example.
//!
//! # The models
//!
//! Each has a folder with its definition, training, card (`README.md`), float weights, compiled file and golden
//! vectors. `cargo xtask train NAME` makes the files again, `cargo xtask eval` measures the card's figures. A new model
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

/// Every model.
pub const MODELS: &[&dyn Entry] = &[&anomaly::Entry, &charlm::Entry, &digits::Entry, &gesture::Entry, &keyword::Entry];

/// A model of this folder.
pub trait Entry: Sync {
    /// Its name, which is its folder's.
    fn name(&self) -> &'static str;

    /// Trains it, unless the weights in its folder are to be kept, and writes its files.
    ///
    /// # Errors
    /// If data is missing, or a file cannot be read or written.
    fn train(&self, paths: &Paths, keep_weights: bool) -> Result<()>;

    /// What the float weights of a checkpoint compute, without quantization.
    ///
    /// # Errors
    /// If the checkpoint is of another network.
    fn network(&self, checkpoint: &[u8]) -> Result<Graph>;

    /// Measures the files in its folder on held-out data.
    ///
    /// # Errors
    /// As [`Entry::train`], and if the figures are worse than the model promises.
    fn evaluate(&self, paths: &Paths) -> Result<Figures>;

    /// `count` held-out inputs as the firmware takes them, in a row.
    ///
    /// # Errors
    /// As [`Entry::train`].
    fn inputs(&self, paths: &Paths, count: usize) -> Result<Vec<u8>>;

    /// What the firmware makes of one of the inputs before the network takes it; nothing for most models.
    fn features(&self, input: &[u8]) -> Option<Vec<u8>> {
        let _ = input;
        None
    }
}

/// What a model can do, measured on held-out data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The model.
    pub name: String,
    /// What is measured.
    pub metric: String,
    /// Of the float weights, run by Candle.
    pub float: f64,
    /// Of the compiled file, run by Tealight.
    pub quantized: f64,
    /// On how many held-out samples.
    pub samples: usize,
    /// Bytes of the compiled file.
    pub bytes: u64,
    /// The same where a recording is one sample: its windows vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<Recordings>,
    /// The same of some of the samples, or of another compiled file.
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

/// What a model can do with some of the samples, or another compiled file of it with all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartFigures {
    /// Which.
    pub name: String,
    /// Of the float weights.
    pub float: f64,
    /// Of the compiled file.
    pub quantized: f64,
    /// How many.
    pub samples: usize,
}

/// What a model can do with whole recordings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recordings {
    /// Of the float weights.
    pub float: f64,
    /// Of the compiled file.
    pub quantized: f64,
    /// How many recordings.
    pub samples: usize,
}

/// Where files are.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The folder of fetched packages.
    pub cache: PathBuf,
    /// The folder that holds a folder for each model.
    pub models: PathBuf,
}

impl Paths {
    /// In the repository.
    pub fn new() -> Self {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf();
        Self { cache: models.join("../target/tealight-cache"), models }
    }

    /// A file of a model.
    pub fn file(&self, model: &str, name: &str) -> PathBuf {
        self.models.join(model).join(name)
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}
