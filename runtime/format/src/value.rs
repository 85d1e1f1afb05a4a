//! One record of the value table: a tensor, its place in memory, and its live range.

use crate::bytes::{i32_at, put, u8_at, u16_at, u32_at};
use crate::{DType, MAX_RANK, Quantization, Shape};
use zerocopy::FromBytes;

/// The number of bytes of a value record.
pub const VALUE_RECORD: usize = 64;

/// The index that means "none" in 16-bit index fields.
pub const NONE: u16 = u16::MAX;

/// The place of a value's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// In the model file, read in place.
    Constant = 0,
    /// In the arena, from the operator that writes it to the last operator that reads it.
    Arena = 1,
    /// In the arena's state part, kept from one inference to the next.
    State = 2,
}

/// The kind of numbers in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Any numbers of its type.
    Plain = 0,
    /// A channel table: an I32 constant `[n, 3]` of rows (bias, multiplier, shift), multipliers and shifts in range.
    Channels = 1,
    /// A channel table with biases of 64 bits: an I32 constant `[n, 4]` of rows (low half of the bias, high half,
    /// multiplier, shift), multipliers and shifts in range.
    WideChannels = 2,
}

impl Kind {
    /// Whether this is a channel table (`==` is not available in constants).
    pub const fn is_channels(self) -> bool {
        matches!(self, Self::Channels)
    }

    /// The number of words in a row of a channel table of this kind; `None` for plain values.
    pub const fn channel_words(self) -> Option<u32> {
        match self {
            Self::Plain => None,
            Self::Channels => Some(3),
            Self::WideChannels => Some(4),
        }
    }
}

/// How a value is written by an operator of a [group](crate::Group), or, if it is a model input, by the program: some of its
/// rows in each pass. A row is an image row of an NHWC value with batch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The number of rows in memory, the latest ones; the value's height if all of them stay.
    pub held: u32,
    /// The number of rows that the first pass writes.
    pub first: u32,
    /// The number of rows that each further pass writes, until the value is complete.
    pub step: u32,
}

impl Rows {
    /// The number of rows written when pass `pass` ends, counted from 0, of a value of height `height`.
    #[inline]
    pub const fn written(&self, pass: u32, height: u32) -> u32 {
        let all = self.first as u64 + pass as u64 * self.step as u64;
        if all < height as u64 { all as u32 } else { height }
    }

    /// The number of rows written when pass `pass` starts.
    #[inline]
    pub const fn written_before(&self, pass: u32, height: u32) -> u32 {
        match pass.checked_sub(1) {
            Some(previous) => self.written(previous, height),
            None => 0,
        }
    }

    /// The first row that is in memory when `written` rows have been written.
    #[inline]
    pub const fn oldest(&self, written: u32) -> u32 {
        written.saturating_sub(self.held)
    }

    /// The number of passes until all rows of a value of height `height` are written.
    pub const fn passes(&self, height: u32) -> u32 {
        let step = if self.step == 0 { 1 } else { self.step };
        height.saturating_sub(self.first).div_ceil(step).saturating_add(1)
    }
}

/// A tensor of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// Where its bytes are.
    pub place: Place,
    /// The type of its elements.
    pub dtype: DType,
    /// The kind of its numbers.
    pub kind: Kind,
    /// Its dimensions.
    pub shape: Shape,
    /// Offset of its first byte in the file's data section (constant) or in the arena. A multiple of 16.
    pub offset: u32,
    /// Length in bytes, without padding: that of its elements in its type; for a value with [`rows`](Self::rows),
    /// of the rows in memory.
    pub len: u32,
    /// What its integers represent; [`Quantization::NONE`] if the value is not quantized per tensor.
    pub quantization: Quantization,
    /// Start of the live range: the operator that writes the value, or 0 for a model input.
    pub first: u16,
    /// End of the live range: the last operator that reads it, or the number of operators for a model output.
    pub last: u16,
    /// For a view, the earlier value that has the same bytes in another shape.
    pub alias: Option<u16>,
    /// For state, the constant with its content after a reset; `None` for zeros.
    pub init: Option<u16>,
    /// How an operator of a group writes the value, or the program a model input that comes in rows; `None` for any other
    /// value.
    pub rows: Option<Rows>,
}

const fn index(raw: u16) -> Option<u16> {
    if raw == NONE { None } else { Some(raw) }
}

const fn raw(index: Option<u16>) -> u16 {
    match index {
        Some(index) => index,
        None => NONE,
    }
}

