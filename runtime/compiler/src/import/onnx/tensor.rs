//! Reads constants: initializers and attributes that are tensors, inside the file or in files beside it.

use super::constant::{Constant, count};
use crate::diag::OnnxError;
use crate::ir::bytes::Bytes;
use crate::ir::graph::ElementType;
use crate::limit::Limit;
use rten_onnx::onnx::{DataLocation, DataType, StringStringEntryProto, TensorProto};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use tealight_kernels::float::f16;

/// The maximum number of dimensions of a constant.
const MAX_DIMENSIONS: usize = 32;

type Result<T> = std::result::Result<T, OnnxError>;

/// Returns the type that elements of a file become; `None` for types that are not read. All floating-point numbers
/// become float32, and unsigned integers signed ones that hold them.
pub(super) fn element_type(code: DataType) -> Option<ElementType> {
    Some(match code {
        DataType::BFLOAT16 => ElementType::F32,
        DataType::UINT16 => ElementType::I32,
        DataType::UINT32 | DataType::UINT64 => ElementType::I64,
        code => return computed_type(code),
    })
}

/// Returns the type that a Cast to this type computes; `None` for types in which numbers are not computed. Float64 and
/// half precision are computed in float32.
pub(super) fn computed_type(code: DataType) -> Option<ElementType> {
    Some(match code {
        DataType::FLOAT | DataType::FLOAT16 | DataType::DOUBLE => ElementType::F32,
        DataType::UINT8 => ElementType::U8,
        DataType::INT8 => ElementType::I8,
        DataType::INT16 => ElementType::I16,
        DataType::INT32 => ElementType::I32,
        DataType::INT64 => ElementType::I64,
        DataType::BOOL => ElementType::Bool,
        _ => return None,
    })
}

/// Returns the name of a type of elements, for messages.
pub(super) fn type_name(code: DataType) -> String {
    match code {
        DataType::FLOAT => "float32",
        DataType::FLOAT16 => "float16",
        DataType::BFLOAT16 => "bfloat16",
        DataType::UINT8 => "uint8",
        DataType::INT8 => "int8",
        DataType::UINT16 => "uint16",
        DataType::INT16 => "int16",
        DataType::UINT32 => "uint32",
        DataType::INT32 => "int32",
        DataType::UINT64 => "uint64",
        DataType::INT64 => "int64",
        DataType::BOOL => "bool",
        DataType::STRING => "string",
        DataType::DOUBLE => "float64",
        DataType::UINT4 => "uint4",
        DataType::INT4 => "int4",
        DataType(code) => return format!("type {code}"),
    }
    .into()
}

/// Reads constants, with the files that their data lie in.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The folder of the network's file; `None` if only its bytes are known.
    folder: Option<&'a Path>,
    limit: &'a Limit,
    files: HashMap<PathBuf, Data>,
    /// How many float64 constants hold numbers that float32 does not hold exactly.
    pub(super) rounded: usize,
    /// Whether there are constants of float16.
    pub(super) halves: bool,
}

/// A file of data beside the network.
#[derive(Debug)]
struct Data {
    file: File,
    len: u64,
    /// The bytes of the ranges that were read. They are limited to the file's length, so ranges that overlap do not
    /// take more memory than the file.
    read: u64,
    ranges: HashMap<(u64, usize), Bytes>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(folder: Option<&'a Path>, limit: &'a Limit) -> Self {
        Self { folder, limit, files: HashMap::new(), rounded: 0, halves: false }
    }

