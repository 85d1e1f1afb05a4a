//! The header of NumPy's `.npy` files, as far as tensors of the model's types need it.
//!
//! Written from the format's description, `numpy.lib.format`, versions 1.0 to 3.0: eight bytes of magic and version,
//! the length of the header, a Python dictionary with the keys `descr`, `fortran_order` and `shape`, then the elements.

use std::fmt;
use tealight_format::DType;

/// The start of every file.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// The offset of the elements is a multiple of this.
const ALIGNMENT: usize = 64;

/// The content of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The type as NumPy writes it: `<i2`, `|i1`.
    pub descr: String,
    /// Whether the first dimension is the innermost.
    pub fortran_order: bool,
    /// The dimensions.
    pub shape: Vec<u64>,
    /// Where the elements start in the file.
    pub data_at: usize,
}

/// Why a header was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NpyError {
    /// The file ends within the header.
    #[error("the file ends within the .npy header")]
    Truncated,
    /// The file does not start with the magic bytes.
    #[error("the file does not start with the .npy magic bytes")]
    Magic,
    /// The version is not known.
    #[error(".npy version {0} is not known")]
    Version(u8),
    /// The dictionary does not describe a plain array.
    #[error("the .npy header is not that of a plain array, at byte {at}")]
    Dictionary {
        /// The byte offset from the start of the file.
        at: usize,
    },
}

impl Header {
    /// Reads the header at the start of `file`.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, NpyError> {
        if !file.starts_with(MAGIC) {
            return Err(NpyError::Magic);
        }
        let byte = |at: usize| file.get(at).copied().map(usize::from).ok_or(NpyError::Truncated);
        let (start, len) = match byte(6)? {
            1 => (10, byte(8)? | byte(9)? << 8),
            2 | 3 => (12, byte(8)? | byte(9)? << 8 | byte(10)? << 16 | byte(11)? << 24),
            version => return Err(NpyError::Version(version as u8)),
        };
        let data_at = len.checked_add(start).filter(|end| *end <= file.len()).ok_or(NpyError::Truncated)?;
        let mut scanner = Scanner { text: &file[..data_at], at: start };
        scanner
            .dictionary()
            .map(|(descr, fortran_order, shape)| Self { descr, fortran_order, shape, data_at })
            .ok_or(NpyError::Dictionary { at: scanner.at })
    }

    /// Returns the type of the elements, if it is one of a model's types and little-endian.
    pub(crate) fn dtype(&self) -> Option<DType> {
        Some(match self.descr.as_str() {
            "|i1" | "<i1" | ">i1" => DType::I8,
            "|u1" | "<u1" | ">u1" => DType::U8,
            "<i2" => DType::I16,
            "<i4" => DType::I32,
            "<f4" => DType::F32,
            _ => return None,
        })
    }

    /// Returns the elements, of `size` bytes each, in C order if they are stored in Fortran order. `None` if they need
    /// not be moved, or the length of `elements` does not match the shape.
    pub(crate) fn in_c_order(&self, elements: &[u8], size: usize) -> Option<Vec<u8>> {
        // Dimensions of 1 move nothing. The number of the others is at most the number of binary digits of the element
        // count.
        let dims = self.shape.iter().filter(|dim| **dim != 1).map(|dim| usize::try_from(*dim).ok());
        let dims: Vec<usize> = dims.collect::<Option<_>>()?;
        let len = dims.iter().try_fold(size, |len, dim| len.checked_mul(*dim))?;
        if !self.fortran_order || dims.len() < 2 || len != elements.len() || len == 0 {
            return None;
        }
        let strides: Vec<usize> = dims
            .iter()
            .scan(size, |next, dim| {
                let stride = *next;
                *next *= dim;
                Some(stride)
            })
            .collect();
        let mut ordered = Vec::with_capacity(len);
        let mut index = vec![0; dims.len()];
        let mut from = 0;
        while ordered.len() < len {
            ordered.extend_from_slice(&elements[from..from + size]);
            for k in (0..dims.len()).rev() {
                index[k] += 1;
                from += strides[k];
                if index[k] < dims[k] {
                    break;
                }
                from -= strides[k] * dims[k];
                index[k] = 0;
            }
        }
        Some(ordered)
    }
}

