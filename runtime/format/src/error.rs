//! The errors of [`Model::parse`](crate::Model::parse).

use crate::ops::OpFault;
use crate::{FORMAT_VERSION, MAX_LIVE};
use core::fmt;

/// The reason why [`Model::parse`](crate::Model::parse) refused a file, and the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ModelError {
    /// The file is not safetensors, or breaks one of the stricter rules of this format.
    Header {
        /// Byte offset in the file.
        at: u32,
        /// What is wrong there.
        fault: HeaderFault,
    },
    /// The file is safetensors, but its first tensor is not a Tealight plan.
    NotTealight,
    /// The plan's format version is not [`FORMAT_VERSION`](crate::FORMAT_VERSION).
    Version {
        /// The version of the plan.
        found: u32,
    },
    /// The plan's tables do not have the size that its header states, or their padding is not 0.
    PlanSize,
    /// The plan header counts more constants and inputs than values, a number of constants that is not the file's, or
    /// more than 65,534 values or operators.
    Counts,
    /// A record of the value table is wrong.
    Value {
        /// Its index.
        value: u16,
        /// What is wrong with it.
        fault: ValueFault,
    },
    /// A record of the operator table is wrong.
    Op {
        /// Its index.
        op: u16,
        /// What is wrong with it.
        fault: OpFault,
    },
    /// Model input or output `index` (inputs first) is not a usable value.
    Interface {
        /// Its index among inputs and outputs.
        index: u16,
    },
    /// Two values with overlapping live ranges share memory.
    Overlap {
        /// One of them.
        first: u16,
        /// The other.
        second: u16,
    },
    /// More than [`MAX_LIVE`](crate::MAX_LIVE) values are live at one operator.
    TooManyLive {
        /// Its index.
        op: u16,
    },
    /// The plan states an arena or state length other than what its values need.
    ArenaLength {
        /// The length that the values need.
        needed: u32,
    },
    /// The plan states an operator set other than what its operators need.
    OpSet,
}

/// What is wrong with a safetensors header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HeaderFault {
    /// The file is shorter than its header states.
    Truncated,
    /// The header is longer than 16 MiB, the file than 4 GiB, or there are more than 65,535 tensors.
    TooLong,
    /// Not UTF-8.
    Utf8,
    /// Not the JSON that safetensors writes.
    Json,
    /// A tensor name or a metadata key contains an escape, or a tensor has a reserved name (`plan`, `__metadata__`).
    Name,
    /// A tensor name or a metadata key is not greater, in byte order, than the one before it: it is out of order or a
    /// duplicate.
    Order,
    /// An element type that Tealight does not support.
    Type,
    /// A tensor's offsets do not follow the tensor before it, or its size does not match its type and shape.
    Offsets,
    /// The data section, or a tensor, does not start on a multiple of 16 bytes.
    Alignment,
    /// There are bytes after the last tensor, or fewer than the tensors need.
    Length,
}

/// What is wrong with a value record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ValueFault {
    /// The place or type is unknown, the rank is above 6, or a reserved byte is set.
    Record,
    /// Its length is 0 or not the number of elements times the element size.
    Length,
    /// It is not on a multiple of 16, or reaches outside its region.
    Range,
    /// It is a constant that does not match the file's tensor in order, type, place and (padded) length. Constants come
    /// first and match the tensors one to one.
    Constant,
    /// It is a view of another value, but does not have that value's bytes.
    Alias,
    /// Its recorded live range does not match the operators.
    LiveRange,
    /// Its initial content is not a constant of its type and length.
    Init,
    /// Its scale is negative or not a number.
    Scale,
    /// Its index is not where a value of its place belongs, or it is state that does not begin where the state before
    /// it ends.
    Order,
    /// It is declared a channel table but is not a constant of that type and shape, or a multiplier or shift in it is
    /// out of range.
    Channels,
    /// It is state of the plan for batches, and not that of the first plan.
    State,
    /// It states rows of passes, but is not an activation NHWC with batch 1 that an operator writes, or its memory holds
    /// more rows than it has, or fewer than a pass writes.
    Rows,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { at, fault } => write!(f, "not a valid safetensors file at byte {at}: {fault}"),
            Self::NotTealight => {
                f.write_str("a safetensors file, but not a compiled model: its first tensor is not a plan")
            }
            Self::Version { found } if *found < FORMAT_VERSION => write!(
                f,
                "compiled for format version {found}, which this version of Tealight no longer reads: \
                 compile it again with this version's `tealight compile`"
            ),
            Self::Version { found } => write!(
                f,
                "compiled for format version {found}, which is newer than this version of Tealight reads \
                 ({FORMAT_VERSION}): update Tealight, or compile it with this version's `tealight compile`"
            ),
            Self::PlanSize => {
                f.write_str("the plan does not have the length that its header states, or its padding is not 0")
            }
            Self::Counts => f.write_str("the plan header's counts are out of range"),
            Self::Value { value, fault } => write!(f, "value {value}: {fault}"),
            Self::Op { op, fault } => write!(f, "operator {op}: {fault}"),
            Self::Interface { index } => write!(f, "model input or output {index} is not a usable value"),
            Self::Overlap { first, second } => {
                write!(f, "values {first} and {second} are live at the same time in the same memory")
            }
            Self::TooManyLive { op } => {
                write!(f, "more than {MAX_LIVE} values are live at operator {op}")
            }
            Self::ArenaLength { needed } => {
                write!(f, "the stated arena or state length is wrong: the values need {needed} bytes")
            }
            Self::OpSet => f.write_str("the stated operator set is not that of the operators"),
        }
    }
}

