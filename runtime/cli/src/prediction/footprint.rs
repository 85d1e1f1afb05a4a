//! Predicts the flash of the runtime for a model, and the deepest stack, without building anything.
//!
//! Which code a program links follows from the [set](tealight_format::OpSet) of kernels that its model needs, and from the
//! [paths](tealight::Paths) that its layers take: these are a model's [`needs`]. The flash is a sum of bytes for each
//! need, the stack the maximum of them. The bytes of each need on each core are in a table, fitted to firmware of many
//! small generated models: `cargo xtask budget --footprint` builds it and writes the table.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tealight::{Loops, paths_on};
use tealight_format::{BlockType, Model, OpCode};

/// The bytes of every need on every core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Footprints {
    cores: Vec<CoreFootprint>,
}

/// The bytes of the needs on cores that execute the same code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CoreFootprint {
    /// Names of the cores, as boards state them.
    pub cores: Vec<String>,
    /// Needs that occurred in what the table is fitted to: a model with any other is not predicted.
    pub known: BTreeSet<String>,
    /// The bytes of flash that each need adds, except those that are 0.
    pub flash: BTreeMap<String, f64>,
    /// The deepest stack with each need, except those that need no more than the minimum.
    pub stack: BTreeMap<String, u64>,
}

/// What a model takes on a core, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Flash of the program without the model: start-up, an app that reads inputs and reports, and the runtime.
    pub runtime: u64,
    /// The deepest stack of an inference.
    pub stack: u64,
}

impl Footprints {
    /// The table that the program carries.
    pub fn carried() -> Self {
        serde_json::from_str(include_str!("footprint.json")).unwrap_or_default()
    }

    /// The same table with these cores instead of those of the same names.
    #[must_use]
    pub fn with(mut self, cores: Vec<CoreFootprint>) -> Self {
        for core in cores {
            let same = |known: &&mut CoreFootprint| known.cores.iter().any(|name| core.cores.contains(name));
            match self.cores.iter_mut().find(same) {
                Some(known) => *known = core,
                None => self.cores.push(core),
            }
        }
        self
    }

    /// What `model` takes on `core`; `None` if the table has no such core, or not everything that the model needs.
    pub fn of_model(&self, model: &Model<'_>, core: &str) -> Option<Footprint> {
        self.of_needs(&needs(model, core), core)
    }

    /// What a model with these needs takes on `core`; `None` as in [`of_model`](Self::of_model).
    pub fn of_needs(&self, needs: &BTreeSet<String>, core: &str) -> Option<Footprint> {
        let core = self.cores.iter().find(|known| known.cores.iter().any(|name| name == core))?;
        core.footprint(needs)
    }
}

impl CoreFootprint {
    /// What a model with these needs takes; `None` if one of them is not known.
    pub fn footprint(&self, needs: &BTreeSet<String>) -> Option<Footprint> {
        if !needs.is_subset(&self.known) {
            return None;
        }
        let runtime: f64 = needs.iter().filter_map(|need| self.flash.get(need)).sum();
        let stack = needs.iter().filter_map(|need| self.stack.get(need)).max();
        Some(Footprint { runtime: runtime.round() as u64, stack: *stack? })
    }
}

/// The need of every model.
pub const BASE: &str = "base";

/// Operators in int8 with channels, which share the code of requantization and of tiles.
const INT8_PRODUCTS: &[OpCode] = &[OpCode::Conv2d, OpCode::DepthwiseConv2d, OpCode::FullyConnected];

/// Operators in f32 with weights.
const F32_PRODUCTS: &[OpCode] = &[OpCode::Conv2dF32, OpCode::DepthwiseConv2dF32, OpCode::FullyConnectedF32];

/// Operators on pairs of elements of two operands, which share the code of broadcasting.
const INT_PAIRS: &[OpCode] = &[
    OpCode::Add,
    OpCode::Sub,
    OpCode::Mul,
    OpCode::Div,
    OpCode::Prelu,
    OpCode::BinaryI32,
    OpCode::AddI16,
    OpCode::SubI16,
    OpCode::MulI16,
];

/// Those of them in f32.
const F32_PAIRS: &[OpCode] = &[
    OpCode::AddF32,
    OpCode::SubF32,
    OpCode::MulF32,
    OpCode::DivF32,
    OpCode::MinimumF32,
    OpCode::MaximumF32,
    OpCode::PowF32,
    OpCode::PreluF32,
];

