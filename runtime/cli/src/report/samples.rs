//! The input files of a report: those of one folder, or of a subfolder for each class.

use crate::error::{Error, Result};
use crate::sensor::files;
use crate::table::counted;
use crate::tensor_file::TensorKind;
use std::path::{Path, PathBuf};
use tealight::Model;

/// A file of inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The class of its inputs, if it is known.
    pub(super) class: Option<usize>,
}

/// Finds the files in `folder` for `model`, whose first output has these labels.
///
/// # Errors
/// The model does not have one input and an output, or as [`find`].
pub(super) fn of_model(folder: &Path, model: &Model<'_>, labels: &[String]) -> Result<Vec<Sample>> {
    let [_, output] = ends(model)?;
    find(folder, labels, classes(&output))
}

/// Returns the model's one input and its first output.
///
/// # Errors
/// It has more or none.
pub(super) fn ends(model: &Model<'_>) -> Result<[TensorKind; 2]> {
    let refused = |cause: String| {
        Error::new("--inputs needs a model with one input and an output").cause(cause).help("leave out --inputs")
    };
    let inputs: Vec<usize> = model.inputs().collect();
    let [input] = inputs[..] else { return Err(refused(format!("it has {} inputs", inputs.len()))) };
    let output = model.outputs().next().ok_or_else(|| refused("it has no output".into()))?;
    let kind = |name: &str, value| TensorKind::of(name.into(), &model.value(value));
    Ok([kind("input 0", input), kind("output 0", output)])
}

/// Returns how many classes an output may have scores of: its elements, if it has several and they are in its last
/// dimension, otherwise 0.
pub(super) fn classes(output: &TensorKind) -> usize {
    match &output.shape[..] {
        [ones @ .., last] if *last > 1 && ones.iter().all(|dim| *dim == 1) => *last as usize,
        _ => 0,
    }
}

/// Finds the files in `folder`. If it has subfolders, each must be named by one of `labels`, or by the number of one of
/// `classes` classes, and holds the inputs of that class.
///
/// # Errors
/// A folder cannot be read or is empty, a subfolder is not named by a class, or there are files beside subfolders.
fn find(folder: &Path, labels: &[String], classes: usize) -> Result<Vec<Sample>> {
    if !folder.is_dir() {
        return Err(Error::new(format!("`{}` is not a folder", folder.display()))
            .help("give a folder of inputs, or one with a subfolder of inputs for each class"));
    }
    let subfolders = subfolders(folder)?;
    if subfolders.is_empty() {
        return Ok(files(folder)?.into_iter().map(|path| Sample { path, class: None }).collect());
    }
    if let Ok(beside) = files(folder) {
        return Err(Error::new(format!("`{}` has subfolders and {}", folder.display(), counted(beside.len(), "file")))
            .help("put every file into the subfolder of its class, or keep only files"));
    }
    let mut samples = Vec::new();
    for subfolder in subfolders {
        let class = Some(class_of(&subfolder, labels, classes)?);
        samples.extend(files(&subfolder)?.into_iter().map(|path| Sample { path, class }));
    }
    Ok(samples)
}

/// Returns the subfolders by name, without hidden ones.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::new(format!("cannot read the folder `{}`", folder.display())).cause(error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the class that the name of a subfolder means.
fn class_of(subfolder: &Path, labels: &[String], classes: usize) -> Result<usize> {
    let refused = || Error::new(format!("the folder `{}` is not named by a class", subfolder.display()));
    if classes == 0 {
        let what = "the model's first output is not a list of scores, one for each class";
        return Err(refused().cause(what).help("give a folder of files, without subfolders"));
    }
    let name = subfolder.file_name().unwrap_or_default().to_string_lossy();
    if let Some(class) = labels.iter().position(|label| *label == name) {
        return Ok(class);
    }
    let shown = labels.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if labels.len() > 20 { ", …" } else { "" };
    let known = if labels.is_empty() { String::new() } else { format!("a label ({shown}{more}) or ") };
    name.parse()
        .ok()
        .filter(|class| *class < classes)
        .ok_or_else(|| refused().help(format!("name it by {known}a class number from 0 to {}", classes - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        folder
    }

    fn found(files: &[&str], labels: &[&str], classes: usize) -> Result<Vec<(String, Option<usize>)>> {
        let folder = folder(files);
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        let samples = find(folder.path(), &labels, classes)?;
        let name = |path: &Path| path.strip_prefix(folder.path()).unwrap().display().to_string();
        Ok(samples.iter().map(|sample| (name(&sample.path), sample.class)).collect())
    }

    #[test]
    fn subfolders_are_classes_by_label_or_by_number() {
        let files = ["yes/b.npy", "yes/a.bin", "yes/notes.txt", "1/c.bin", ".git/d.bin"];
        let expected = [("1/c.bin", 1), ("yes/a.bin", 0), ("yes/b.npy", 0)];
        let expected = expected.map(|(path, class)| (path.to_string(), Some(class)));
        assert_eq!(found(&files, &["yes", "no"], 2).unwrap(), expected);
        // A label takes precedence over a number.
        assert_eq!(found(&["1/c.bin"], &["1", "0"], 2).unwrap()[0].1, Some(0));
    }

    #[test]
    fn scores_are_in_the_last_dimension() {
        let of = |shape: &[u64]| {
            let (name, dtype) = ("output 0".to_string(), tealight_format::DType::I8);
            let (shape, quantization) = (shape.to_vec(), tealight_format::Quantization::NONE);
            let len = shape.iter().product::<u64>() as usize;
            classes(&TensorKind { name, dtype, shape, quantization, len })
        };
        assert_eq!([of(&[1, 10]), of(&[10]), of(&[1, 1, 1, 3])], [10, 10, 3]);
        assert_eq!([of(&[1, 1]), of(&[]), of(&[1, 7, 10]), of(&[3, 1])], [0; 4]);
    }

    #[test]
    fn files_without_subfolders_have_no_class() {
        let expected = [("a.bin".to_string(), None), ("b.npy".to_string(), None)];
        assert_eq!(found(&["b.npy", "a.bin", "c.png.txt"], &["yes", "no"], 2).unwrap(), expected);
    }

    #[test]
    fn a_folder_that_is_no_class_is_refused_with_the_classes() {
        let refused = |files: &[&str], classes| found(files, &["yes", "no"], classes).unwrap_err().to_string();
        let error = refused(&["maybe/a.bin"], 2);
        assert!(error.contains("maybe") && error.contains("(yes, no)") && error.contains("from 0 to 1"), "{error}");
        assert!(refused(&["2/a.bin"], 2).contains("is not named by a class"));
        assert!(refused(&["yes/a.bin"], 0).contains("not a list of scores"));
        assert!(refused(&["yes/a.bin", "b.bin"], 2).contains("subfolders and 1 file"));
        assert!(refused(&["yes/a.txt"], 2).contains("yes` has no .npy, .bin"));
        assert!(find(Path::new("/nonexistent"), &[], 2).unwrap_err().to_string().contains("is not a folder"));
    }
}
