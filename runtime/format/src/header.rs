//! A strict reader of the safetensors header that neither allocates nor recurses, usable in constants.
//!
//! It accepts a subset of what the `safetensors` crate accepts: `{`, an optional `__metadata__` object of strings, then
//! tensor entries in the order of their data, `}`, spaces. Names are plain (no escapes), data is contiguous from 0,
//! every tensor starts on a multiple of 16 bytes and nothing follows the last one. The first tensor is `plan`; the
//! others, and the keys of the metadata, are sorted by name in byte order. To find duplicates, each name is compared
//! only with the one before it, and so the time is linear in the header's length.

use crate::DType;
use crate::bytes::{slice, u8_at, u64_at};
use crate::error::{HeaderFault, ModelError};

/// The maximum length of the header in bytes: enough for 65,535 tensors with names of about a hundred bytes. The
/// `safetensors` crate accepts up to 100 MB.
pub const MAX_HEADER: u32 = 1 << 24;

/// The name of the first tensor.
pub(crate) const PLAN: &[u8] = b"plan";

/// The name of the tensor with the plan for batches.
pub(crate) const BATCH_PLAN: &[u8] = b"plan.batch";

/// The maximum number of tensors: the plan and as many constants as 16-bit indices can address.
const MAX_TENSORS: u32 = u16::MAX as u32;

/// One tensor of the header. Positions are byte offsets in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tensor {
    pub(crate) dtype: DType,
    /// Position of the name, without its quotes.
    pub(crate) name_at: usize,
    pub(crate) name_len: usize,
    /// Offset of its data in the data section.
    pub(crate) begin: u32,
    /// Length of its data in bytes.
    pub(crate) len: u32,
}

/// The positions of the parts of a checked file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Start of the first tensor entry (its opening quote).
    pub(crate) entries_at: usize,
    /// Start of the metadata object's first key; 0 if there is no metadata.
    pub(crate) metadata_at: usize,
    /// Start of the plan: that of the data section, unless it is the plan for batches.
    pub(crate) plan_at: usize,
    /// Start of the data section, which is the end of the header.
    pub(crate) data_at: usize,
}

/// Scans tokens of the header. `at` is a byte offset in the file, always at most `end`.
#[derive(Clone, Copy, Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

type Scan<T> = Result<T, ModelError>;

const fn fail<T: Copy>(at: usize, fault: HeaderFault) -> Scan<T> {
    Err(ModelError::Header { at: at as u32, fault })
}