/// Returns NumPy's name of a type.
pub(crate) fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 => "|i1",
        // Of I4, the packed bytes.
        DType::U8 | DType::I4 => "|u1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::F32 => "<f4",
        DType::F16 => "<f2",
    }
}

/// Returns the bytes before the elements of an array.
pub(crate) fn header(dtype: DType, shape: &[u64]) -> Vec<u8> {
    let dims: String = shape.iter().map(|dim| format!("{dim}, ")).collect();
    // In Python, a tuple of one element keeps its comma.
    let dims = if shape.len() == 1 { dims.trim_end() } else { dims.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({dims}), }}", descr(dtype));
    let start = MAGIC.len() + 4;
    while !(start + text.len() + 1).is_multiple_of(ALIGNMENT) {
        text.push(' ');
    }
    text.push('\n');
    // At most six dimensions of up to twenty digits are far below the 65,535 bytes of version 1.
    let len = text.len() as u16;
    [MAGIC, &[1, 0], &len.to_le_bytes(), text.as_bytes()].concat()
}

/// Reads the small part of Python's syntax that headers use.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn dictionary(&mut self) -> Option<(String, bool, Vec<u64>)> {
        let (mut descr, mut order, mut shape) = (None, None, None);
        self.eat(b'{')?;
        while self.peek() != Some(b'}') {
            let key = self.string()?;
            self.eat(b':')?;
            match key.as_str() {
                "descr" => descr = Some(self.string()?),
                "fortran_order" => order = Some(self.boolean()?),
                "shape" => shape = Some(self.tuple()?),
                _ => return None,
            }
            if self.peek() != Some(b'}') {
                self.eat(b',')?;
            }
        }
        Some((descr?, order?, shape?))
    }

    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let start = self.at + 1;
        let len = self.text.get(start..)?.iter().position(|byte| *byte == quote)?;
        self.at = start + len + 1;
        String::from_utf8(self.text[start..start + len].to_vec()).ok()
    }

    fn boolean(&mut self) -> Option<bool> {
        self.peek()?;
        let rest = &self.text[self.at..];
        let value = if rest.starts_with(b"True") {
            true
        } else if rest.starts_with(b"False") {
            false
        } else {
            return None;
        };
        self.at += if value { 4 } else { 5 };
        Some(value)
    }

    fn tuple(&mut self) -> Option<Vec<u64>> {
        let mut dims = Vec::new();
        self.eat(b'(')?;
        while self.peek()? != b')' {
            dims.push(self.integer()?);
            if self.peek()? != b')' {
                self.eat(b',')?;
            }
        }
        self.eat(b')')?;
        Some(dims)
    }

    fn integer(&mut self) -> Option<u64> {
        let start = self.at;
        while self.text.get(self.at)?.is_ascii_digit() {
            self.at += 1;
        }
        std::str::from_utf8(&self.text[start..self.at]).ok()?.parse().ok()
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' {:?}", self.descr, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for shape in [&[][..], &[7], &[1, 49, 10, 1], &[u64::MAX; 6]] {
            for dtype in [DType::I8, DType::U8, DType::I16, DType::I32, DType::F32] {
                let bytes = header(dtype, shape);
                assert_eq!(bytes.len() % ALIGNMENT, 0);
                let read = Header::parse(&bytes).unwrap();
                assert_eq!((read.dtype(), &read.shape[..], read.data_at), (Some(dtype), shape, bytes.len()));
                assert!(!read.fortran_order);
            }
        }
    }

    #[test]
    fn converts_fortran_order_to_c_order_for_any_rank_and_type() {
        for shape in [&[][..], &[5], &[2, 3], &[1, 7, 1], &[3, 1, 2, 4], &[2, 2, 2, 2, 2, 3], &[1; 300]] {
            for size in [1, 2, 4, 8] {
                let header = Header { descr: String::new(), fortran_order: true, shape: shape.to_vec(), data_at: 0 };
                let count = shape.iter().product::<u64>();
                // Moves element i of the C order to its position in Fortran order.
                let mut stored = vec![0; count as usize * size];
                for i in 0..count {
                    let (mut rest, mut stride, mut at) = (i, count, 0);
                    for dim in shape.iter().rev() {
                        stride /= dim;
                        at += rest % dim * stride;
                        rest /= dim;
                    }
                    stored[at as usize * size..][..size].copy_from_slice(&i.to_le_bytes()[..size]);
                }
                let expected: Vec<u8> = (0..count).flat_map(|i| i.to_le_bytes()[..size].to_vec()).collect();
                let found = header.in_c_order(&stored, size).unwrap_or(stored);
                assert_eq!(found, expected, "{shape:?} of {size} bytes");
            }
        }
    }

    #[test]
    fn a_shape_of_another_size_than_the_elements_changes_nothing() {
        for shape in [vec![u64::MAX; 4], vec![1 << 33, 1 << 33], vec![0, 3], vec![2, 4]] {
            let header = Header { descr: String::new(), fortran_order: true, shape, data_at: 0 };
            assert_eq!(header.in_c_order(&[0; 6], 1), None);
        }
    }

    #[test]
    fn a_header_that_nests_deeply_is_refused_at_once() {
        for text in [
            "{'descr': ".to_string() + &"(".repeat(60_000),
            "{".repeat(60_000),
            "{'shape': ".to_string() + &"(".repeat(60_000),
        ] {
            let len = (text.len() as u16).to_le_bytes();
            let file = [MAGIC, &[1, 0], &len, text.as_bytes()].concat();
            assert!(matches!(Header::parse(&file), Err(NpyError::Dictionary { at }) if at < 30), "{}", &text[..20]);
        }
    }

    #[test]
    fn headers_of_all_versions_are_read() {
        let text = b"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
        let len = text.len() as u32;
        for (version, len) in [(1, &len.to_le_bytes()[..2]), (2, &len.to_le_bytes()), (3, &len.to_le_bytes())] {
            let file = [MAGIC, &[version, 0], len, text].concat();
            let header = Header::parse(&file).unwrap();
            assert_eq!((header.fortran_order, header.data_at), (true, file.len()));
            assert_eq!(Header::parse(&file[..file.len() - 1]), Err(NpyError::Truncated));
        }
        let endless = [MAGIC, &[2, 0], &[0xff; 4], text].concat();
        assert_eq!(Header::parse(&endless), Err(NpyError::Truncated));
        assert_eq!(Header::parse(&[MAGIC, &[4, 0], &[0; 4]].concat()), Err(NpyError::Version(4)));
    }

    #[test]
    fn a_header_of_numpy_2_is_written_byte_for_byte() {
        // `numpy.save` of `numpy.zeros((2, 3), dtype=numpy.int8)`.
        let numpy = b"\x93NUMPY\x01\x00v\x00{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }";
        let mine = header(DType::I8, &[2, 3]);
        assert!(mine.starts_with(numpy));
        assert_eq!(mine.len(), 128);
        assert_eq!(mine.last(), Some(&b'\n'));
    }

    #[test]
    fn rejects_headers_with_any_damage() {
        let good = header(DType::I16, &[3, 4]);
        for len in 0..good.len() {
            assert!(Header::parse(&good[..len]).is_err(), "{len} bytes");
        }
        for at in 0..good.len() {
            for value in [0, b'(', b'}', b'\'', 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = Header::parse(&bad);
            }
        }
        let structured = good.iter().map(|b| if *b == b'<' { b'[' } else { *b }).collect::<Vec<_>>();
        assert_eq!(Header::parse(&structured).unwrap().dtype(), None);
    }
}