    /// Reads a constant.
    pub(super) fn read(&mut self, tensor: TensorProto, name: &str) -> Result<Constant> {
        let wrong = |what: String| OnnxError::Constant { tensor: name.to_string(), what };
        let code = tensor.data_type.unwrap_or(DataType(0));
        let dtype = element_type(code).ok_or_else(|| {
            wrong(format!(
                "is {}; accepted: floating-point numbers and integers of 8 to 64 bits, and bool",
                type_name(code)
            ))
        })?;
        if tensor.dims.len() > MAX_DIMENSIONS {
            return Err(wrong(format!("has {} dimensions", tensor.dims.len())));
        }
        let shape: Option<Vec<u32>> = tensor.dims.iter().map(|&dim| u32::try_from(dim).ok()).collect();
        let shape = shape.ok_or_else(|| wrong(format!("has the shape {:?}", tensor.dims)))?;
        let item = match code {
            DataType::FLOAT16 | DataType::BFLOAT16 | DataType::UINT16 => 2,
            DataType::UINT32 => 4,
            DataType::DOUBLE => 8,
            _ => dtype.size().unwrap_or(1),
        };
        let needed = count(&shape).and_then(|elements| elements.checked_mul(item));
        let needed = needed.ok_or_else(|| wrong(format!("has the shape {shape:?}, which is too large")))?;
        let bytes = if tensor.data_location == Some(DataLocation::EXTERNAL) {
            self.external(&tensor.external_data, name, needed)?
        } else {
            match tensor.raw_data {
                Some(raw) => raw.into_inner().into(),
                None => typed(&tensor, code).ok_or_else(|| wrong("has values that its type does not have".into()))?,
            }
        };
        if bytes.len() != needed {
            return Err(wrong(format!("has {} bytes of data, where its shape {shape:?} needs {needed}", bytes.len())));
        }
        let bytes = match code {
            DataType::FLOAT16 => {
                self.halves = true;
                bytes.as_chunks().0.iter().flat_map(|half| f16::from_le_bytes(*half).to_f32().to_le_bytes()).collect()
            }
            DataType::BFLOAT16 => bytes.as_chunks::<2>().0.iter().flat_map(|half| [0, 0, half[0], half[1]]).collect(),
            DataType::UINT16 => bytes.as_chunks::<2>().0.iter().flat_map(|short| [short[0], short[1], 0, 0]).collect(),
            DataType::UINT32 => {
                let words = bytes.as_chunks().0.iter();
                words.flat_map(|word| u64::from(u32::from_le_bytes(*word)).to_le_bytes()).collect()
            }
            DataType::UINT64 => {
                let mut words = bytes.as_chunks().0.iter();
                match words.find(|word| u64::from_le_bytes(**word) > i64::MAX as u64) {
                    Some(word) => {
                        return Err(wrong(format!("holds {}, which int64 does not", u64::from_le_bytes(*word))));
                    }
                    None => bytes,
                }
            }
            DataType::DOUBLE => self.narrowed(&bytes).map_err(wrong)?,
            _ => bytes,
        };
        Ok(Constant { dtype, shape, bytes })
    }

    /// Returns float64 numbers as float32; the error says which is out of its range.
    fn narrowed(&mut self, bytes: &[u8]) -> std::result::Result<Bytes, String> {
        let mut exact = true;
        let narrow = |bytes: &[u8; 8]| {
            let wide = f64::from_le_bytes(*bytes);
            let narrow = wide as f32;
            exact &= f64::from(narrow) == wide || wide.is_nan();
            if narrow.is_finite() == wide.is_finite() {
                Ok(narrow.to_le_bytes())
            } else {
                Err(format!("holds {wide:e}, which float32 does not"))
            }
        };
        let floats: Vec<[u8; 4]> = bytes.as_chunks().0.iter().map(narrow).collect::<std::result::Result<_, _>>()?;
        self.rounded += usize::from(!exact);
        Ok(floats.concat().into())
    }

