//! GGML's tensor types, and which of them can be compiled.

use tealight_format::ops::BlockType;

/// How a tensor of a GGUF file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GgmlType {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// In blocks.
    Block(BlockType),
}

/// The types that can be compiled, as an error lists them.
pub(crate) const ACCEPTED: &str = tealight_types::for_each_block!(accepted! {});

macro_rules! accepted {
    ($( $name:ident $block:ident { $code:literal, $lower:literal, $ggml:literal, $ggml_name:literal, $($rest:tt)+ } )+) => {
        concat!("F32, F16", $( ", ", $ggml_name ),+)
    };
}
use accepted;

impl GgmlType {
    /// Returns the type with this code (`ggml_type` in GGML).
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::F32,
            1 => Self::F16,
            _ => Self::Block(BlockType::from_ggml(code)?),
        })
    }

    /// Returns the number of elements in a block, and its bytes.
    pub(crate) fn block(self) -> (u64, u64) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 => (1, 2),
            Self::Block(block) => (block.elements().into(), block.bytes().into()),
        }
    }
}

/// Returns GGML's name of the type with this code, for types that cannot be compiled.
pub(crate) fn name(code: u32) -> String {
    match code {
        24 => "I8".into(),
        25 => "I16".into(),
        26 => "I32".into(),
        27 => "I64".into(),
        28 => "F64".into(),
        30 => "BF16".into(),
        34 => "TQ1_0".into(),
        35 => "TQ2_0".into(),
        16..=23 | 29 => format!("one of the IQ types (code {code})"),
        _ => format!("of an unknown type (code {code})"),
    }
}

impl std::fmt::Display for GgmlType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::F32 => f.write_str("F32"),
            Self::F16 => f.write_str("F16"),
            Self::Block(block) => f.write_str(block.ggml_name()),
        }
    }
}
