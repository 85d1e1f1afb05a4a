//! The GGUF container: metadata and tensors, read in place with every length checked.
//!
//! Source: GGML's specification of GGUF, versions 2 and 3 (little-endian).

use super::types::{self, GgmlType};
use crate::diag::GgufError;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// The first four bytes of a file.
pub(crate) const MAGIC: &[u8] = b"GGUF";

/// Alignment of tensors where the file does not state one.
const ALIGNMENT: u64 = 32;

/// Maximum nesting of lists; real files do not nest them.
const DEEPEST: usize = 4;

/// The minimum size of a tensor's entry: the length of its name, its rank, a dimension, its type and its offset.
const MIN_TENSOR: u64 = 8 + 4 + 8 + 4 + 8;

/// The minimum size of a metadata entry: the length of its key, its type, and a value of one byte.
const MIN_ENTRY: u64 = 8 + 4 + 1;

type Result<T> = std::result::Result<T, GgufError>;

/// A parsed file, in memory.
#[derive(Debug)]
pub(crate) struct Gguf<'a> {
    metadata: HashMap<&'a str, Value<'a>>,
    /// In the order of the file.
    tensors: Vec<TensorInfo<'a>>,
    by_name: HashMap<&'a str, usize>,
}

/// A tensor of a file.
#[derive(Debug, Clone)]
pub(crate) struct TensorInfo<'a> {
    pub(crate) name: &'a str,
    /// Dimensions, outermost first.
    pub(crate) shape: Vec<u32>,
    pub(crate) dtype: GgmlType,
    pub(crate) bytes: &'a [u8],
}

/// A metadata value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Real(f64),
    Bool(bool),
    String(&'a str),
    List(List<'a>),
}

/// A list of values of one type, read on demand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List<'a> {
    kind: u32,
    count: u64,
    /// The bytes from the first item on.
    rest: Cursor<'a>,
}

/// The bytes of a file and a position in them.
#[derive(Debug, Clone, Copy)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Gguf<'a> {
    /// Reads the table of contents of `bytes`, a whole file.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        if !bytes.starts_with(MAGIC) {
            let found = String::from_utf8_lossy(bytes.get(..4).unwrap_or(bytes)).into_owned();
            return Err(GgufError::NotGguf { found });
        }
        let mut cursor = Cursor { bytes, at: MAGIC.len() };
        let version = cursor.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version { found: version });
        }
        let (tensors, entries) = (cursor.u64()?, cursor.u64()?);
        cursor.expect(tensors, MIN_TENSOR, "tensors")?;
        cursor.expect(entries, MIN_ENTRY, "metadata entries")?;
        let mut metadata = HashMap::new();
        for _ in 0..entries {
            let at = cursor.at;
            let key = cursor.string()?;
            let kind = cursor.u32()?;
            let value = cursor.value(kind, 0)?;
            if metadata.insert(key, value).is_some() {
                return Err(damaged(at, format!("the key `{key}` occurs twice")));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT,
            Some(Value::Unsigned(n)) if n.is_power_of_two() && (8..=1 << 20).contains(n) => *n,
            Some(_) => {
                let wanted = "a power of two from 8 on".to_string();
                return Err(GgufError::Key { key: "general.alignment".into(), wanted });
            }
        };
        let mut headers = Vec::new();
        for _ in 0..tensors {
            headers.push(cursor.tensor()?);
        }
        let data = (cursor.at as u64).next_multiple_of(alignment);
        let mut file = Self { metadata, tensors: Vec::new(), by_name: HashMap::new() };
        for header in headers {
            let tensor = header.locate(bytes, data, alignment)?;
            if file.by_name.insert(tensor.name, file.tensors.len()).is_some() {
                return Err(damaged(header.at, format!("the tensor `{}` occurs twice", header.name)));
            }
            file.tensors.push(tensor);
        }
        Ok(file)
    }

    /// Returns all tensors, in the order of the file.
    pub(crate) fn tensors(&self) -> &[TensorInfo<'a>] {
        &self.tensors
    }

    /// Returns the tensor of this name, if there is one.
    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorInfo<'a>> {
        self.by_name.get(name).and_then(|&at| self.tensors.get(at))
    }

    /// Returns the value of `key`, if there is one.
    pub(crate) fn value(&self, key: &str) -> Option<Value<'a>> {
        self.metadata.get(key).copied()
    }

    /// Returns the value of `key`, an unsigned integer that fits in 32 bits.
    pub(crate) fn u32(&self, key: &str) -> Result<Option<u32>> {
        self.read(key, "an unsigned 32-bit integer", |value| match value {
            Value::Unsigned(n) => u32::try_from(n).ok(),
            Value::Signed(n) => u32::try_from(n).ok(),
            _ => None,
        })
    }

    /// Returns the value of `key`, a number in single precision that is in `range`.
    pub(crate) fn f32(&self, key: &str, range: RangeInclusive<f32>) -> Result<Option<f32>> {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        self.read(key, &wanted, |value| match value {
            // NaN is in no range.
            Value::Real(x) => Some(x as f32).filter(|x| range.contains(x)),
            _ => None,
        })
    }

    /// Returns the value of `key`, a boolean.
    pub(crate) fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "true or false", |value| match value {
            Value::Bool(yes) => Some(yes),
            _ => None,
        })
    }

    /// Returns the value of `key`, a string.
    pub(crate) fn string(&self, key: &str) -> Result<Option<&'a str>> {
        self.read(key, "a text", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// Returns the value of `key`, a list of strings.
    pub(crate) fn strings(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        self.list(key, "a list of texts", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// Returns the value of `key`, a list of values, each converted by `take`.
    pub(crate) fn list<T>(
        &self,
        key: &str,
        wanted: &str,
        take: impl Fn(Value<'a>) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        self.read(key, wanted, |value| match value {
            Value::List(List { kind, count, rest: mut cursor }) => {
                // Cannot fail: `parse` has read all items once.
                (0..count).map(|_| take(cursor.value(kind, 1).ok()?)).collect()
            }
            _ => None,
        })
    }

    fn read<T>(&self, key: &str, wanted: &str, take: impl FnOnce(Value<'a>) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match take(value) {
            Some(value) => Ok(Some(value)),
            None => Err(GgufError::Key { key: key.into(), wanted: wanted.into() }),
        }
    }
}

fn damaged(at: usize, what: impl Into<String>) -> GgufError {
    GgufError::Damaged { at, what: what.into() }
}

/// A tensor's entry, whose offset is not checked yet.
struct Header<'a> {
    /// Where the entry begins.
    at: usize,
    name: &'a str,
    shape: Vec<u32>,
    kind: u32,
    /// From the start of the data.
    offset: u64,
}