impl Cursor<'_> {
    const fn peek(&self) -> u8 {
        if self.at < self.end { u8_at(self.bytes, self.at) } else { 0 }
    }

    const fn skip_space(&mut self) {
        let mut at = self.at;
        while at < self.end && matches!(u8_at(self.bytes, at), b' ' | b'\t' | b'\n' | b'\r') {
            at += 1;
        }
        self.at = at;
    }

    /// Skips white space, then consumes `token` if it is next.
    const fn eat(&mut self, token: u8) -> bool {
        self.skip_space();
        let found = self.at < self.end && self.peek() == token;
        if found {
            self.at += 1;
        }
        found
    }

    const fn expect(&mut self, token: u8) -> Scan<()> {
        if self.eat(token) { Ok(()) } else { fail(self.at, HeaderFault::Json) }
    }

    /// Consumes a string and returns the position of its content. Escapes are accepted only if `escapes` is set.
    const fn string(&mut self, escapes: bool) -> Scan<(usize, usize)> {
        tri!(self.expect(b'"'));
        let start = self.at;
        loop {
            if self.at >= self.end {
                return fail(self.at, HeaderFault::Json);
            }
            match self.peek() {
                b'"' => break,
                0..0x20 => return fail(self.at, HeaderFault::Json),
                b'\\' if !escapes => return fail(self.at, HeaderFault::Name),
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        // Unicode escapes are refused: UTF-8 text does not need them, and surrogates need care.
                        _ => return fail(self.at, HeaderFault::Json),
                    }
                }
                _ => self.at += 1,
            }
        }
        let len = self.at - start;
        self.at += 1;
        Ok((start, len))
    }

    /// Consumes an integer below 2^32 without leading zeros.
    const fn integer(&mut self) -> Scan<u32> {
        self.skip_space();
        let start = self.at;
        let mut value = 0u64;
        while self.peek().is_ascii_digit() {
            value = value * 10 + (self.peek() - b'0') as u64;
            if value > u32::MAX as u64 {
                return fail(start, HeaderFault::TooLong);
            }
            self.at += 1;
        }
        let digits = self.at - start;
        if digits == 0 || (digits > 1 && u8_at(self.bytes, start) == b'0') {
            return fail(start, HeaderFault::Json);
        }
        Ok(value as u32)
    }

    const fn text(&self, place: (usize, usize)) -> &[u8] {
        slice(self.bytes, place.0, place.1)
    }

    /// Consumes `"name": {"dtype": .., "shape": [..], "data_offsets": [.., ..]}` with the keys in any order.
    const fn tensor(&mut self) -> Scan<Tensor> {
        let (name_at, name_len) = tri!(self.string(false));
        if name_len == 0 || same(self.text((name_at, name_len)), b"__metadata__") {
            return fail(name_at, HeaderFault::Name);
        }
        tri!(self.expect(b':'));
        tri!(self.expect(b'{'));
        let mut dtype = None;
        let mut elements = None;
        let mut offsets = None;
        loop {
            let key = tri!(self.string(false));
            tri!(self.expect(b':'));
            if same(self.text(key), b"dtype") && dtype.is_none() {
                let name = tri!(self.string(false));
                dtype = dtype_named(self.text(name));
                if dtype.is_none() {
                    return fail(name.0, HeaderFault::Type);
                }
            } else if same(self.text(key), b"shape") && elements.is_none() {
                elements = Some(tri!(self.shape()));
            } else if same(self.text(key), b"data_offsets") && offsets.is_none() {
                tri!(self.expect(b'['));
                let begin = tri!(self.integer());
                tri!(self.expect(b','));
                let end = tri!(self.integer());
                tri!(self.expect(b']'));
                offsets = Some((begin, end));
            } else {
                return fail(key.0, HeaderFault::Json);
            }
            if !self.eat(b',') {
                break;
            }
        }
        tri!(self.expect(b'}'));
        let (Some(dtype), Some(elements), Some((begin, end))) = (dtype, elements, offsets) else {
            return fail(self.at, HeaderFault::Json);
        };
        if end <= begin || elements * dtype.size() as u64 != (end - begin) as u64 {
            return fail(name_at, HeaderFault::Offsets);
        }
        Ok(Tensor { dtype, name_at, name_len, begin, len: end - begin })
    }

    /// Consumes `[d, d, ..]` and returns the number of elements, at most 2^32.
    const fn shape(&mut self) -> Scan<u64> {
        tri!(self.expect(b'['));
        let mut elements = 1u64;
        if self.eat(b']') {
            return Ok(elements);
        }
        loop {
            let at = self.at;
            elements *= tri!(self.integer()) as u64;
            if elements > u32::MAX as u64 {
                return fail(at, HeaderFault::TooLong);
            }
            if !self.eat(b',') {
                break;
            }
        }
        tri!(self.expect(b']'));
        Ok(elements)
    }
}

/// Whether two byte strings are equal.
pub(crate) const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn dtype_named(name: &[u8]) -> Option<DType> {
    let mut code = 0;
    while let Some(dtype) = DType::from_code(code) {
        if dtype.stored().is(dtype) && same(dtype.name().as_bytes(), name) {
            return Some(dtype);
        }
        code += 1;
    }
    None
}

/// Whether `a` comes before `b` in byte order.
const fn precedes(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    a.len() < b.len()
}

/// The start of a file, up to its first tensor: the part that files of all format versions have in common.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'a> {
    /// Positioned after the first tensor.
    cursor: Cursor<'a>,
    entries_at: usize,
    metadata_at: usize,
    /// Position of the first metadata key that is not greater than the one before it.
    unordered: Option<usize>,
    pub(crate) data_at: usize,
    pub(crate) first: Tensor,
}

/// Reads the header of `bytes` up to its first tensor.
pub(crate) const fn open(bytes: &[u8]) -> Scan<Opening<'_>> {
    if bytes.len() < 8 {
        return fail(0, HeaderFault::Truncated);
    }
    let len = u64_at(bytes, 0);
    if len > MAX_HEADER as u64 || bytes.len() as u64 > u32::MAX as u64 {
        return fail(0, HeaderFault::TooLong);
    }
    let data_at = 8 + len as usize;
    if data_at > bytes.len() {
        return fail(0, HeaderFault::Truncated);
    }
    if !data_at.is_multiple_of(16) {
        return fail(0, HeaderFault::Alignment);
    }
    if core::str::from_utf8(slice(bytes, 8, len as usize)).is_err() {
        return fail(8, HeaderFault::Utf8);
    }
    let mut cursor = Cursor { bytes, at: 8, end: data_at };
    // The format requires the brace at the very start.
    if cursor.peek() != b'{' {
        return fail(8, HeaderFault::Json);
    }
    cursor.at += 1;
    cursor.skip_space();
    let mut metadata_at = 0;
    let mut unordered = None;
    let mut first = cursor;
    let is_metadata = match first.string(false) {
        Ok(key) => same(first.text(key), b"__metadata__"),
        Err(error) => return Err(error),
    };
    if is_metadata {
        cursor = first;
        tri!(cursor.expect(b':'));
        tri!(cursor.expect(b'{'));
        cursor.skip_space();
        metadata_at = cursor.at;
        if !cursor.eat(b'}') {
            let mut previous = None;
            loop {
                let key = tri!(cursor.string(false));
                if let Some(previous) = previous
                    && unordered.is_none()
                    && !precedes(cursor.text(previous), cursor.text(key))
                {
                    unordered = Some(key.0);
                }
                previous = Some(key);
                tri!(cursor.expect(b':'));
                tri!(cursor.string(true));
                if !cursor.eat(b',') {
                    break;
                }
            }
            tri!(cursor.expect(b'}'));
        }
        tri!(cursor.expect(b','));
        cursor.skip_space();
    }
    let entries_at = cursor.at;
    let first = tri!(cursor.tensor());
    if first.begin != 0 {
        return fail(first.name_at, HeaderFault::Offsets);
    }
    if data_at as u64 + first.len as u64 > bytes.len() as u64 {
        return fail(data_at, HeaderFault::Length);
    }
    Ok(Opening { cursor, entries_at, metadata_at, unordered, data_at, first })
}

