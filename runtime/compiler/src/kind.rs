//! Detects the kind of a file, so that a message can name it and explain how to convert it.
//!
//! Only the first bytes and the names at the front of a zip file are examined: the result is a guess for a message, not
//! a check.

use std::fmt;
use std::path::Path;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// TensorFlow Lite, which can be compiled.
    Tflite,
    /// GGUF, which can be compiled.
    Gguf,
    /// A model file written by this compiler.
    Tealight,
    /// Safetensors with weights, without a network.
    Weights,
    /// ONNX, which can be compiled.
    Onnx,
    /// PyTorch's `torch.save` or TorchScript: a zip of pickles, or one pickle.
    PyTorch,
    /// ExecuTorch.
    ExecuTorch,
    /// Keras 3.
    Keras,
    /// Keras 2, or weights of Keras: HDF5.
    Hdf5,
    /// A folder with a `saved_model.pb`, or that file.
    SavedModel,
    /// A folder with a model of Hugging Face's Transformers.
    HuggingFace,
    /// A frozen TensorFlow graph.
    FrozenGraph,
    /// Core ML.
    CoreMl,
    /// The older GGML formats.
    Ggml,
    /// MediaPipe's `.task` and other zips with a `.tflite` in them.
    ZippedTflite,
    /// C source code that contains a model.
    CArray,
    /// OpenVINO's description of a network.
    OpenVino,
    /// TensorFlow.js's description of a network.
    TensorFlowJs,
    /// NumPy's `.npy`.
    Npy,
    /// NumPy's `.npz`.
    Npz,
    /// A Git LFS pointer in place of a large file.
    LfsPointer,
    /// A web page.
    WebPage,
    /// An archive or compressed file.
    Archive(&'static str),
    /// Another kind that is recognized by its first bytes.
    Other(&'static str),
    /// Text.
    Text,
    /// An empty file.
    Empty,
    /// An unknown kind.
    Unknown,
}

/// How to convert a TensorFlow model to a `.tflite` file.
const FROM_KERAS: &str = "convert the model with tf.lite.TFLiteConverter.from_keras_model, and give the .tflite";
const FROM_SAVED_MODEL: &str = "convert its folder with tf.lite.TFLiteConverter.from_saved_model, and give the .tflite";
const FROM_PYTORCH: &str = "export the model with torch.onnx.export, or convert it with litert-torch (litert_torch.convert), and give that file";
const READ: &str = "give a .tflite, .onnx or .gguf file";

impl FileKind {
    /// Returns what the user can do to get a file that can be compiled.
    pub fn way(self) -> &'static str {
        match self {
            Self::Tflite | Self::Gguf | Self::Onnx => "compile it with `tealight compile`",
            Self::Tealight => {
                "run it with `tealight run`, or give the .tflite, .onnx or .gguf file that it was made from"
            }
            Self::Weights => "it holds no network: give the .tflite, .onnx or .gguf file of the network",
            Self::PyTorch | Self::ExecuTorch => FROM_PYTORCH,
            Self::Keras | Self::Hdf5 => FROM_KERAS,
            Self::SavedModel => FROM_SAVED_MODEL,
            Self::HuggingFace => "convert it with llama.cpp's convert_hf_to_gguf.py, and give the .gguf",
            Self::FrozenGraph => {
                "convert it with tf.compat.v1.lite.TFLiteConverter.from_frozen_graph, and give the .tflite"
            }
            Self::CoreMl | Self::OpenVino | Self::TensorFlowJs => {
                "convert the model that it was made from to TensorFlow Lite, and give the .tflite"
            }
            Self::Ggml => "convert the model to GGUF with llama.cpp's scripts, and give the .gguf",
            Self::ZippedTflite => "unpack it, and give the .tflite in it",
            Self::Archive(_) => "unpack it first",
            Self::CArray => "give the .tflite that it was made from (`xxd -r -p` makes bytes of hexadecimal digits)",
            Self::LfsPointer => "fetch the file itself with `git lfs pull`",
            Self::WebPage => "download the file itself, not the page about it",
            Self::Empty => "compile, export or download it again",
            Self::Npy | Self::Npz | Self::Other(_) | Self::Text | Self::Unknown => READ,
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tflite => "a TensorFlow Lite file",
            Self::Gguf => "a GGUF file",
            Self::Tealight => "a compiled Tealight model",
            Self::Weights => "a safetensors file with weights",
            Self::Onnx => "an ONNX model",
            Self::PyTorch => "a PyTorch file",
            Self::ExecuTorch => "an ExecuTorch program",
            Self::Keras => "a Keras model",
            Self::Hdf5 => "an HDF5 file, as Keras writes models and weights",
            Self::SavedModel => "a TensorFlow SavedModel",
            Self::HuggingFace => "a model of Hugging Face's Transformers",
            Self::FrozenGraph => "a frozen TensorFlow graph",
            Self::CoreMl => "a Core ML model",
            Self::Ggml => "a GGML file of a format before GGUF",
            Self::ZippedTflite => "a zip file with a TensorFlow Lite file in it",
            Self::CArray => "source text of C",
            Self::OpenVino => "OpenVINO's description of a network",
            Self::TensorFlowJs => "TensorFlow.js's description of a network",
            Self::Npy => "a NumPy array",
            Self::Npz => "a file of NumPy arrays",
            Self::LfsPointer => "a pointer of Git LFS",
            Self::WebPage => "a web page",
            Self::Archive(what) | Self::Other(what) => what,
            Self::Text => "a text file",
            Self::Empty => "an empty file",
            Self::Unknown => "a file of a kind that is not known",
        })
    }
}

