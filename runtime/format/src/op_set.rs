//! Sets of operators and of types of weights.

use crate::bytes::{put, u16_at, u32_at};
use crate::ops::{BlockType, OpCode};

/// The flag of weights stored as f16.
const F16: u16 = 1;

/// The flag of groups of operators.
const GROUPS: u16 = 2;

/// The flag of f32 layers with weights stored as i8.
const I8_WEIGHTS: u16 = 4;

/// The flag of layers with weights stored as int4.
const I4_WEIGHTS: u16 = 8;

/// The flag of fully connected layers with weights in pairs.
const PAIRED_WEIGHTS: u16 = 16;

/// The flag of a model input that comes in rows.
const ROW_INPUT: u16 = 32;

/// The set of kernels that a model needs, or that a session supports: operators, types of block-quantized weights,
/// weights stored as f16, as i8 in f32 layers, as int4, and in pairs; whether it runs operators in groups, and whether an
/// input may come in rows. What is outside a session's set is not linked.
///
/// ```
/// use tealight_format::ops::BlockType;
/// use tealight_format::{OpCode, OpSet};
///
/// const SMALL: OpSet =
///     OpSet::of(&[OpCode::FullyConnectedBlock, OpCode::UnaryF32]).with_blocks(&[BlockType::Q8_0]);
/// assert!(SMALL.has(OpCode::UnaryF32) && SMALL.has_block(BlockType::Q8_0) && !SMALL.has_f16());
/// assert_eq!(SMALL.without(OpSet::ALL), OpSet::EMPTY);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpSet {
    /// Bit `code % 32` of word `code / 32` is the operator with that code.
    codes: [u32; Self::CODES / 32],
    /// Bit `code` is the block type with that code.
    blocks: u16,
    flags: u16,
}

/// A set of operators as a type, which a program names at compile time: [`Model::op_in`](crate::Model::op_in).
pub trait OpSetOf {
    /// The set.
    const SET: OpSet;
}

impl OpSet {
    /// The number of operator codes that a set has room for.
    pub const CODES: usize = 192;

    /// The empty set.
    pub const EMPTY: Self = Self { codes: [0; _], blocks: 0, flags: 0 };

    /// Every operator, with weights of every type.
    pub const ALL: Self = Self::of(OpCode::ALL)
        .with_blocks(BlockType::ALL)
        .with_f16()
        .with_i8_weights()
        .with_i4_weights()
        .with_paired_weights()
        .with_groups()
        .with_row_input();

    /// The operators of int8 networks: none computes in f32 but the conversions at a network's ends. None runs in a
    /// group: see [`with_groups`](Self::with_groups). BatchMatMul, Lstm, Div, L2Norm, LogSoftmax, those on int32 and those that make
    /// features of sound (Signal and a name), which few networks have, are not in it, so that programs for the others do
    /// not link them.
    pub const INT8: Self = Self::of(&[
        OpCode::Conv2d,
        OpCode::DepthwiseConv2d,
        OpCode::FullyConnected,
        OpCode::AvgPool2d,
        OpCode::MaxPool2d,
        OpCode::Add,
        OpCode::Sub,
        OpCode::Mul,
        OpCode::Softmax,
        OpCode::Lookup,
        OpCode::Pad,
        OpCode::Mean,
        OpCode::Concat,
        OpCode::StridedSlice,
        OpCode::Transpose,
        OpCode::ResizeNearest,
        OpCode::Quantize,
        OpCode::Dequantize,
        OpCode::Svdf,
        OpCode::Copy,
        OpCode::Prelu,
        OpCode::ResizeBilinear,
        OpCode::ArgMinMax,
        OpCode::TopK,
    ])
    .with_paired_weights();