    /// Reads `needed` bytes of a file beside the network.
    fn external(&mut self, entries: &[StringStringEntryProto], name: &str, needed: usize) -> Result<Bytes> {
        let value = |key: &str| {
            let entry = entries.iter().find(|entry| entry.key.as_deref() == Some(key));
            entry.and_then(|entry| entry.value.as_deref())
        };
        let location = value("location").unwrap_or_default();
        let refused =
            |what: String| OnnxError::External { tensor: name.to_string(), location: location.to_string(), what };
        let Some(folder) = self.folder else {
            return Err(refused("only the network's own bytes are known here; give the path of its file".into()));
        };
        let number = |key: &str| value(key).map(|text| text.trim().parse::<u64>()).transpose();
        let (Ok(offset), Ok(length)) = (number("offset"), number("length")) else {
            return Err(refused("its offset or length is not a number".into()));
        };
        let offset = offset.unwrap_or(0);
        if length.is_some_and(|length| length != needed as u64) {
            return Err(refused(format!(
                "its length is stated as {}, but its shape needs {needed}",
                length.unwrap_or(0)
            )));
        }
        let path = inside(folder, location).map_err(&refused)?;
        if !self.files.contains_key(&path) {
            let open = || -> std::io::Result<Data> {
                let file = File::open(&path)?;
                let len = file.metadata()?.len();
                Ok(Data { file, len, read: 0, ranges: HashMap::new() })
            };
            let data = open().map_err(|error| refused(format!("it cannot be read: {error}")))?;
            self.files.insert(path.clone(), data);
        }
        let Some(data) = self.files.get_mut(&path) else { return Err(refused("it cannot be read".into())) };
        if let Some(bytes) = data.ranges.get(&(offset, needed)) {
            return Ok(bytes.clone());
        }
        if offset.checked_add(needed as u64).is_none_or(|end| end > data.len) {
            return Err(refused(format!("bytes {offset} to {offset} + {needed} are not in it: it has {}", data.len)));
        }
        data.read = data.read.saturating_add(needed as u64);
        if data.read > data.len {
            return Err(refused("its constants overlap".into()));
        }
        let mut bytes = vec![0; needed];
        let read = data.file.seek(SeekFrom::Start(offset)).and_then(|_| data.file.read_exact(&mut bytes));
        read.map_err(|error| refused(format!("it cannot be read: {error}")))?;
        self.limit.hold(needed as u64);
        let bytes = Bytes::from(bytes);
        data.ranges.insert((offset, needed), bytes.clone());
        Ok(bytes)
    }
}

/// Returns the path of a file inside of `folder`; the error says why it is not one.
fn inside(folder: &Path, location: &str) -> std::result::Result<PathBuf, String> {
    let relative = Path::new(location);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || !relative.components().all(plain) {
        return Err("accepted: a file in the folder of the network, by a relative path without `..`".into());
    }
    let read = |error: std::io::Error| format!("it cannot be read: {error}; put it beside the network");
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = folder.canonicalize().map_err(read)?;
    let path = folder.join(relative).canonicalize().map_err(read)?;
    if !path.starts_with(&folder) {
        return Err("it is a link that leads out of the folder of the network".into());
    }
    if !path.is_file() {
        return Err("it is not a regular file".into());
    }
    Ok(path)
}

/// Returns the bytes of elements that are stored one by one; `None` if one does not fit its type.
fn typed(tensor: &TensorProto, code: DataType) -> Option<Bytes> {
    let words = &tensor.int32_data;
    Some(match code {
        DataType::FLOAT => tensor.float_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DataType::INT64 => tensor.int64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DataType::INT32 => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        DataType::DOUBLE => tensor.double_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DataType::INT16 => {
            let shorts: Vec<i16> = words.iter().map(|&word| i16::try_from(word).ok()).collect::<Option<_>>()?;
            shorts.iter().flat_map(|short| short.to_le_bytes()).collect()
        }
        DataType::FLOAT16 | DataType::BFLOAT16 | DataType::UINT16 => {
            let bits: Vec<u16> = words.iter().map(|&word| u16::try_from(word).ok()).collect::<Option<_>>()?;
            bits.iter().flat_map(|bits| bits.to_le_bytes()).collect()
        }
        DataType::INT8 => {
            let bytes: Vec<i8> = words.iter().map(|&word| i8::try_from(word).ok()).collect::<Option<_>>()?;
            bytes.iter().map(|byte| byte.cast_unsigned()).collect()
        }
        DataType::UINT8 | DataType::BOOL => {
            let bytes: Vec<u8> = words.iter().map(|&word| u8::try_from(word).ok()).collect::<Option<_>>()?;
            bytes.into()
        }
        _ => return None,
    })
}
