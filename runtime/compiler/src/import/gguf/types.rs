//! GGML's tensor types: which there are, and which can be compiled.

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
pub(crate) const ACCEPTED: &str = "F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K";

impl GgmlType {
    /// The type with this code (`ggml_type` in GGML).
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Block(BlockType::Q4_0),
            3 => Self::Block(BlockType::Q4_1),
            6 => Self::Block(BlockType::Q5_0),
            7 => Self::Block(BlockType::Q5_1),
            8 => Self::Block(BlockType::Q8_0),
            9 => Self::Block(BlockType::Q8_1),
            10 => Self::Block(BlockType::Q2K),
            11 => Self::Block(BlockType::Q3K),
            12 => Self::Block(BlockType::Q4K),
            13 => Self::Block(BlockType::Q5K),
            14 => Self::Block(BlockType::Q6K),
            15 => Self::Block(BlockType::Q8K),
            _ => return None,
        })
    }

    /// Elements that are stored together, and their bytes.
    pub(crate) fn block(self) -> (u64, u64) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 => (1, 2),
            Self::Block(block) => (block.elements().into(), block.bytes().into()),
        }
    }
}

/// What GGML calls the type with this code, for types that cannot be compiled.
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
        _ => format!("of the unknown type {code}"),
    }
}

impl std::fmt::Display for GgmlType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::F32 => f.write_str("F32"),
            Self::F16 => f.write_str("F16"),
            Self::Block(block) => f.write_str(&block.name().to_uppercase()),
        }
    }
}