impl Value {
    /// A plain value of `len` bytes at offset 0: not quantized, not a view, live at operator 0.
    pub const fn new(place: Place, dtype: DType, shape: Shape, len: u32) -> Self {
        Self {
            place,
            dtype,
            kind: Kind::Plain,
            shape,
            offset: 0,
            len,
            quantization: Quantization::NONE,
            first: 0,
            last: 0,
            alias: None,
            init: None,
            rows: None,
        }
    }

    /// Reads a record; `None` if a code in it is unknown or a reserved byte is not 0.
    pub const fn parse(record: &[u8; VALUE_RECORD]) -> Option<Self> {
        Self::parse_with::<true>(record)
    }

    /// Reads a record that [`parse`](Self::parse) has accepted before.
    pub(crate) const fn read(record: &[u8; VALUE_RECORD]) -> Option<Self> {
        Self::parse_with::<false>(record)
    }

    const fn parse_with<const CHECK: bool>(record: &[u8; VALUE_RECORD]) -> Option<Self> {
        let place = match u8_at(record, 0) {
            0 => Place::Constant,
            1 => Place::Arena,
            2 => Place::State,
            _ => return None,
        };
        let Some(dtype) = DType::from_code(u8_at(record, 1)) else { return None };
        let rank = u8_at(record, 2) as usize;
        if rank > MAX_RANK {
            return None;
        }
        let kind = match u8_at(record, 3) {
            0 => Kind::Plain,
            1 => Kind::Channels,
            2 => Kind::WideChannels,
            _ => return None,
        };
        let mut dims = [1; MAX_RANK];
        let mut i = 0;
        while i < MAX_RANK {
            dims[i] = u32_at(record, 4 + 4 * i);
            if CHECK && i >= rank && dims[i] != 1 {
                return None;
            }
            i += 1;
        }
        let Some((dims, _)) = dims.split_at_checked(rank) else { return None };
        let Some(shape) = Shape::new(dims) else { return None };
        let rows = match [u32_at(record, 52), u32_at(record, 56), u32_at(record, 60)] {
            [0, 0, 0] => None,
            [0, ..] | [_, 0, _] | [.., 0] if CHECK => return None,
            [held, first, step] => Some(Rows { held, first, step }),
        };
        Some(Self {
            place,
            dtype,
            kind,
            shape,
            offset: u32_at(record, 28),
            len: u32_at(record, 32),
            quantization: Quantization::new(f32::from_bits(u32_at(record, 36)), i32_at(record, 40)),
            first: u16_at(record, 44),
            last: u16_at(record, 46),
            alias: index(u16_at(record, 48)),
            init: index(u16_at(record, 50)),
            rows,
        })
    }

    /// Writes the record that [`parse`](Self::parse) reads.
    pub const fn emit(&self) -> [u8; VALUE_RECORD] {
        let mut record = [0; VALUE_RECORD];
        record[0] = self.place as u8;
        record[1] = self.dtype as u8;
        record[2] = self.shape.rank() as u8;
        record[3] = self.kind as u8;
        let mut i = 0;
        while i < MAX_RANK {
            put(&mut record, 4 + 4 * i, &self.shape.dim(i).to_le_bytes());
            i += 1;
        }
        put(&mut record, 28, &self.offset.to_le_bytes());
        put(&mut record, 32, &self.len.to_le_bytes());
        put(&mut record, 36, &self.quantization.scale.to_bits().to_le_bytes());
        put(&mut record, 40, &self.quantization.zero_point.to_le_bytes());
        put(&mut record, 44, &self.first.to_le_bytes());
        put(&mut record, 46, &self.last.to_le_bytes());
        put(&mut record, 48, &raw(self.alias).to_le_bytes());
        put(&mut record, 50, &raw(self.init).to_le_bytes());
        if let Some(Rows { held, first, step }) = self.rows {
            put(&mut record, 52, &held.to_le_bytes());
            put(&mut record, 56, &first.to_le_bytes());
            put(&mut record, 60, &step.to_le_bytes());
        }
        record
    }

    /// Whether the value is in the arena's activation part.
    pub const fn is_arena(&self) -> bool {
        matches!(self.place, Place::Arena)
    }

    /// Whether the value is a constant of the file.
    pub const fn is_constant(&self) -> bool {
        matches!(self.place, Place::Constant)
    }

    /// Whether the value is streaming state.
    pub const fn is_state(&self) -> bool {
        matches!(self.place, Place::State)
    }

    /// The offset after its last byte, in the same region as `offset`.
    pub const fn end(&self) -> u64 {
        self.offset as u64 + self.len as u64
    }

