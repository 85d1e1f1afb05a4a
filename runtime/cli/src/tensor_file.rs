//! Tensors in files: raw little-endian bytes (`.bin`), or NumPy arrays (`.npy`).
//!
//! A file may hold several tensors of one kind one after another. It is then a stream, and each tensor is one
//! inference. A `.npy` of a stream has the count as its first dimension: before the tensor's dimensions, or in place of
//! a leading 1.

use crate::error::{Error, Result};
use crate::npy;
#[cfg(feature = "commands")]
use crate::output_file::OutputFile;
use crate::table::bytes;
use std::fmt;
use std::path::Path;
use tealight_format::{DType, Quantization, Value};

/// The properties of one tensor in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorKind {
    /// Its name in messages: "input 0".
    pub name: String,
    /// Type of its elements.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: Vec<u64>,
    /// What its integers represent.
    pub quantization: Quantization,
    /// Bytes of one tensor.
    pub len: usize,
}

/// Tensors of one kind, one after another, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    data: Vec<u8>,
    /// Offset of the first tensor.
    at: usize,
    /// Bytes of each.
    len: usize,
}

impl Stream {
    /// The tensors of `len` bytes in `data`, whose length is a multiple of that.
    pub(crate) const fn new(data: Vec<u8>, len: usize) -> Self {
        Self { data, at: 0, len }
    }

    /// Returns the number of tensors.
    pub(crate) fn count(&self) -> usize {
        (self.data.len() - self.at) / self.len
    }

    /// Returns the bytes of all tensors.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.data.split_off(self.at)
    }

    /// Returns the bytes of tensor `k`, which must be below the count.
    pub(crate) fn get(&self, k: usize) -> &[u8] {
        &self.data[self.at + k * self.len..][..self.len]
    }
}

impl TensorKind {
    /// Returns the kind of a model's input or output.
    pub(crate) fn of(name: String, value: &Value) -> Self {
        Self {
            name,
            dtype: value.dtype,
            shape: value.shape.dims().iter().map(|dim| u64::from(*dim)).collect(),
            quantization: value.quantization,
            len: value.whole_len() as usize,
        }
    }

    /// Reads the tensors in the file `path`.
    ///
    /// # Errors
    /// The file cannot be read, does not hold a whole number of tensors of this kind, or is empty.
    pub(crate) fn read(&self, path: &Path) -> Result<Stream> {
        let data = std::fs::read(path).map_err(|error| cannot_read(path, error))?;
        let is_npy = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
        let (data, at) = if is_npy || data.starts_with(npy::MAGIC) {
            let header = self.check_npy(path, &data)?;
            match header.in_c_order(&data[header.data_at..], self.dtype.size() as usize) {
                Some(elements) => (elements, 0),
                None => (data, header.data_at),
            }
        } else {
            (data, 0)
        };
        let found = data.len() - at;
        if found == 0 || !found.is_multiple_of(self.len) {
            let found_is = if found == 0 { "nothing".to_string() } else { bytes(found as u64) };
            return Err(Error::new(format!("`{}` does not fit {}: it holds {found_is}", path.display(), self.name))
                .cause(format!("{self} takes {}, or a multiple of that for a stream", bytes(self.len as u64)))
                .help(self.help()));
        }
        Ok(Stream { data, at, len: self.len })
    }

    /// Checks type and shape; the shape of the returned header then matches the elements after it.
    fn check_npy(&self, path: &Path, data: &[u8]) -> Result<npy::Header> {
        let refuse = |cause: String| {
            Error::new(format!("`{}` does not fit {}", path.display(), self.name)).cause(cause).help(self.help())
        };
        let header = npy::Header::parse(data).map_err(|error| {
            Error::new(format!("cannot read `{}`", path.display())).cause(error).help("write it with `numpy.save`")
        })?;
        let expected = format!("expected '{}' {:?}", npy::descr(self.dtype), self.shape);
        if header.dtype() != Some(self.dtype) {
            return Err(refuse(format!("{expected}, found type '{}'", header.descr)));
        }
        let Some(count) = self.count_of(&header.shape) else {
            return Err(refuse(format!("{expected}, found shape {:?}", header.shape)));
        };
        let found = data.len() - header.data_at;
        if count.checked_mul(self.len as u64) != Some(found as u64) {
            return Err(refuse(format!(
                "shape {:?} does not match the {} after the header",
                header.shape,
                bytes(found as u64)
            )));
        }
        Ok(header)
    }

    /// Returns how many tensors of this kind an array of `shape` holds.
    fn count_of(&self, shape: &[u64]) -> Option<u64> {
        match (shape, &self.shape[..]) {
            (shape, own) if shape == own => Some(1),
            ([count, rest @ ..], own) if rest == own => Some(*count),
            ([count, rest @ ..], [1, own @ ..]) if rest == own => Some(*count),
            _ => None,
        }
    }

    /// Returns the shape of an array of `count` tensors of this kind.
    fn shape_of(&self, count: usize) -> Vec<u64> {
        match &self.shape[..] {
            own if count == 1 => own.to_vec(),
            [1, rest @ ..] => [&[count as u64], rest].concat(),
            own => [&[count as u64], own].concat(),
        }
    }

    /// Describes how to write such a file from real values.
    fn help(&self) -> String {
        let Quantization { scale, zero_point } = self.quantization;
        if scale > 0.0 && matches!(self.dtype, DType::I8 | DType::U8 | DType::I16) {
            let sign = if zero_point < 0 { '-' } else { '+' };
            let zero_point = zero_point.unsigned_abs();
            format!("from floating-point values x: round(x / {scale}) {sign} {zero_point}, clipped to the type")
        } else {
            "a file may hold one after another for several inferences".into()
        }
    }

