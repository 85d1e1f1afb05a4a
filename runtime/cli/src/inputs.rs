//! Reads the inputs of a network from files, as f32 values: a file or a folder of files for each input.

use crate::error::{Error, Result};
use crate::sensor::{Sensors, files_of_each};
use crate::table::counted;
use crate::tensor_file::TensorKind;
use std::path::{Path, PathBuf};
use tealight_compiler::graph::{Graph, Tensor};
use tealight_format::Quantization;

/// Reads the samples from the files at `paths`, one path for each of the network's inputs; `option` is the option that
/// named them. Each file of a folder is a separate stream; files of different inputs belong together if they have the
/// same position in the order of names.
///
/// # Errors
/// A file cannot be read or does not fit its input, or the inputs' files do not match.
pub(crate) fn read_streams(
    option: &str,
    paths: &[PathBuf],
    network: &Graph,
    sensors: &Sensors,
) -> Result<Vec<Vec<Vec<f32>>>> {
    if paths.len() != network.inputs.len() {
        let names: Vec<_> = network.inputs.iter().map(|&id| format!("`{}`", network.tensors[id].name)).collect();
        let what = format!("the network has {}, but {option} names {}", counted(names.len(), "input"), paths.len());
        let help = format!("give {option} once for each input, in this order: {}", names.join(", "));
        return Err(Error::new(what).help(help));
    }
    let files = files_of_each(paths)?;
    let mut streams: Vec<Vec<Vec<f32>>> = Vec::new();
    for (k, (files, &id)) in files.iter().zip(&network.inputs).enumerate() {
        let kind = kind(&network.tensors[id])?;
        let read: Vec<_> = files.iter().map(|file| read_stream(sensors, k, &kind, file)).collect::<Result<_>>()?;
        if k == 0 {
            streams = read;
            continue;
        }
        for ((stream, more), file) in streams.iter_mut().zip(read).zip(files) {
            if stream.len() != more.len() {
                let what = format!("`{}` holds {}", file.display(), counted(more.len(), "input"));
                let help =
                    format!("`{}` holds {}; the files must hold the same number", paths[0].display(), stream.len());
                return Err(Error::new(what).help(help));
            }
            stream.iter_mut().zip(more).for_each(|(sample, more)| sample.extend(more));
        }
    }
    Ok(streams)
}

/// Returns what a file must contain for an input.
fn kind(input: &Tensor) -> Result<TensorKind> {
    let (name, dtype) = (format!("the network's input `{}`", input.name), input.dtype.dtype());
    let Some(dtype) = dtype else {
        return Err(Error::new(format!("{name} is {}", input.dtype)).help("no file holds such inputs"));
    };
    let quantization = input.per_tensor().unwrap_or(Quantization::NONE);
    let len = input.elements().saturating_mul(dtype.size() as usize);
    let shape = input.shape.iter().copied().map(u64::from).collect();
    Ok(TensorKind { name, dtype, shape, quantization, len })
}

/// Reads the inputs in a file.
fn read_stream(sensors: &Sensors, i: usize, kind: &TensorKind, file: &Path) -> Result<Vec<Vec<f32>>> {
    let stream = sensors.read(i, kind, file)?;
    let sample = |k| {
        let sample = kind.to_f32(stream.get(k));
        match sample.iter().enumerate().find(|(_, number)| !number.is_finite()) {
            Some((index, value)) => {
                let what = format!("`{}`: sample {k} is {value} at index {index}", file.display());
                Err(Error::new(what).help("every number must be finite"))
            }
            None => Ok(sample),
        }
    };
    (0..stream.count()).map(sample).collect()
}