impl Opening<'_> {
    /// Whether the first tensor has the name of a plan.
    pub(crate) const fn is_plan(&self) -> bool {
        same(self.cursor.text((self.first.name_at, self.first.name_len)), PLAN)
    }

    /// Reads and checks the rest of the header; returns it with the number of tensors.
    pub(crate) const fn finish(&self) -> Scan<(Header, u32)> {
        let Self { mut cursor, entries_at, metadata_at, data_at, .. } = *self;
        if let Some(at) = self.unordered {
            return fail(at, HeaderFault::Order);
        }
        let mut previous = self.first;
        if !previous.len.is_multiple_of(16) {
            return fail(previous.name_at, HeaderFault::Alignment);
        }
        let mut tensors = 1u32;
        while cursor.eat(b',') {
            cursor.skip_space();
            let tensor = tri!(cursor.tensor());
            // More than a plan can use.
            if tensors == MAX_TENSORS {
                return fail(tensor.name_at, HeaderFault::TooLong);
            }
            if tensor.begin != previous.begin + previous.len {
                return fail(tensor.name_at, HeaderFault::Offsets);
            }
            if !tensor.len.is_multiple_of(16) {
                return fail(tensor.name_at, HeaderFault::Alignment);
            }
            let name = cursor.text((tensor.name_at, tensor.name_len));
            if same(name, PLAN) {
                return fail(tensor.name_at, HeaderFault::Name);
            }
            if tensors > 1 && !precedes(cursor.text((previous.name_at, previous.name_len)), name) {
                return fail(tensor.name_at, HeaderFault::Order);
            }
            previous = tensor;
            tensors += 1;
        }
        tri!(cursor.expect(b'}'));
        cursor.skip_space();
        if cursor.at != data_at {
            return fail(cursor.at, HeaderFault::Json);
        }
        if data_at as u64 + previous.begin as u64 + previous.len as u64 != cursor.bytes.len() as u64 {
            return fail(data_at, HeaderFault::Length);
        }
        Ok((Header { entries_at, metadata_at, plan_at: data_at, data_at }, tensors))
    }
}

/// Walks the entries of a checked header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Entries<'a> {
    /// The first `left` entries.
    pub(crate) const fn new(bytes: &'a [u8], header: &Header, left: u32) -> Self {
        Self { cursor: Cursor { bytes, at: header.entries_at, end: header.data_at }, left }
    }

    pub(crate) const fn next(&mut self) -> Option<Tensor> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        match self.cursor.tensor() {
            Ok(tensor) => {
                self.cursor.eat(b',');
                Some(tensor)
            }
            Err(_) => None,
        }
    }

    /// The number of entries left.
    pub(crate) const fn left(&self) -> u32 {
        self.left
    }

    /// The name of a tensor.
    pub(crate) const fn name(&self, tensor: &Tensor) -> &'a str {
        match core::str::from_utf8(slice(self.cursor.bytes, tensor.name_at, tensor.name_len)) {
            Ok(name) => name,
            Err(_) => "",
        }
    }
}

/// The value of `key` in a checked metadata object; escapes are not resolved.
pub(crate) const fn metadata<'a>(bytes: &'a [u8], header: &Header, key: &[u8]) -> Option<&'a [u8]> {
    if header.metadata_at == 0 {
        return None;
    }
    let mut cursor = Cursor { bytes, at: header.metadata_at, end: header.data_at };
    loop {
        let Ok(found) = cursor.string(false) else { return None };
        if !cursor.eat(b':') {
            return None;
        }
        let Ok((start, len)) = cursor.string(true) else { return None };
        if same(cursor.text(found), key) {
            return Some(slice(bytes, start, len));
        }
        if !cursor.eat(b',') {
            return None;
        }
    }
}
