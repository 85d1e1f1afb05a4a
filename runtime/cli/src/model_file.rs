//! The model of a command: a compiled one, mapped into memory and read in place, or a `.tflite`, `.onnx` or `.gguf`,
//! which is first compiled in memory.

use crate::error::{Error, Result};
use crate::escape::unescape;
use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::path::{Path, PathBuf};
use tealight::{Model, ModelError};
use tealight_compiler::gguf::{GgufOptions, compile_gguf, is_gguf};
use tealight_compiler::{FileKind, Options, compile_network, kind_of, kind_of_folder};

/// A file with a model.
#[derive(Debug)]
pub(crate) struct ModelFile {
    path: PathBuf,
    /// Page-aligned, which is more than a model needs.
    bytes: Mmap,
}

impl ModelFile {
    /// Opens the file `path`. Its content shows whether it is compiled; if not, compiling it may take `max_memory`
    /// ([`Options::max_memory`]).
    ///
    /// # Errors
    /// The file cannot be read, or it is a `.tflite`, `.onnx` or `.gguf` that cannot be compiled.
    pub(crate) fn open(path: &Path, max_memory: Option<u64>) -> Result<Self> {
        let mapped = map(path)?;
        let bytes = if is_network(path, &mapped) || is_gguf(&mapped) {
            let failed = || Error::new(format!("cannot compile `{}`", path.display()));
            let (name, folder) = (Some(default_name(path)), folder(path));
            let options = Options { name, max_memory, folder, ..Options::default() };
            let compiled = if is_gguf(&mapped) {
                compile_gguf(&mapped, &GgufOptions::default(), &options)
            } else {
                compile_network(&mapped, &options)
            };
            let compiled = compiled.map_err(|error| failed().cause(error))?;
            in_memory(&compiled.bytes).map_err(|error| failed().cause(error).help("free some memory"))?
        } else {
            mapped
        };
        Ok(Self { path: path.to_path_buf(), bytes })
    }

    /// Returns the model, checked.
    ///
    /// # Errors
    /// The file is not a valid model.
    pub(crate) fn model(&self) -> Result<Model<'_>> {
        Model::parse(&self.bytes).map_err(|error| {
            let path = self.path.display();
            let failed = Error::new(format!("`{path}` is not a valid model"));
            match (kind_of(&self.bytes), error) {
                (_, ModelError::Version { .. }) => {
                    Error::new(format!("`{path}` is a model of another version")).cause(error)
                }
                (FileKind::Tealight | FileKind::Text | FileKind::Unknown, _) => {
                    failed.cause(error).help("give a file that `tealight compile` made, or a .tflite, .onnx or .gguf")
                }
                (kind @ FileKind::Weights, error) => failed.cause(format!("it is {kind}: {error}")).help(kind.way()),
                (kind, _) => failed.cause(format!("it is {kind}")).help(kind.way()),
            }
        })
    }
}

impl ModelFile {
    /// Returns the second plan of `model`, which is that of this file; `None` if it has none.
    ///
    /// # Errors
    /// The second plan is not valid.
    pub(crate) fn batch<'m>(&self, model: &Model<'m>) -> Result<Option<Model<'m>>> {
        model.batch().map_err(|error| {
            Error::new(format!("`{}` has a plan for batches that is not valid", self.path.display()))
                .cause(error)
                .help("compile the model again")
        })
    }
}

/// Maps the file `path` into memory, without reading it: see the help of `--engine`.
///
/// # Errors
/// It is not a regular file, is empty, or cannot be read.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let failed = || Error::new(format!("cannot read the model `{}`", path.display()));
    let open = || -> std::io::Result<(File, std::fs::Metadata)> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    };
    let (file, metadata) = open().map_err(|error| failed().cause(error).help("check the path"))?;
    if metadata.is_dir() {
        if let Some(kind) = kind_of_folder(path) {
            return Err(failed().cause(format!("it is a folder with {kind}")).help(kind.way()));
        }
        return Err(failed().cause("it is a folder").help("give a .safetensors, .tflite or .onnx file in it"));
    }
    if !metadata.is_file() {
        return Err(failed().cause("it is not a regular file").help("save it to a file first: it is read in place"));
    }
    if metadata.len() == 0 {
        return Err(failed().cause("it is empty").help("compile or download it again"));
    }
    // SAFETY: the map is read-only and private to this process. Another process that shortens the file meanwhile can
    // end this one with SIGBUS, and one that changes it can spoil a checked model; as for every program that maps its
    // input, leaving the file alone is up to the user. This process writes other files only by renaming.
    let mapped = unsafe { Mmap::map(&file) };
    mapped.map_err(|error| failed().cause(error).help("check that you may read the file"))
}

/// Copies `bytes` to new pages.
fn in_memory(bytes: &[u8]) -> std::io::Result<Mmap> {
    let mut pages = MmapMut::map_anon(bytes.len())?;
    pages.copy_from_slice(bytes);
    pages.make_read_only()
}

/// Returns whether the file is a TensorFlow Lite or ONNX file, or appears to be one by name or content.
pub(crate) fn is_network(path: &Path, bytes: &[u8]) -> bool {
    matches!(kind_of(bytes), FileKind::Tflite | FileKind::Onnx)
        || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tflite"))
}

/// Returns the folder of the file `path`, in which an ONNX file may have data.
pub(crate) fn folder(path: &Path) -> Option<PathBuf> {
    path.parent().map(Path::to_path_buf)
}

/// Returns the default name of a model that is compiled from the file `path`.
pub(crate) fn default_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.chars().filter(|letter| !letter.is_control()).collect()
}

/// Returns the name in the model's metadata.
pub(crate) fn name(model: &Model<'_>) -> Option<String> {
    entry(model, "name")
}

/// Returns the entry `key` of the model's metadata.
pub(crate) fn entry(model: &Model<'_>, key: &str) -> Option<String> {
    model.metadata(key).and_then(unescape)
}

/// Returns the labels of the elements of the first output; empty if the model has none.
pub(crate) fn labels(model: &Model<'_>) -> Vec<String> {
    let text = entry(model, "labels");
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