/// What decides which code a program for `model` links on `core`: operators, types of weights, paths, and what several
/// operators share.
pub fn needs(model: &Model<'_>, core: &str) -> BTreeSet<String> {
    let set = model.op_set();
    let mut needs = BTreeSet::from([BASE.to_string()]);
    let flags = [
        (set.has_f16(), "f16"),
        (set.has_i8_weights(), "i8"),
        (set.has_i4_weights(), "int4"),
        (set.has_paired_weights(), "in pairs"),
        (set.has_groups(), "groups"),
        (set.has_row_input(), "rows of the input"),
        (set.prepares(), "preparation"),
        (set.writes_state(), "state"),
    ];
    needs.extend(flags.iter().filter(|(has, _)| *has).map(|(_, name)| name.to_string()));
    needs.extend(BlockType::ALL.iter().filter(|&&block| set.has_block(block)).map(|block| block.name().to_string()));
    let codes: Vec<OpCode> = OpCode::ALL.iter().copied().filter(|&code| set.has(code)).collect();
    for code in &codes {
        needs.insert(code.name().into());
        // Each type of weights is code of its own in each operator that may have them.
        let weights = [(set.has_f16(), "f16"), (set.has_i8_weights(), "i8"), (set.has_i4_weights(), "int4")];
        let of_types = weights.iter().filter(|(has, name)| *has && may_have(*code, name));
        needs.extend(of_types.map(|(_, name)| format!("{} {name}", code.name())));
    }
    let any = |is: &dyn Fn(OpCode) -> bool| codes.iter().any(|code| is(*code));
    let shared = [
        (any(&|code| INT8_PRODUCTS.contains(&code)), "int8 products"),
        (any(&|code| F32_PRODUCTS.contains(&code)), "f32 products"),
        (any(&|code| INT_PAIRS.contains(&code) || F32_PAIRS.contains(&code)), "pairs"),
        (any(&|code| F32_PAIRS.contains(&code)), "f32 pairs"),
        (any(&|code| code.name().contains("Pool2d")), "pooling"),
        (any(&|code| code.name().contains("Softmax")), "softmax"),
        (any(&is_float), "f32"),
        (any(&|code| code.name().ends_with("I16")), "int16"),
    ];
    needs.extend(shared.iter().filter(|(has, _)| *has).map(|(_, name)| name.to_string()));
    let paths = paths_on(model, loops(core));
    let paths = [
        (paths.large_windows, "large windows"),
        (paths.any_depthwise, "depthwise, any windows"),
        (paths.depthwise_lines, "depthwise lines"),
        (paths.tiles, "tiles"),
        (paths.rows, "rows"),
        // They share the code of tiles.
        (paths.rows && !paths.tiles, "rows without tiles"),
        (paths.weights_zero_point, "zero point of weights"),
    ];
    needs.extend(paths.iter().filter(|(takes, _)| *takes).map(|(_, name)| name.to_string()));
    needs
}

/// Whether an operator computes in f32, which takes code of its own on a core without instructions for it.
fn is_float(code: OpCode) -> bool {
    let blocks = [OpCode::FullyConnectedBlock, OpCode::GatherBlock];
    code.name().ends_with("F32") || blocks.contains(&code) || converts(code)
}

/// Whether an operator converts from or to f32.
fn converts(code: OpCode) -> bool {
    let conversions = [OpCode::Quantize, OpCode::Dequantize, OpCode::QuantizeI16, OpCode::DequantizeI16, OpCode::Cast];
    conversions.contains(&code)
}

/// Whether an operator may have weights of a type.
fn may_have(code: OpCode, weights: &str) -> bool {
    use OpCode::{
        Conv2d, Conv2dF32, Conv2dI16, ConvTranspose2dF32, DepthwiseConv2d, DepthwiseConv2dF32, DepthwiseConv2dI16,
        FullyConnected, FullyConnectedF32, FullyConnectedI16, GruF32, LstmF32,
    };
    let products = [Conv2dF32, DepthwiseConv2dF32, FullyConnectedF32];
    match weights {
        "f16" => products.contains(&code) || [ConvTranspose2dF32, GruF32, LstmF32, OpCode::GatherF32].contains(&code),
        "i8" => products.contains(&code) || code == ConvTranspose2dF32,
        _ => {
            let int8 = [Conv2d, DepthwiseConv2d, FullyConnected, Conv2dI16, DepthwiseConv2dI16, FullyConnectedI16];
            products.contains(&code) || int8.contains(&code) || code == ConvTranspose2dF32
        }
    }
}

/// The loops that the kernels for a core have.
fn loops(core: &str) -> Loops {
    match core {
        "Cortex-M0" | "Cortex-M0+" | "Cortex-M3" => Loops::Strips,
        "Cortex-M4F" | "Cortex-M7" | "Cortex-M33" => Loops::Dsp,
        "RV32IMAC with Zve32x" | "RV64GCV" => Loops::Vectors,
        _ => Loops::None,
    }
}
