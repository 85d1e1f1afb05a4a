//! `--signature`, `--input-shape`, `--input-value` and `--output-name` of `tealight compile`: which of a file's networks
//! is compiled, and what its inputs and outputs are.

use crate::error::{Error, Result};
use crate::npy::Header;
use std::path::{Path, PathBuf};
use tealight_compiler::{InputValue, Numbers, Options};

/// What is said about the inputs and outputs of a network.
#[derive(Debug, clap::Args)]
pub(crate) struct Given {
    /// The signature of a .tflite file that is compiled: `--signature serving_default`
    ///
    /// The names of inputs and outputs are those of the signature, also for the options below. A file whose signatures
    /// stand for several networks needs it.
    #[arg(long, value_name = "NAME")]
    signature: Option<String>,
    /// The shape of an input, for what the file leaves dynamic: `--input-shape x=1,96,96,3`
    ///
    /// By the file's name of the input, and in the file's order of dimensions (NCHW for images in ONNX). May be given
    /// several times. In an ONNX file, a dynamic dimension with a name gets the same length wherever it is.
    #[arg(long = "input-shape", value_name = "NAME=N,N,..", value_parser = shape)]
    shapes: Vec<(String, Vec<u32>)>,
    /// Makes an input a constant: `--input-value rate=16000`, `axes=1,3,4` or `mask=@mask.npy`
    ///
    /// Numbers must fit the input's type. They are as many as its shape has elements; one dynamic dimension gets the
    /// length that remains. A .npy has its own shape. May be given several times.
    #[arg(long = "input-value", value_name = "NAME=VALUE", value_parser = value)]
    values: Vec<(String, Source)>,
    /// Makes a tensor of the network an output, in place of the outputs that the file states; what only those need is
    /// left out
    ///
    /// May be given several times; the outputs are in this order.
    #[arg(long = "output-name", value_name = "NAME")]
    outputs: Vec<String>,
}

/// Where the value of an input comes from.
#[derive(Clone, Debug)]
enum Source {
    List(Numbers),
    File(PathBuf),
}

/// Reads the value of `--input-shape`.
fn shape(text: &str) -> std::result::Result<(String, Vec<u32>), String> {
    let parsed = text.rsplit_once('=').and_then(|(name, dims)| {
        // A scalar has no dimensions.
        let dims =
            if dims.is_empty() { Ok(Vec::new()) } else { dims.split(',').map(|dim| dim.trim().parse()).collect() };
        Some((name.to_string(), dims.ok()?))
    });
    parsed.ok_or_else(|| "give the input's name and its dimensions: NAME=1,96,96,3".into())
}

/// Reads the value of `--input-value`.
fn value(text: &str) -> std::result::Result<(String, Source), String> {
    if let Some((name, path)) = text.split_once("=@") {
        return Ok((name.into(), Source::File(path.into())));
    }
    let wrong = || "give the input's name and numbers, or a file: NAME=16000, NAME=1,3,4 or NAME=@file.npy".to_string();
    let (name, list) = text.rsplit_once('=').ok_or_else(wrong)?;
    let words: Vec<&str> = list.split(',').map(str::trim).collect();
    let truth = |word: &&str| match *word {
        "true" => Some(1),
        "false" => Some(0),
        number => number.parse().ok(),
    };
    let integers: Option<Vec<i64>> = words.iter().map(truth).collect();
    let floats = || words.iter().map(|word| word.parse().ok()).collect::<Option<Vec<f64>>>();
    let numbers = integers.map(Numbers::Integers).or_else(|| floats().map(Numbers::Floats));
    Ok((name.into(), Source::List(numbers.ok_or_else(wrong)?)))
}

impl Given {
    /// Returns the option that was given, if one was.
    pub(crate) fn option(&self) -> Option<&'static str> {
        let given = [
            ("--signature", self.signature.is_none()),
            ("--input-shape", self.shapes.is_empty()),
            ("--input-value", self.values.is_empty()),
            ("--output-name", self.outputs.is_empty()),
        ];
        given.into_iter().find(|(_, is_empty)| !is_empty).map(|(option, _)| option)
    }

    /// Returns the files that the options name.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.values.iter().filter_map(|(_, source)| match source {
            Source::File(path) => Some(path),
            Source::List(_) => None,
        })
    }

    /// Sets the options of the compiler.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn set(&self, options: &mut Options) -> Result<()> {
        options.signature.clone_from(&self.signature);
        options.input_shapes.clone_from(&self.shapes);
        options.outputs.clone_from(&self.outputs);
        for (name, source) in &self.values {
            let value = match source {
                Source::List(numbers) => InputValue { shape: None, numbers: numbers.clone() },
                Source::File(path) => read(path)?,
            };
            options.input_values.push((name.clone(), value));
        }
        Ok(())
    }
}