    /// The operators of networks with int16 activations and int8 weights: none computes in f32 but the conversions at a
    /// network's ends. None runs in a group: see [`with_groups`](Self::with_groups).
    pub const INT16: Self = Self::of(&[
        OpCode::Conv2dI16,
        OpCode::DepthwiseConv2dI16,
        OpCode::FullyConnectedI16,
        OpCode::AvgPool2dI16,
        OpCode::MaxPool2dI16,
        OpCode::AddI16,
        OpCode::SubI16,
        OpCode::MulI16,
        OpCode::SoftmaxI16,
        OpCode::RequantizeI16,
        OpCode::MeanI16,
        OpCode::LogisticI16,
        OpCode::TanhI16,
        OpCode::QuantizeI16,
        OpCode::DequantizeI16,
        OpCode::Pad,
        OpCode::Concat,
        OpCode::StridedSlice,
        OpCode::Transpose,
        OpCode::ResizeNearest,
        OpCode::Copy,
    ]);

    /// The operators with preparation before some of their rows.
    const PREPARING: Self = {
        let (mut set, mut i) = (Self::EMPTY, 0);
        while i < OpCode::ALL.len() {
            if OpCode::ALL[i].prepares() {
                set = set.with_code(OpCode::ALL[i] as u8);
            }
            i += 1;
        }
        set
    };

    /// The operators that write state.
    const WITH_STATE: Self = {
        let (mut set, mut i) = (Self::EMPTY, 0);
        while i < OpCode::ALL.len() {
            if OpCode::ALL[i].state_input().is_some() {
                set = set.with_code(OpCode::ALL[i] as u8);
            }
            i += 1;
        }
        set
    };

    /// The set of these operators, with weights as f32 in f32 layers and as int8 in int8 layers.
    pub const fn of(codes: &[OpCode]) -> Self {
        let (mut set, mut i) = (Self::EMPTY, 0);
        while i < codes.len() {
            set = set.with_code(codes[i] as u8);
            i += 1;
        }
        set
    }

    /// The same set, and weights in blocks of these types.
    #[must_use]
    pub const fn with_blocks(mut self, types: &[BlockType]) -> Self {
        let mut i = 0;
        while i < types.len() {
            self.blocks |= block_bit(types[i]);
            i += 1;
        }
        self
    }

    /// The same set, and weights stored as f16.
    #[must_use]
    pub const fn with_f16(mut self) -> Self {
        self.flags |= F16;
        self
    }

    /// The same set, and f32 layers with weights stored as i8.
    #[must_use]
    pub const fn with_i8_weights(mut self) -> Self {
        self.flags |= I8_WEIGHTS;
        self
    }

    /// The same set, and layers with weights stored as int4.
    #[must_use]
    pub const fn with_i4_weights(mut self) -> Self {
        self.flags |= I4_WEIGHTS;
        self
    }

    /// The same set, and fully connected layers with weights in pairs.
    #[must_use]
    pub const fn with_paired_weights(mut self) -> Self {
        self.flags |= PAIRED_WEIGHTS;
        self
    }

    /// The same set, and operators that run in [groups](crate::Group).
    #[must_use]
    pub const fn with_groups(mut self) -> Self {
        self.flags |= GROUPS;
        self
    }