    /// Returns the real values of a tensor.
    pub(crate) fn to_f32(&self, bytes: &[u8]) -> Vec<f32> {
        self.numbers(bytes).map(|number| self.floats_of(number)).collect()
    }

    /// Returns the real value of an element.
    pub(crate) fn floats_of(&self, number: f64) -> f32 {
        let Quantization { scale, zero_point } = self.quantization;
        if scale > 0.0 && self.dtype != DType::F32 {
            ((number - f64::from(zero_point)) * f64::from(scale)) as f32
        } else {
            number as f32
        }
    }

    /// Iterates over the elements as they are stored.
    pub(crate) fn numbers<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = f64> + use<'a> {
        let dtype = self.dtype;
        bytes.chunks_exact(dtype.size() as usize).map(move |element| match (dtype, element) {
            (DType::I8, [a]) => f64::from(*a as i8),
            (DType::I16, [a, b]) => f64::from(i16::from_le_bytes([*a, *b])),
            (DType::I32, [a, b, c, d]) => f64::from(i32::from_le_bytes([*a, *b, *c, *d])),
            (DType::F32, [a, b, c, d]) => f64::from(f32::from_le_bytes([*a, *b, *c, *d])),
            (_, [a, ..]) => f64::from(*a),
            (_, []) => 0.0,
        })
    }
}

impl fmt::Display for TensorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {:?})", self.name, self.dtype.name(), self.shape)
    }
}

/// The error of a file that cannot be read.
pub(crate) fn cannot_read(path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{IsADirectory, NotFound};
    let help = match error.kind() {
        NotFound => "check the path",
        IsADirectory => "give a file in this folder",
        _ => "check that it is a readable file",
    };
    Error::new(format!("cannot read `{}`", path.display())).cause(error).help(help)
}

#[cfg(feature = "commands")]
/// Starts the file of `count` inferences' outputs: with a header if its name ends in `.npy`.
///
/// # Errors
/// The file cannot be created, or is a `.npy` for several outputs.
pub(crate) fn create_output(path: &Path, outputs: &[TensorKind], count: usize, read: &[&Path]) -> Result<OutputFile> {
    let is_npy = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
    let mut file = OutputFile::create(path, read)?;
    match outputs {
        [output] if is_npy => file.write(&npy::header(output.dtype, &output.shape_of(count)))?,
        _ if is_npy => {
            return Err(Error::new(format!("cannot write `{}`", path.display()))
                .cause(format!("a .npy file holds one array, but the model has {} outputs", outputs.len()))
                .help("name a .bin file: it takes the outputs one after another, inference by inference"));
        }
        _ => {}
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(dtype: DType, shape: &[u64]) -> TensorKind {
        let len = (shape.iter().product::<u64>() as u32 * dtype.size()) as usize;
        TensorKind {
            name: "input 0".into(),
            dtype,
            shape: shape.to_vec(),
            quantization: Quantization::new(0.5, 3),
            len,
        }
    }

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn a_raw_file_is_divided_into_tensors() {
        let (_folder, path) = write("a.bin", &[1, 2, 3, 4, 5, 6]);
        let stream = kind(DType::I8, &[1, 3]).read(&path).unwrap();
        assert_eq!((stream.count(), stream.get(1)), (2, &[4, 5, 6][..]));
    }

    #[test]
    fn a_raw_file_of_another_size_is_refused_with_both_sizes() {
        let (_folder, path) = write("a.bin", &[0; 7]);
        let error = kind(DType::I16, &[1, 2]).read(&path).unwrap_err().to_string();
        for part in ["a.bin", "7 B", "input 0 (I16 [1, 2])", "4 B", "round(x / 0.5) + 3"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        let (_folder, path) = write("empty.bin", &[]);
        assert!(kind(DType::I8, &[1]).read(&path).unwrap_err().to_string().contains("holds nothing"));
    }

    #[test]
    fn accepts_the_count_before_the_shape_or_as_the_first_dimension() {
        let kind = kind(DType::I8, &[1, 2]);
        for (shape, count) in [(&[1, 2][..], 1), (&[3, 2], 3), (&[3, 1, 2], 3)] {
            let data = [npy::header(DType::I8, shape), vec![9; 2 * count]].concat();
            let (_folder, path) = write("a.npy", &data);
            assert_eq!(kind.read(&path).unwrap().count(), count);
        }
        assert_eq!(kind.shape_of(1), [1, 2]);
        assert_eq!(kind.shape_of(3), [3, 2]);
    }

    #[test]
    fn arrays_of_another_type_shape_or_length_are_refused() {
        let kind = kind(DType::I8, &[1, 2]);
        let refused = |bytes: Vec<u8>| {
            let (_folder, path) = write("a.npy", &bytes);
            kind.read(&path).unwrap_err().to_string()
        };
        assert!(refused([npy::header(DType::F32, &[1, 2]), vec![0; 8]].concat()).contains("found type '<f4'"));
        assert!(refused([npy::header(DType::I8, &[2, 1]), vec![0; 2]].concat()).contains("found shape [2, 1]"));
        assert!(refused([npy::header(DType::I8, &[1, 2]), vec![0; 3]].concat()).contains("3 B after the header"));
        assert!(refused([npy::header(DType::I8, &[0, 2]), vec![]].concat()).contains("holds nothing"));
        assert!(refused(b"no array".to_vec()).contains("magic"));
    }

    #[test]
    fn dequantizes_elements() {
        assert_eq!(kind(DType::I8, &[2]).to_f32(&[3, 0xff]), [0.0, -2.0]);
        assert_eq!(kind(DType::I16, &[1]).to_f32(&[0, 1]), [126.5]);
        assert_eq!(kind(DType::F32, &[1]).to_f32(&2.5f32.to_le_bytes()), [2.5]);
    }
}