/// Reads the array of a `.npy` file.
fn read(path: &Path) -> Result<InputValue> {
    let failed = |cause: String| Error::new(format!("cannot read the value `{}`", path.display())).cause(cause);
    let file = std::fs::read(path).map_err(|error| failed(error.to_string()).help("check the path"))?;
    let header = Header::parse(&file).map_err(|error| failed(error.to_string()).help("give a .npy file"))?;
    parse(&header, &file[header.data_at..]).map_err(|cause| failed(cause).help("save a plain array of numbers"))
}

/// Returns the numbers of an array; the error says why they cannot be read.
fn parse(header: &Header, elements: &[u8]) -> std::result::Result<InputValue, String> {
    macro_rules! read {
        ($kind:ident, $type:ty) => {{
            const SIZE: usize = size_of::<$type>();
            let ordered = header.in_c_order(elements, SIZE);
            let (items, rest) = ordered.as_deref().unwrap_or(elements).as_chunks::<SIZE>();
            let list: Option<_> = items.iter().map(|item| <$type>::from_le_bytes(*item).try_into().ok()).collect();
            (Numbers::$kind(list.ok_or("a number needs more than 63 bits")?), rest.is_empty())
        }};
    }
    let (numbers, whole) = match header.descr.trim_start_matches(['<', '|', '=']) {
        "i1" => read!(Integers, i8),
        "i2" => read!(Integers, i16),
        "i4" => read!(Integers, i32),
        "i8" => read!(Integers, i64),
        "u1" | "b1" => read!(Integers, u8),
        "u2" => read!(Integers, u16),
        "u4" => read!(Integers, u32),
        "u8" => read!(Integers, u64),
        "f4" => read!(Floats, f32),
        "f8" => read!(Floats, f64),
        other => {
            return Err(format!("its type is '{other}'; accepted: little-endian integers, bool, float32 and float64"));
        }
    };
    let shape: Option<Vec<u32>> = header.shape.iter().map(|&dim| u32::try_from(dim).ok()).collect();
    let count = header.shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim));
    match shape.filter(|_| whole && count == Some(numbers.len() as u64)) {
        Some(shape) => Ok(InputValue { shape: Some(shape), numbers }),
        None => Err(format!("its shape {:?} does not fit its {} B of elements", header.shape, elements.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_lists_are_read() {
        assert_eq!(shape("a=b=1, 2,3"), Ok(("a=b".into(), vec![1, 2, 3])));
        assert_eq!(shape("x="), Ok(("x".into(), vec![])));
        for wrong in ["x", "x=1,", "x=-1", "x=1.5", "x=4294967296", "x=?"] {
            assert!(shape(wrong).is_err(), "{wrong}");
        }
        let list = |text: &str| match value(text) {
            Ok((name, Source::List(numbers))) => (name, numbers),
            other => panic!("{other:?}"),
        };
        assert_eq!(list("sr=16000"), ("sr".into(), Numbers::Integers(vec![16000])));
        assert_eq!(list("x=1, -2"), ("x".into(), Numbers::Integers(vec![1, -2])));
        assert_eq!(list("x=1,2.5,inf"), ("x".into(), Numbers::Floats(vec![1.0, 2.5, f64::INFINITY])));
        assert_eq!(list("x=true"), ("x".into(), Numbers::Integers(vec![1])));
        assert!(
            matches!(value("x=@a=b.npy"), Ok((name, Source::File(path))) if name == "x" && path == Path::new("a=b.npy"))
        );
        for wrong in ["x", "x=", "x=a", "x=1,,2"] {
            assert!(value(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn arrays_of_all_types_and_orders_are_read() {
        let header = |descr: &str, fortran_order, shape: &[u64]| Header {
            descr: descr.into(),
            fortran_order,
            shape: shape.to_vec(),
            data_at: 0,
        };
        let integers = |descr: &str, bytes: &[u8]| match parse(&header(descr, false, &[2]), bytes) {
            Ok(InputValue { shape, numbers: Numbers::Integers(list) }) if shape == Some(vec![2]) => list,
            other => panic!("{other:?}"),
        };
        assert_eq!(integers("<i2", &[1, 0, 0xff, 0xff]), [1, -1]);
        assert_eq!(integers("|b1", &[1, 0]), [1, 0]);
        assert_eq!(integers("<u8", &[&5u64.to_le_bytes()[..], &6u64.to_le_bytes()].concat()), [5, 6]);
        assert!(parse(&header("<u8", false, &[1]), &[0xff; 8]).unwrap_err().contains("63 bits"));
        let turned = parse(&header("<f4", true, &[2, 2]), &[1f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat());
        assert_eq!(turned.unwrap().numbers, Numbers::Floats(vec![1.0, 3.0, 2.0, 4.0]));
        for (descr, shape, len) in
            [("<i4", &[2][..], 7), ("<i4", &[3], 8), ("<i4", &[u64::MAX; 2], 8), ("<c8", &[1], 8)]
        {
            assert!(parse(&header(descr, false, shape), &vec![0; len]).is_err(), "{descr} {shape:?}");
        }
        assert!(parse(&header(">i4", false, &[1]), &[0; 4]).unwrap_err().contains("'>i4'"));
    }
}