    /// The same set, and a model input that comes in rows: see [`Rows`](crate::Rows). It goes with [`with_groups`](Self::with_groups).
    #[must_use]
    pub const fn with_row_input(mut self) -> Self {
        self.flags |= ROW_INPUT;
        self
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(mut self, other: Self) -> Self {
        let mut i = 0;
        while i < self.codes.len() {
            self.codes[i] |= other.codes[i];
            i += 1;
        }
        self.blocks |= other.blocks;
        self.flags |= other.flags;
        self
    }

    /// What is in this set but not in `other`.
    #[must_use]
    pub const fn without(mut self, other: Self) -> Self {
        let mut i = 0;
        while i < self.codes.len() {
            self.codes[i] &= !other.codes[i];
            i += 1;
        }
        self.blocks &= !other.blocks;
        self.flags &= !other.flags;
        self
    }

    /// Whether it contains operator `code`.
    pub const fn has(&self, code: OpCode) -> bool {
        self.has_code(code as u8)
    }

    /// The number of operators that it contains.
    pub const fn operators(&self) -> u32 {
        let (mut count, mut i) = (0, 0);
        while i < self.codes.len() {
            count += self.codes[i].count_ones();
            i += 1;
        }
        count
    }

    /// Whether it contains weights in blocks of type `block`.
    pub const fn has_block(&self, block: BlockType) -> bool {
        self.blocks & block_bit(block) != 0
    }

    /// Whether it contains weights stored as f16.
    pub const fn has_f16(&self) -> bool {
        self.flags & F16 != 0
    }

    /// Whether it contains f32 layers with weights stored as i8.
    pub const fn has_i8_weights(&self) -> bool {
        self.flags & I8_WEIGHTS != 0
    }

    /// Whether it contains layers with weights stored as int4.
    pub const fn has_i4_weights(&self) -> bool {
        self.flags & I4_WEIGHTS != 0
    }

    /// Whether it contains fully connected layers with weights in pairs.
    pub const fn has_paired_weights(&self) -> bool {
        self.flags & PAIRED_WEIGHTS != 0
    }

    /// Whether it contains operators that run in groups.
    pub const fn has_groups(&self) -> bool {
        self.flags & GROUPS != 0
    }

    /// Whether it contains model inputs that come in rows.
    pub const fn has_row_input(&self) -> bool {
        self.flags & ROW_INPUT != 0
    }

    /// Whether it contains an operator with preparation before some of its rows.
    pub const fn prepares(&self) -> bool {
        self.meets(&Self::PREPARING)
    }

    /// Whether it contains an operator that writes state.
    pub const fn writes_state(&self) -> bool {
        self.meets(&Self::WITH_STATE)
    }

    /// Whether it has an operator in common with `other`.
    const fn meets(&self, other: &Self) -> bool {
        let mut i = 0;
        while i < self.codes.len() {
            if self.codes[i] & other.codes[i] != 0 {
                return true;
            }
            i += 1;
        }
        false
    }

    /// Whether `self` and `other` are the same set (`==` is not available in constants).
    pub const fn is(&self, other: &Self) -> bool {
        let mut i = 0;
        while i < self.codes.len() {
            if self.codes[i] != other.codes[i] {
                return false;
            }
            i += 1;
        }
        self.blocks == other.blocks && self.flags == other.flags
    }

    /// Reads the set from a plan header: codes 0 to 95 at byte 48, codes 96 to 191 at byte 36, block types at byte 60,
    /// flags at byte 62. Any bits are a set, so that of a later version's kernels is one too; it is not that of any
    /// operators which this version knows.
    pub(crate) const fn parse(header: &[u8]) -> Self {
        let (mut codes, mut i) = ([0; _], 0);
        while i < Self::EMPTY.codes.len() {
            codes[i] = u32_at(header, word_at(i));
            i += 1;
        }
        Self { codes, blocks: u16_at(header, 60), flags: u16_at(header, 62) }
    }

    /// Writes what [`parse`](Self::parse) reads.
    pub(crate) const fn emit(&self, header: &mut [u8]) {
        let mut i = 0;
        while i < self.codes.len() {
            put(header, word_at(i), &self.codes[i].to_le_bytes());
            i += 1;
        }
        put(header, 60, &self.blocks.to_le_bytes());
        put(header, 62, &self.flags.to_le_bytes());
    }

    const fn with_code(mut self, code: u8) -> Self {
        let word = code as usize / 32;
        if word < self.codes.len() {
            self.codes[word] |= 1 << (code % 32);
        }
        self
    }

    const fn has_code(&self, code: u8) -> bool {
        let word = code as usize / 32;
        word < self.codes.len() && self.codes[word] >> (code % 32) & 1 == 1
    }
}

/// The position in a plan header of the word for operator codes `32 * word` to `32 * word + 31`.
const fn word_at(word: usize) -> usize {
    if word < 3 { 48 + 4 * word } else { 36 + 4 * (word - 3) }
}

const fn block_bit(block: BlockType) -> u16 {
    1 << block as u16
}

// Every operator and every block type has a bit.
const _: () = {
    let mut i = 0;
    while i < OpCode::ALL.len() {
        assert!((OpCode::ALL[i] as usize) < OpSet::CODES);
        i += 1;
    }
    let mut i = 0;
    while i < BlockType::ALL.len() {
        assert!((BlockType::ALL[i] as u32) < u16::BITS);
        i += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanHeader;

    const COUNTS: PlanHeader = PlanHeader {
        constants: 0,
        values: 1,
        ops: 1,
        inputs: 1,
        outputs: 1,
        arena_len: 16,
        state_len: 0,
        op_set: OpSet::EMPTY,
    };

    #[test]
    fn an_operator_is_one_of_int8_networks_or_named_after_int16_f32_or_blocks() {
        let seldom = ["BatchMatMul", "Lstm", "BinaryI32", "Cast", "RescaleI32", "Div", "L2Norm", "LogSoftmax"];
        let moving = ["Pad", "Concat", "StridedSlice", "Transpose", "ResizeNearest", "Copy"];
        for &code in OpCode::ALL {
            let other = ["F32", "Block", "Positions", "I16"].iter().any(|end| code.name().ends_with(end))
                || code.name().starts_with("Signal")
                || seldom.contains(&code.name());
            assert_eq!(OpSet::INT8.has(code), !other, "{}", code.name());
            let of_int16 = code.name().ends_with("I16") || moving.contains(&code.name());
            assert_eq!(OpSet::INT16.has(code), of_int16, "{}", code.name());
        }
        assert!(
            !OpSet::INT8.has_f16()
                && !OpSet::INT8.has_i8_weights()
                && !OpSet::INT8.has_i4_weights()
                && OpSet::INT8.has_paired_weights()
                && OpSet::INT8.without(OpSet::ALL).is(&OpSet::EMPTY)
        );
    }

    #[test]
    fn every_code_below_192_has_a_bit_of_its_own_in_set_and_header() {
        for code in 0..=u8::MAX {
            let op_set = OpSet::EMPTY.with_code(code);
            let header = PlanHeader { op_set, ..COUNTS };
            let bytes = header.emit();
            assert_eq!(PlanHeader::parse(&bytes), header, "code {code}");
            for other in 0..=u8::MAX {
                assert_eq!(op_set.has_code(other), code == other && usize::from(code) < OpSet::CODES, "{code} {other}");
            }
            // The byte and bit that SPEC.md states.
            let mut expected = COUNTS.emit();
            let bit = 1 << (code % 8);
            match usize::from(code) {
                low @ ..96 => expected[48 + low / 8] = bit,
                high @ ..192 => expected[36 + (high - 96) / 8] = bit,
                _ => {}
            }
            assert_eq!(bytes, expected, "code {code}");
        }
    }

    #[test]
    fn types_of_weights_have_the_bits_after_code_95() {
        for &block in BlockType::ALL {
            let bytes = PlanHeader { op_set: OpSet::EMPTY.with_blocks(&[block]), ..COUNTS }.emit();
            assert_eq!(u16_at(&bytes, 60), 1 << block as u16, "{block:?}");
        }
        let bytes = PlanHeader { op_set: OpSet::EMPTY.with_f16(), ..COUNTS }.emit();
        assert_eq!(bytes[60..], [0, 0, 1, 0]);
        let bytes = PlanHeader { op_set: OpSet::EMPTY.with_i8_weights(), ..COUNTS }.emit();
        assert_eq!(bytes[60..], [0, 0, 4, 0]);
        let bytes = PlanHeader { op_set: OpSet::EMPTY.with_i4_weights(), ..COUNTS }.emit();
        assert_eq!(bytes[60..], [0, 0, 8, 0]);
        let bytes = PlanHeader { op_set: OpSet::EMPTY.with_paired_weights(), ..COUNTS }.emit();
        assert_eq!(bytes[60..], [0, 0, 16, 0]);
    }

    #[test]
    fn union_and_difference_cover_all_parts_of_a_set() {
        let small = OpSet::of(&[OpCode::Add]).with_code(100);
        let large = OpSet::of(&[OpCode::Mul]).with_code(191).with_blocks(&[BlockType::Q8_0]).with_f16();
        let both = small.union(large);
        assert_eq!((both.without(small), both.without(large)), (large, small));
        assert_eq!((small.operators(), large.operators(), both.operators()), (2, 2, 4));
        assert!(both.is(&large.union(small)) && !both.is(&small) && !both.is(&large));
        assert_eq!(both.without(both), OpSet::EMPTY);
    }
}
