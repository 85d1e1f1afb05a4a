//! Inputs from tables of numbers: a row for each time, a column for each channel of a sensor.

use super::{Columns, FrontEnd, does_not_fit};
use crate::error::{Error, Result};
use crate::table::counted;
use crate::tensor_file::{Stream, TensorKind};
use csv::{ReaderBuilder, StringRecord};
use std::path::Path;
use tealight_format::DType;
use tealight_sensor::Element;
use tealight_sensor::series::{self, InputError};

/// Reads a table: numbers in the sensor's units, from which the front end computes the elements in their order. The first
/// row may hold names.
pub(super) fn read(kind: &TensorKind, front_end: Option<&FrontEnd>, columns: &Columns, path: &Path) -> Result<Stream> {
    let front_end = match front_end {
        Some(FrontEnd::Series(front_end)) => *front_end,
        Some(other) => {
            let cause = format!("the model's front end is `{other}`, which takes no numbers");
            return Err(does_not_fit(path, kind).cause(cause));
        }
        None => series::FrontEnd::PLAIN,
    };
    let failed = || Error::new(format!("cannot read the table `{}`", path.display()));
    let reader = ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).comment(Some(b'#')).from_path(path);
    let mut reader = reader.map_err(|error| failed().cause(error).help("check the path"))?;
    let records = reader.records().collect::<std::result::Result<Vec<_>, _>>();
    let records =
        records.map_err(|error| failed().cause(error).help("write one row a line, all of the same length"))?;
    let is_number = |field: &str| field.parse::<f32>().is_ok();
    let header = records.first().filter(|first| !first.iter().all(is_number));
    let rows = &records[usize::from(header.is_some())..];
    let width = records.first().map_or(0, StringRecord::len);
    let chosen = columns.of(header, width).map_err(|cause| failed().cause(cause).help(names(header, width)))?;

    let channels = channels(kind);
    if chosen.len() != channels {
        let cause = format!("it has {}, but a row of the input has {channels}", counted(chosen.len(), "column"));
        let help = format!("choose them by --columns; {}", names(header, width));
        return Err(does_not_fit(path, kind).cause(cause).help(help));
    }
    let mut values = Vec::with_capacity(rows.len() * channels);
    for record in rows {
        for &column in &chosen {
            let field = record.get(column).unwrap_or_default();
            let value = field.parse::<f32>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
                let line = record.position().map_or(0, csv::Position::line);
                failed().cause(format!("line {line}, column {}: `{field}` is no finite number", column + 1))
            })?;
            values.push(value);
        }
    }
    let elements = kind.len / kind.dtype.size() as usize;
    let hop = front_end.hop.map_or(elements, |hop| channels * usize::from(hop.get()));
    let starts = (0..).map(|k: usize| k * hop).take_while(|start| start + elements <= values.len());
    let inputs: Vec<&[f32]> = starts.map(|start| &values[start..start + elements]).collect();
    let left = if front_end.hop.is_none() { values.len() % elements } else { 0 };
    if inputs.is_empty() || left != 0 {
        let found = counted(values.len() / channels, "row of numbers");
        let cause = format!("it has {found}, but an input takes {}", elements / channels);
        let help = "give a multiple of that; or `--front-end \"series hop=N\"`, if inputs start every N rows";
        return Err(does_not_fit(path, kind).cause(cause).help(help));
    }
    let data = match kind.dtype {
        DType::F32 => inputs_of::<f32>(&front_end, &inputs, kind).map(|input| bytes_of(input, f32::to_le_bytes)),
        DType::I8 => inputs_of::<i8>(&front_end, &inputs, kind).map(|input| bytes_of(input, i8::to_le_bytes)),
        DType::U8 => inputs_of::<u8>(&front_end, &inputs, kind),
        other => {
            let cause = format!("numbers cannot be converted to {}", other.name());
            return Err(does_not_fit(path, kind).cause(cause).help("give a .npy or .bin"));
        }
    };
    let data = data.map_err(|error| does_not_fit(path, kind).cause(error))?;
    Ok(Stream::new(data, kind.len))
}

/// Which inputs the front end computes.
pub(super) const TAKES: &str = "inputs of I8, U8 or F32 with as many channels as it has numbers, in the last dimension";

/// Whether the front end computes such an input.
pub(super) fn fits(front_end: &series::FrontEnd, kind: &TensorKind) -> bool {
    matches!(kind.dtype, DType::I8 | DType::U8 | DType::F32)
        && front_end.normalization.is_none_or(|normalization| normalization.is_for(channels(kind)))
}

/// The elements of inputs one after another.
fn inputs_of<T: Element + Default>(
    front_end: &series::FrontEnd,
    inputs: &[&[f32]],
    kind: &TensorKind,
) -> std::result::Result<Vec<T>, InputError> {
    let mut elements = Vec::new();
    for readings in inputs {
        let start = elements.len();
        elements.resize(start + readings.len(), T::default());
        front_end.fill(readings, channels(kind), kind.quantization, &mut elements[start..])?;
    }
    Ok(elements)
}

fn bytes_of<T, const N: usize>(elements: Vec<T>, to_bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    elements.into_iter().flat_map(to_bytes).collect()
}

/// The channels of an input: its last dimension that is not 1.
fn channels(kind: &TensorKind) -> usize {
    kind.shape.iter().rev().find(|dim| **dim != 1).map_or(1, |dim| *dim as usize)
}

/// Lists the columns.
fn names(header: Option<&StringRecord>, width: usize) -> String {
    match header {
        Some(names) => format!("the columns are {}", names.iter().collect::<Vec<_>>().join(", ")),
        None => format!("the columns are 1 to {width}"),
    }
}

impl Columns {
    /// The indices of the chosen ones, of `width`.
    fn of(&self, header: Option<&StringRecord>, width: usize) -> std::result::Result<Vec<usize>, String> {
        let index = |name: &String| {
            let named = header.and_then(|names| names.iter().position(|own| own == name));
            let numbered = || name.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < width);
            named.or_else(numbered).ok_or_else(|| format!("it has no column `{name}`"))
        };
        match self.columns.is_empty() {
            true => Ok((0..width).collect()),
            false => self.columns.iter().map(index).collect(),
        }
    }
}