/// First bytes that identify a kind.
const MAGICS: [(&[u8], FileKind); 31] = [
    (b"GGUF", FileKind::Gguf),
    (b"lmgg", FileKind::Ggml),
    (b"fmgg", FileKind::Ggml),
    (b"tjgg", FileKind::Ggml),
    (b"\x89HDF\r\n\x1a\n", FileKind::Hdf5),
    // The magic number of torch.save before PyTorch 1.6, as a pickle of protocol 2.
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", FileKind::PyTorch),
    (b"\x93NUMPY", FileKind::Npy),
    (b"version https://git-lfs", FileKind::LfsPointer),
    (b"\x80\x02", FileKind::Other("a Python pickle")),
    (b"\x80\x03", FileKind::Other("a Python pickle")),
    (b"\x80\x04\x95", FileKind::Other("a Python pickle")),
    (b"\x80\x05\x95", FileKind::Other("a Python pickle")),
    (b"\x89PNG\r\n\x1a\n", FileKind::Other("a PNG picture")),
    (b"\xff\xd8\xff", FileKind::Other("a JPEG picture")),
    (b"GIF8", FileKind::Other("a GIF picture")),
    (b"II*\0", FileKind::Other("a TIFF picture")),
    (b"MM\0*", FileKind::Other("a TIFF picture")),
    (b"OggS", FileKind::Other("an Ogg recording")),
    (b"fLaC", FileKind::Other("a FLAC recording")),
    (b"ID3", FileKind::Other("an MP3 recording")),
    (b"%PDF", FileKind::Other("a PDF document")),
    (b"\x7fELF", FileKind::Other("an ELF program or library")),
    (b"MZ", FileKind::Other("a Windows program or library")),
    (b"\x1f\x8b", FileKind::Archive("a gzip archive")),
    (b"BZh", FileKind::Archive("a bzip2 archive")),
    (b"\xfd7zXZ\0", FileKind::Archive("an xz archive")),
    (b"\x28\xb5\x2f\xfd", FileKind::Archive("a zstd archive")),
    (b"7z\xbc\xaf\x27\x1c", FileKind::Archive("a 7z archive")),
    (b"Rar!\x1a\x07", FileKind::Archive("a RAR archive")),
    (b"SQLite format 3\0", FileKind::Other("an SQLite database")),
    (b"PAR1", FileKind::Other("a Parquet table")),
];

/// Returns the kind of file that these bytes appear to be.
pub fn kind_of(bytes: &[u8]) -> FileKind {
    if bytes.is_empty() {
        return FileKind::Empty;
    }
    match bytes.get(4..8) {
        Some(b"TFL3") => return FileKind::Tflite,
        Some([b'E', b'T', b'0'..=b'9', b'0'..=b'9']) => return FileKind::ExecuTorch,
        _ => {}
    }
    if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return *kind;
    }
    match bytes.get(8..12).filter(|_| bytes.starts_with(b"RIFF")) {
        Some(b"WAVE") => return FileKind::Other("a WAV recording"),
        Some(b"WEBP") => return FileKind::Other("a WebP picture"),
        _ => {}
    }
    if bytes.starts_with(b"BM") && bytes.get(6..10) == Some(&[0; 4]) {
        return FileKind::Other("a BMP picture");
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return FileKind::Archive("a tar archive");
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return zip(bytes);
    }
    safetensors(bytes).or_else(|| protobuf(bytes)).or_else(|| text(bytes)).unwrap_or(FileKind::Unknown)
}

/// Returns the kind of model in a folder, by the names of its files; `None` if it is an ordinary folder.
pub fn kind_of_folder(folder: &Path) -> Option<FileKind> {
    let has = |name: &str| folder.join(name).is_file();
    let kinds = [
        ("saved_model.pb", FileKind::SavedModel),
        ("saved_model.pbtxt", FileKind::SavedModel),
        ("Manifest.json", FileKind::CoreMl),
        ("model.json", FileKind::TensorFlowJs),
        ("config.json", FileKind::HuggingFace),
    ];
    kinds.into_iter().find(|(name, _)| has(name)).map(|(_, kind)| kind)
}

