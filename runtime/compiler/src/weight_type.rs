//! The types that the weights of a float layer can be stored in.

use std::fmt;
use std::str::FromStr;
use tealight_format::ops::BlockType;

/// The type in which the weights of a float layer are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightType {
    /// Unchanged.
    F32,
    /// Rounded to 11 significant bits.
    F16,
    /// Rounded to int4, symmetric, with a scale for each output channel: for convolutions and fully connected layers, of
    /// int8 networks too.
    Int4,
    /// In blocks: for fully connected layers, and tables that rows are gathered from.
    Blocks(BlockType),
}

impl WeightType {
    /// Returns every type.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::F32, Self::F16, Self::Int4].into_iter().chain(BlockType::ALL.iter().copied().map(Self::Blocks))
    }

    /// Returns its name: `f32`, `f16`, `int4`, `q8_0`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int4 => "int4",
            Self::Blocks(block) => block.name(),
        }
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WeightType {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        Self::all().find(|of| of.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            format!("accepted: {}", names.join(", "))
        })
    }
}
