//! Matrix product of f32 activations with block-quantized constant weights.
//!
//! The weights are U8 `[out, row bytes]`: each row is cut into blocks of 32 or 256 elements (GGML's types). The activations
//! are quantized to blocks as well, one batch at a time, into the operator's scratch value.

use super::fully_connected::product_work;
use super::work::ROW;
use super::{Attrs, OpFault, Operands, Work, attrs_of, bits, check_range, reals};
use crate::DType;

macro_rules! block_types {
    ($($name:ident = $code:literal, $elements:literal, $bytes:literal, $activations:ident, $cost:literal, $lower:literal;)+) => {
        /// How the elements of a block are stored: GGML's types, under Candle's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(i32)]
        #[allow(missing_docs)] // The names say what SPEC.md does.
        pub enum BlockType { $( $name = $code, )+ }

        impl BlockType {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The type with this code.
            pub const fn from_code(code: i32) -> Option<Self> {
                Some(match code { $( $code => Self::$name, )+ _ => return None })
            }

            /// Its name in lower case, as commands take it.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => $lower, )+ }
            }

            /// Elements of a block.
            pub const fn elements(self) -> u32 {
                match self { $( Self::$name => $elements, )+ }
            }

            /// Bytes of a block.
            pub const fn bytes(self) -> u32 {
                match self { $( Self::$name => $bytes, )+ }
            }

            /// The type of the activations in a product with weights of this type.
            pub const fn activations(self) -> Self {
                match self { $( Self::$name => Self::$activations, )+ }
            }

            /// What a multiply-accumulate with a weight of this type costs.
            pub(super) const fn cost(self) -> u64 {
                match self { $( Self::$name => $cost, )+ }
            }
        }
    };
}

block_types! {
    Q4_0 = 0, 32, 18, Q8_0, 2, "q4_0";
    Q4_1 = 1, 32, 20, Q8_1, 2, "q4_1";
    Q5_0 = 2, 32, 22, Q8_0, 4, "q5_0";
    Q5_1 = 3, 32, 24, Q8_1, 4, "q5_1";
    Q8_0 = 4, 32, 34, Q8_0, 1, "q8_0";
    Q8_1 = 5, 32, 36, Q8_1, 1, "q8_1";
    Q2K = 6, 256, 84, Q8K, 3, "q2k";
    Q3K = 7, 256, 110, Q8K, 6, "q3k";
    Q4K = 8, 256, 144, Q8K, 4, "q4k";
    Q5K = 9, 256, 176, Q8K, 6, "q5k";
    Q6K = 10, 256, 210, Q8K, 6, "q6k";
    Q8K = 11, 256, 292, Q8K, 1, "q8k";
}

/// The scratch value that an operator needs for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its bytes.
    pub len: u32,
    /// It is filled anew for each so many rows.
    pub rows: u32,
}

/// Attributes of a fully connected layer with block-quantized weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FullyConnectedBlock {
    /// The code of the weights' [`BlockType`].
    pub block: i32,
    /// Least and greatest output value (the fused activation); infinities for none.
    pub activation: [f32; 2],
}

impl FullyConnectedBlock {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { block: attrs[0], activation: reals(attrs, 1) }
    }

    pub(super) const fn emit(&self) -> Attrs {
        let [least, greatest] = bits(self.activation);
        attrs_of(&[self.block, least, greatest])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(3));
        let input = tri!(operands.typed(0, DType::F32));
        let weights = tri!(operands.constant(1, DType::U8));
        let output = tri!(operands.real_output());
        let Some(block) = BlockType::from_code(self.block) else { return Err(OpFault::Attribute { index: 0 }) };
        ensure!(weights.shape.rank() == 2, OpFault::Shape { operand: 1 });
        let (units, row_bytes) = (weights.shape.dim(0), weights.shape.dim(1));
        ensure!(units > 0 && row_bytes > 0, OpFault::Shape { operand: 1 });
        ensure!(row_bytes.is_multiple_of(block.bytes()), OpFault::Shape { operand: 1 });
        tri!(operands.real_bias(2, units));
        tri!(check_range(self.activation, 1));
        // A block has more bytes than an eighth of its elements, so this product fits.
        let depth = row_bytes / block.bytes() * block.elements();
        let work = tri!(product_work(&input, &output, units, depth, [ROW, block.cost()]));
        // Before the first row of a batch, its activations are quantized.
        Work { scratch_cost: 0, ..work }.prepared(100 + 11 * depth as u64, units)
    }

    /// The activations of a batch, quantized. `None` for operands that [`check`](Self::check) refuses.
    pub(super) const fn workspace(&self, operands: &Operands) -> Option<Workspace> {
        let (Some(weights), Some(block)) = (operands.input(1), BlockType::from_code(self.block)) else { return None };
        let blocks = weights.shape.dim(1) / block.bytes();
        match blocks.checked_mul(block.activations().bytes()) {
            Some(len) => Some(Workspace { len, rows: weights.shape.dim(0) }),
            None => None,
        }
    }
}