/// Returns the kind of a zip file by the names of its entries. Each name comes before its data, and again in a
/// directory at the end.
fn zip(bytes: &[u8]) -> FileKind {
    const WINDOW: usize = 1 << 16;
    let (front, back) = (&bytes[..bytes.len().min(WINDOW)], &bytes[bytes.len().saturating_sub(WINDOW)..]);
    let has = |name: &[u8]| [front, back].iter().any(|part| contains(part, name));
    if has(b"config.json") && has(b"model.weights.h5") {
        FileKind::Keras
    } else if has(b"saved_model.pb") {
        FileKind::SavedModel
    } else if has(b"data.pkl") || has(b"serialized_exported_program.json") || has(b"archive_format") {
        FileKind::PyTorch
    } else if has(b".tflite") || has(b"TFL3") {
        FileKind::ZippedTflite
    } else if has(b".onnx") {
        FileKind::Archive("a zip file with an ONNX model in it")
    } else if has(b".mlmodel") {
        FileKind::CoreMl
    } else if has(b".npy") {
        FileKind::Npz
    } else {
        FileKind::Archive("a zip file")
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Recognizes safetensors: the length of a header, and the header, a JSON object.
fn safetensors(bytes: &[u8]) -> Option<FileKind> {
    let len = u64::from_le_bytes(*bytes.first_chunk()?);
    let header = bytes.get(8..)?;
    if !header.starts_with(b"{\"") && header != b"{}" {
        return None;
    }
    let header = header.get(..usize::try_from(len).ok()?.min(header.len()))?;
    let front = &header[..header.len().min(1 << 16)];
    let is_model = contains(front, b"\"plan\":") || contains(front, b"\"tealight\"");
    Some(if is_model { FileKind::Tealight } else { FileKind::Weights })
}

/// Recognizes models that are Protocol Buffers. They have no magic number, and differ in the fields of the outer
/// message.
fn protobuf(bytes: &[u8]) -> Option<FileKind> {
    let first = field(bytes)?;
    match first {
        // SavedModel: a version, then graphs. In the other formats the version is larger.
        Field { number: 1, value: Some(version), rest, .. } => {
            let second = field(rest)?;
            match second {
                Field { number: 2, value: None, content, .. } if version == 1 && !is_text(content) => {
                    Some(FileKind::SavedModel)
                }
                // Core ML: a description, which is a message; ONNX: the name of the program that wrote it.
                Field { number: 2, value: None, content, .. } if !is_text(content) => Some(FileKind::CoreMl),
                Field { number: 2..=8 | 14 | 20 | 25, .. } => Some(FileKind::Onnx),
                _ => None,
            }
        }
        // ONNX without a version at the front: its graph, or the operator sets.
        Field { number: 7, value: None, content, .. } if matches!(field(content)?.number, 1 | 2 | 5 | 11) => {
            Some(FileKind::Onnx)
        }
        // GraphDef: nodes, each with its name and its operator.
        Field { number: 1, value: None, content, .. } => {
            let name = field(content).filter(|name| name.number == 1 && name.value.is_none())?;
            let operator = field(name.rest).filter(|operator| operator.number == 2 && operator.value.is_none())?;
            (is_text(name.content) && is_text(operator.content)).then_some(FileKind::FrozenGraph)
        }
        _ => None,
    }
}

/// The first field of a Protocol Buffers message.
struct Field<'a> {
    number: u64,
    /// The value of a numeric field.
    value: Option<u64>,
    /// The content of a field of bytes, as far as it is present.
    content: &'a [u8],
    rest: &'a [u8],
}

fn field(bytes: &[u8]) -> Option<Field<'_>> {
    let (key, rest) = varint(bytes)?;
    let number = key >> 3;
    match key & 7 {
        0 => {
            let (value, rest) = varint(rest)?;
            Some(Field { number, value: Some(value), content: &[], rest })
        }
        2 => {
            let (len, rest) = varint(rest)?;
            let len = usize::try_from(len).ok()?.min(rest.len());
            Some(Field { number, value: None, content: &rest[..len], rest: &rest[len..] })
        }
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = bytes.iter().take(9).position(|byte| byte & 0x80 == 0)? + 1;
    let value = bytes[..len].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((value, &bytes[len..]))
}

fn is_text(bytes: &[u8]) -> bool {
    let front = &bytes[..bytes.len().min(1 << 12)];
    let whole = match std::str::from_utf8(front) {
        Ok(_) => true,
        // A character is cut at the end.
        Err(error) => error.error_len().is_none() && front.len() < bytes.len(),
    };
    whole && front.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r'))
}

fn text(bytes: &[u8]) -> Option<FileKind> {
    if !is_text(bytes) {
        return None;
    }
    let front = &bytes[..bytes.len().min(1 << 12)];
    let lower = front.to_ascii_lowercase();
    let has = |part: &[u8]| contains(&lower, part);
    Some(if has(b"<!doctype html") || has(b"<html") {
        FileKind::WebPage
    } else if has(b"<net ") {
        FileKind::OpenVino
    } else if has(b"modeltopology") {
        FileKind::TensorFlowJs
    } else if has(b"char ") && has(b"[]") || has(b"uint8_t ") {
        FileKind::CArray
    } else {
        FileKind::Text
    })
}

#[cfg(test)]
mod tests {
    use super::{FileKind, kind_of, kind_of_folder};

    /// Builds a field of a Protocol Buffers message that holds bytes.
    fn bytes_field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    /// Builds the start of a zip file whose entries have these names.
    fn zip(names: &[&str]) -> Vec<u8> {
        let entry = |name: &&str| [b"PK\x03\x04", &[0; 26][..], name.as_bytes()].concat();
        names.iter().flat_map(entry).collect()
    }

    fn safetensors(header: &str) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
    }

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let graph = bytes_field(7, &bytes_field(1, &bytes_field(1, b"x")));
        let onnx = [&[8, 10][..], &bytes_field(2, b"pytorch"), &graph].concat();
        let description = bytes_field(2, &bytes_field(1, &bytes_field(1, b"image")));
        let meta_graph = bytes_field(2, &bytes_field(1, &[0x0a, 0]));
        let node = [bytes_field(1, b"input"), bytes_field(2, b"Placeholder")].concat();
        let cases: [(Vec<u8>, FileKind); 24] = [
            (b"\x1c\0\0\0TFL3".to_vec(), FileKind::Tflite),
            (b"GGUF\x03\0\0\0".to_vec(), FileKind::Gguf),
            (safetensors("{\"__metadata__\":{\"format\":\"tealight\"}}"), FileKind::Tealight),
            (safetensors("{\"w\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}"), FileKind::Weights),
            (onnx, FileKind::Onnx),
            ([&[8, 7][..], &graph].concat(), FileKind::Onnx),
            (graph, FileKind::Onnx),
            ([&[8, 4][..], &description].concat(), FileKind::CoreMl),
            ([&[8, 1][..], &meta_graph].concat(), FileKind::SavedModel),
            (bytes_field(1, &node), FileKind::FrozenGraph),
            (zip(&["net/data.pkl", "net/data/0"]), FileKind::PyTorch),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), FileKind::PyTorch),
            (zip(&["metadata.json", "config.json", "model.weights.h5"]), FileKind::Keras),
            (zip(&["hand_detector.tflite"]), FileKind::ZippedTflite),
            (zip(&["arr_0.npy"]), FileKind::Npz),
            (b"\x89HDF\r\n\x1a\n\0".to_vec(), FileKind::Hdf5),
            (b"\x20\0\0\0ET12".to_vec(), FileKind::ExecuTorch),
            (b"\x89PNG\r\n\x1a\n\0".to_vec(), FileKind::Other("a PNG picture")),
            (b"const unsigned char net[] = {0x1c, 0x00}".to_vec(), FileKind::CArray),
            (b"<!DOCTYPE html><title>404</title>".to_vec(), FileKind::WebPage),
            (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), FileKind::LfsPointer),
            (b"this is a line of text".to_vec(), FileKind::Text),
            (vec![0xfe; 40], FileKind::Unknown),
            (Vec::new(), FileKind::Empty),
        ];
        for (bytes, kind) in cases {
            assert_eq!(kind_of(&bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_folder_is_known_by_the_files_in_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(kind_of_folder(folder.path()), None);
        std::fs::write(folder.path().join("saved_model.pb"), "").unwrap();
        assert_eq!(kind_of_folder(folder.path()), Some(FileKind::SavedModel));
    }

    #[test]
    fn identifies_a_file_by_its_start_and_accepts_any_length() {
        let onnx = [&[8, 10][..], &bytes_field(2, b"pytorch"), &[7 << 3 | 2, 0xff, 0xff, 0x7f]].concat();
        for len in 0..onnx.len() {
            kind_of(&onnx[..len]);
        }
        assert_eq!(kind_of(&onnx[..6]), FileKind::Onnx);
        for magic in super::MAGICS {
            for len in 0..magic.0.len() {
                kind_of(&magic.0[..len]);
            }
            assert_eq!(kind_of(magic.0), magic.1);
        }
    }
}