impl core::error::Error for ModelError {}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the file ends too early",
            Self::TooLong => "header or file too long",
            Self::Utf8 => "the header is not UTF-8",
            Self::Json => "the header is not the JSON of a safetensors file",
            Self::Name => "a name has an escape or is reserved",
            Self::Order => "names are not in byte order, or one is repeated",
            Self::Type => "a tensor type that is not supported",
            Self::Offsets => "a tensor's offsets do not follow the one before, or do not match its shape",
            Self::Alignment => "data or a tensor is not aligned to 16 bytes",
            Self::Length => "the file's length is not what its tensors need",
        })
    }
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "the record has an unknown code or a reserved byte set",
            Self::Length => "its length does not match its shape",
            Self::Range => "it is misaligned or outside its region",
            Self::Constant => "it does not match its tensor of the file",
            Self::Alias => "it views bytes that are not another value's",
            Self::LiveRange => "its live range does not match the operators",
            Self::Init => "its initial content is not a constant of its size",
            Self::Scale => "its scale is not a finite, non-negative number",
            Self::Order => "it is out of order in the value table",
            Self::Channels => "it is not a channel table, or a multiplier or shift in it is out of range",
            Self::State => "it is state that differs from that of the file's first plan",
            Self::Rows => "it cannot be written in passes, or its memory does not hold the rows of a pass",
        })
    }
}

/// Writes "input 2" or "output".
struct Operand(u8);

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == crate::ops::OUTPUT { f.write_str("output") } else { write!(f, "input {}", self.0) }
    }
}

impl fmt::Display for OpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnknownOperator => f.write_str("unknown operator code (a newer format?)"),
            Self::Reserved => f.write_str("a reserved byte or unused attribute is set"),
            Self::Inputs => f.write_str("wrong number of inputs, or a needed one is missing"),
            Self::Type { operand } => write!(f, "{} has a type that it does not take", Operand(operand)),
            Self::Shape { operand } => write!(f, "the shape of {} breaks its rule", Operand(operand)),
            Self::Quantization { operand } => {
                write!(f, "scale or zero point of {} is out of range", Operand(operand))
            }
            Self::Place { operand } => write!(f, "{} is in memory that it cannot use", Operand(operand)),
            Self::Attribute { index } => write!(f, "attribute {index} is out of range"),
            Self::TooLarge => f.write_str("a row's work does not fit in 32 bits"),
            Self::Work => f.write_str("row count or cost does not follow from its operands"),
            Self::OperandIndex { operand } => write!(f, "{} is past the value table", Operand(operand)),
            Self::NotLive { operand } => write!(f, "{} is not live here", Operand(operand)),
            Self::Output => {
                f.write_str("its output is not the next value in the table, or its live range does not begin here")
            }
            Self::Overlap { operand } => {
                write!(f, "its output overlaps {} by too much, or has no scratch value", Operand(operand))
            }
            Self::Group => f.write_str(
                "its place in a group does not continue the operator before it, or it or its output cannot be in a group",
            ),
            Self::Rows { operand } => write!(
                f,
                "in some pass of its group, {} does not have the rows in memory that are read: one is overwritten \
                 already, or not yet written",
                Operand(operand)
            ),
            Self::Scratch => f.write_str(
                "its scratch value is not the next in the table, or not whole output rows that are live only here",
            ),
        }
    }
}
