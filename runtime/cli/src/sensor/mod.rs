//! Inputs as sensors deliver them: pictures, sound, tables of numbers. The front end that a model's file declares
//! computes its input from them, by the code that runs on a board.

mod front_end;
mod numbers;
mod picture;
#[cfg(feature = "commands")]
mod pixels;
mod sound;

pub use front_end::FrontEnd;
pub use sound::read_samples;

use crate::error::{Error, Result};
use crate::escape::unescape;
use crate::table::counted;
use crate::tensor_file::{Stream, TensorKind};
use std::path::{Path, PathBuf};
use tealight_format::Model;

/// Returns the bytes of model input `i` in the file `path`, of any kind that `tealight run` takes: one tensor, or several
/// one after another.
///
/// # Errors
/// The file cannot be read, does not fit the input or the model's front end, or is empty.
pub fn read_inputs(model: &Model<'_>, i: usize, path: &Path) -> Result<Vec<u8>> {
    let Some(input) = model.input(i) else { return Err(Error::new(format!("the model has no input {i}"))) };
    let kind = TensorKind::of(format!("input {i}"), &model.value(input));
    let sensors = Sensors::of(model, None, &Columns::default())?;
    Ok(sensors.read(i, &kind, path)?.into_bytes())
}

/// A kind of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The input's own bytes.
    Raw,
    /// A NumPy array of the input's elements.
    Array,
    /// A picture.
    Picture,
    /// Samples of sound.
    Sound,
    /// Numbers separated by commas.
    Numbers,
}

/// The endings of the names of files that can be inputs.
const ENDINGS: [(&str, Kind); 11] = [
    ("npy", Kind::Array),
    ("bin", Kind::Raw),
    ("bmp", Kind::Picture),
    ("jpeg", Kind::Picture),
    ("jpg", Kind::Picture),
    ("pgm", Kind::Picture),
    ("png", Kind::Picture),
    ("pnm", Kind::Picture),
    ("ppm", Kind::Picture),
    ("wav", Kind::Sound),
    ("csv", Kind::Numbers),
];

/// Returns how a model declares that its first input is computed from a sensor's data.
pub(crate) fn declared(model: &Model<'_>) -> Option<String> {
    model.metadata("front_end").and_then(unescape)
}

/// How the files of a model's inputs are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sensors {
    /// What computes input 0; `None` if nothing was declared.
    pub front_end: Option<FrontEnd>,
    /// The columns of a table.
    pub columns: Columns,
}

/// What is said about tables of numbers.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Columns {
    /// The columns of a .csv that the input takes, by name or by number from 1; by default all, in their order
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    columns: Vec<String>,
}

impl Sensors {
    /// Those of a model: the front end in its file applies, unless another is given.
    ///
    /// # Errors
    /// The file declares a front end that is not known here.
    pub(crate) fn of(model: &Model<'_>, given: Option<&FrontEnd>, columns: &Columns) -> Result<Self> {
        let declared = || declared(model).as_deref().map(FrontEnd::declared).transpose();
        let front_end = given.cloned().map_or_else(declared, |given| Ok(Some(given)))?;
        Ok(Self { front_end, columns: columns.clone() })
    }

    /// Checks that the front end can compute the first input of a model.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) fn check(&self, model: &Model<'_>) -> Result<()> {
        let Some(front_end) = &self.front_end else { return Ok(()) };
        let refuse = || Error::new(format!("the front end `{front_end}` does not fit the network"));
        let input = model.input(0).ok_or_else(|| refuse().cause("it has no input"))?;
        let kind = TensorKind::of("input 0".into(), &model.value(input));
        let (fits, takes) = match front_end {
            FrontEnd::Picture(declared) => (picture::fits(declared, &kind), picture::takes(declared)),
            FrontEnd::Series(series) => (numbers::fits(series, &kind), numbers::TAKES.into()),
            FrontEnd::LogMel => (sound::fits(&kind), sound::TAKES.into()),
        };
        if fits { Ok(()) } else { Err(refuse().cause(format!("it has {kind}")).help(format!("it is for {takes}"))) }
    }

    /// Reads the tensors of input `i` in a file.
    ///
    /// # Errors
    /// The file cannot be read, or does not fit the input or its front end.
    pub(crate) fn read(&self, i: usize, kind: &TensorKind, path: &Path) -> Result<Stream> {
        // A declaration is of the first input.
        let front_end = self.front_end.as_ref().filter(|_| i == 0);
        match kind_of(path) {
            #[cfg(feature = "commands")]
            Some(Kind::Picture) => pixels::read(kind, front_end, path),
            #[cfg(not(feature = "commands"))]
            Some(Kind::Picture) => Err(does_not_fit(path, kind).cause("this program was built without pictures")),
            Some(Kind::Sound) => sound::read(kind, front_end, path),
            Some(Kind::Numbers) => numbers::read(kind, front_end, &self.columns, path),
            Some(Kind::Array | Kind::Raw) | None => kind.read(path),
        }
    }
}

/// Returns the kind of a file, by the ending of its name.
fn kind_of(path: &Path) -> Option<Kind> {
    let extension = path.extension()?;
    ENDINGS.iter().find(|(ending, _)| extension.eq_ignore_ascii_case(ending)).map(|(_, kind)| *kind)
}

/// Returns whether a file is taken as an input's own bytes: by the ending of its name it is no picture, sound, table or
/// array.
pub fn is_raw(path: &Path) -> bool {
    matches!(kind_of(path), Some(Kind::Raw) | None)
}

/// Returns the files at each of `paths`, one path for each input: as many at each, for they belong together by the order of
/// their names.
///
/// # Errors
/// As [`files`], or their numbers differ.
pub(crate) fn files_of_each(paths: &[PathBuf]) -> Result<Vec<Vec<PathBuf>>> {
    let found: Vec<Vec<PathBuf>> = paths.iter().map(|path| files(path)).collect::<Result<_>>()?;
    let count = found.first().map_or(0, Vec::len);
    match paths.iter().zip(&found).find(|(_, files)| files.len() != count) {
        Some((path, files)) => {
            let what = format!("`{}` has {}", path.display(), counted(files.len(), "file"));
            let help = format!("`{}` has {count}; give every input the same number of files", paths[0].display());
            Err(Error::new(what).help(help))
        }
        None => Ok(found),
    }
}

/// Returns the file itself, or by name the files of a folder that can be inputs.
///
/// # Errors
/// The folder cannot be read, or has no such file.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let failed = || Error::new(format!("cannot read the folder `{}`", path.display()));
    let entries = std::fs::read_dir(path).map_err(|error| failed().cause(error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| failed().cause(error))?.path();
        if file.is_file() && kind_of(&file).is_some() {
            files.push(file);
        }
    }
    if files.is_empty() {
        let known = ENDINGS.map(|(ending, _)| format!(".{ending}")).join(", ");
        return Err(Error::new(format!("the data is empty: `{}` has no {known} file", path.display()))
            .help("put inputs such as the network will see there"));
    }
    files.sort();
    Ok(files)
}

/// The error of a file that does not fit an input.
fn does_not_fit(path: &Path, kind: &TensorKind) -> Error {
    Error::new(format!("`{}` does not fit {kind}", path.display()))
}