impl<'a> Header<'a> {
    /// Returns the tensor in `file`, whose data section begins at `data`.
    fn locate(&self, file: &'a [u8], data: u64, alignment: u64) -> Result<TensorInfo<'a>> {
        let name = self.name;
        let Some(dtype) = GgmlType::from_code(self.kind) else {
            let found = types::name(self.kind);
            return Err(GgufError::Type { tensor: name.into(), found, accepted: types::ACCEPTED.into() });
        };
        let (elements, bytes) = dtype.block();
        let row = u64::from(self.shape.last().copied().unwrap_or(0));
        if !row.is_multiple_of(elements) {
            let what = format!("the rows of `{name}` have {row} elements, not whole blocks of {elements}");
            return Err(damaged(self.at, what));
        }
        if !self.offset.is_multiple_of(alignment) {
            return Err(damaged(self.at, format!("`{name}` does not begin on a multiple of {alignment} bytes")));
        }
        let range = || {
            let count = self.shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim.into()))?;
            let len = (count / elements).checked_mul(bytes)?;
            let start = data.checked_add(self.offset)?;
            Some(usize::try_from(start).ok()?..usize::try_from(start.checked_add(len)?).ok()?)
        };
        let Some(bytes) = range().and_then(|range| file.get(range)) else {
            return Err(damaged(self.at, format!("`{name}` reaches past the end of the file")));
        };
        Ok(TensorInfo { name, shape: self.shape.clone(), dtype, bytes })
    }
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => Err(damaged(self.at, format!("{count} bytes are expected here, but the file ends before them"))),
        }
    }

    /// Checks that the remaining bytes can hold `count` items of at least `min_size` bytes each, before anything is
    /// allocated for them.
    fn expect(&self, count: u64, min_size: u64, what: &str) -> Result<()> {
        let left = (self.bytes.len() - self.at) as u64;
        if count.checked_mul(min_size).is_none_or(|needed| needed > left) {
            return Err(damaged(self.at, format!("{count} {what} are expected here, but only {left} bytes are left")));
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N as u64)?;
        // `take` returns exactly `N` bytes.
        Ok(bytes.try_into().unwrap_or([0; N]))
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn string(&mut self) -> Result<&'a str> {
        let at = self.at;
        let len = self.u64()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| damaged(at, "a text is not UTF-8"))
    }

    fn tensor(&mut self) -> Result<Header<'a>> {
        let at = self.at;
        let name = self.string()?;
        let rank = self.u32()?;
        if !(1..=4).contains(&rank) {
            return Err(damaged(at, format!("`{name}` has {rank} dimensions, not 1 to 4")));
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            match u32::try_from(self.u64()?) {
                Ok(dim) if dim > 0 => shape.push(dim),
                _ => return Err(damaged(at, format!("a dimension of `{name}` is 0 or too large"))),
            }
        }
        // GGML lists dimensions from the innermost.
        shape.reverse();
        Ok(Header { at, name, shape, kind: self.u32()?, offset: self.u64()? })
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value<'a>> {
        let at = self.at;
        Ok(match kind {
            0 => Value::Unsigned(self.array::<1>()?[0].into()),
            1 => Value::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Real(f32::from_le_bytes(self.array()?).into()),
            7 => match self.array::<1>()?[0] {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(damaged(at, "a bool is neither 0 nor 1")),
            },
            8 => Value::String(self.string()?),
            9 if depth < DEEPEST => {
                let (kind, count) = (self.u32()?, self.u64()?);
                self.expect(count, min_size(kind), "items of a list")?;
                let list = List { kind, count, rest: *self };
                match kind {
                    // Types with invalid values (booleans) or of variable length (strings, lists) are read one by one.
                    7..=9 => {
                        for _ in 0..count {
                            self.value(kind, depth + 1)?;
                        }
                    }
                    0..=12 => {
                        self.take(count.saturating_mul(min_size(kind)))?;
                    }
                    other => return Err(no_type(at, other)),
                }
                Value::List(list)
            }
            9 => return Err(damaged(at, "lists are nested too deeply")),
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Real(f64::from_le_bytes(self.array()?)),
            other => return Err(no_type(at, other)),
        })
    }
}

fn no_type(at: usize, kind: u32) -> GgufError {
    damaged(at, format!("there is no type {kind} of metadata"))
}

/// Returns the minimum size of a metadata value of this type: its exact size, except for strings and lists.
fn min_size(kind: u32) -> u64 {
    match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        // The length of a string.
        8 => 8,
        // The type and length of a list.
        9 => 12,
        _ => 8,
    }
}
