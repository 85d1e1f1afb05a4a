//! The choice of an engine, and the operators that it computes.

use crate::batch_matmul::batch_matmul_f32;
use crate::blocks::fully_connected_block;
use crate::conv2d::conv2d_f32;
use crate::cpu::Vectors;
use crate::description::Description;
use crate::fully_connected::fully_connected_f32;
use std::fmt;
use std::str::FromStr;
use tealight::{Operator, Part};
use zerocopy::IntoBytes;

/// Whose code runs a model; see the [crate's docs](crate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// Tealight's kernels, with the same bits as on a microcontroller.
    #[default]
    Tealight,
    /// Candle's kernels where they are faster, on all threads.
    Candle,
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tealight => "tealight",
            Self::Candle => "candle",
        })
    }
}

impl FromStr for EngineChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "tealight" => Ok(Self::Tealight),
            "candle" => Ok(Self::Candle),
            _ => Err(format!("there is no engine `{name}`: use `tealight` or `candle`")),
        }
    }
}

/// Computes operators for a session of the core.
#[derive(Clone, Debug)]
pub struct CandleEngine {
    choice: EngineChoice,
    vectors: Vectors,
    /// The output of the last call.
    output: Vec<f32>,
}

impl CandleEngine {
    /// Creates an engine for this processor.
    pub fn new(choice: EngineChoice) -> Self {
        Self { choice, vectors: Vectors::detect(), output: Vec::new() }
    }

    /// Describes which code computes what, and why.
    pub fn describe(&self) -> Description {
        Description::new(self.choice, self.vectors)
    }
}

impl tealight::Engine for CandleEngine {
    fn compute(&mut self, part: &mut Part<'_>) -> bool {
        if self.choice == EngineChoice::Tealight {
            return false;
        }
        self.output.clear();
        let computed = match part.operator() {
            Operator::FullyConnectedBlock(op) => fully_connected_block(op, part, self.vectors, &mut self.output),
            Operator::FullyConnectedF32(op) => fully_connected_f32(op, part, &mut self.output),
            Operator::Conv2dF32(op) => conv2d_f32(op, part, &mut self.output),
            Operator::BatchMatMulF32(op) => batch_matmul_f32(op, part, &mut self.output),
            _ => None,
        };
        // Little-endian on every processor that Candle runs on.
        let (bytes, output) = (self.output.as_bytes(), part.output_bytes());
        if computed.is_none() || bytes.len() != output.len() {
            return false;
        }
        output.copy_from_slice(bytes);
        true
    }
}