    /// The number of bytes of all elements, which may be more than are in memory at a time.
    pub const fn whole_len(&self) -> u32 {
        match self.shape.elements() {
            Some(elements) => match self.dtype.bytes(elements) {
                Some(bytes) => bytes,
                None => u32::MAX,
            },
            None => u32::MAX,
        }
    }

    /// The number of bytes of an image row, if the value is NHWC with batch 1.
    pub const fn image_row(&self) -> Option<u32> {
        if self.shape.rank() != 4 || self.shape.dim(0) != 1 {
            return None;
        }
        self.whole_len().checked_div(self.shape.dim(1))
    }
}

/// A value of a checked model as its record in the file, of which a field is read where it is used. A [`Value`] takes 60
/// bytes of memory; this is a reference.
#[derive(Clone, Copy, Debug)]
pub struct ValueRecord<'a>(&'a [u32; VALUE_RECORD / 4]);

impl<'a> ValueRecord<'a> {
    /// The record of no value: a constant without bytes.
    const NONE: ValueRecord<'static> = ValueRecord(&[0; _]);

    /// The value with this record, which [`Value::parse`] has accepted before. The record must be aligned to four bytes.
    #[inline]
    pub(crate) fn new(record: &'a [u8; VALUE_RECORD]) -> Self {
        FromBytes::ref_from_bytes(record).map_or(Self::NONE, Self)
    }

    /// Word `i` of the record, which is below 16.
    #[inline]
    fn word(self, i: usize) -> u32 {
        self.0.get(i).map_or(0, |&word| u32::from_le(word))
    }

    /// Whether the value is a constant of the file.
    #[inline]
    pub fn is_constant(self) -> bool {
        self.word(0) as u8 == Place::Constant as u8
    }

    /// The type of its elements.
    #[inline]
    pub fn dtype(self) -> DType {
        DType::from_code((self.word(0) >> 8) as u8).unwrap_or(DType::U8)
    }

    /// The number of its dimensions.
    #[inline]
    pub fn rank(self) -> usize {
        (self.word(0) >> 16) as u8 as usize
    }

    /// Dimension `i`; 1 past the rank.
    #[inline]
    pub fn dim(self, i: usize) -> u32 {
        if i < MAX_RANK { self.word(1 + i) } else { 1 }
    }

    /// Its dimensions.
    #[inline]
    pub fn shape(self) -> Shape {
        Shape::with_rank(self.rank() as u8, [0, 1, 2, 3, 4, 5].map(|i| self.dim(i)))
    }

    /// Offset of its first byte in the file's data section (constant) or in the arena.
    #[inline]
    pub fn offset(self) -> u32 {
        self.word(7)
    }

    /// Length in bytes, without padding.
    #[inline]
    pub fn byte_len(self) -> u32 {
        self.word(8)
    }

    /// How an operator of a group writes the value; zeros for a value that none writes.
    #[inline]
    pub fn rows(self) -> Rows {
        Rows { held: self.word(13), first: self.word(14), step: self.word(15) }
    }

    /// The number of bytes of an image row, of a value NHWC with batch 1.
    pub fn image_row(self) -> u32 {
        let held = self.word(13);
        self.byte_len().checked_div(if held == 0 { self.dim(1) } else { held }).unwrap_or(0)
    }

    /// A copy of the record.
    pub fn words(self) -> ValueWords {
        ValueWords(*self.0)
    }

    /// The record of `count` image rows of this value, a value NHWC with batch 1, as a value of its own: those in memory
    /// from number `from` on.
    pub fn of_rows(self, from: u32, count: u32) -> ValueWords {
        let mut words = *self.0;
        let row = self.image_row();
        words[2] = count.to_le();
        words[7] = self.offset().wrapping_add(from.wrapping_mul(row)).to_le();
        words[8] = count.wrapping_mul(row).to_le();
        ValueWords(words)
    }

    /// What its integers represent; [`Quantization::NONE`] if the value is not quantized per tensor.
    #[inline]
    pub fn quantization(self) -> Quantization {
        Quantization::new(f32::from_bits(self.word(9)), self.zero_point())
    }

    /// The integer that represents 0.
    #[inline]
    pub fn zero_point(self) -> i32 {
        self.word(10).cast_signed()
    }
}

/// A value record that is not in a file: a [`ValueRecord`] to change.
#[derive(Clone, Copy, Debug)]
pub struct ValueWords([u32; VALUE_RECORD / 4]);

impl ValueWords {
    /// The record.
    pub const fn record(&self) -> ValueRecord<'_> {
        ValueRecord(&self.0)
    }
}
