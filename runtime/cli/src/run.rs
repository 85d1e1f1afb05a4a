//! `tealight run`: inferences on this computer, with the same bits as on a board.

use crate::engine::{EngineArgs, Session};
use crate::error::{Error, Result};
use crate::limits::{self, Limits};
use crate::model_file::{self, ModelFile};
use crate::progress::Progress;
use crate::scores::{self, Score};
use crate::screen::Screen;
use crate::sensor::{Columns, FrontEnd, Sensors, files_of_each};
use crate::table::{bytes, counted};
use crate::tensor_file::{self, Stream, TensorKind};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Run a model on input files
///
/// An input file is a picture (.png, .jpg, .bmp, .pgm, .ppm), sound (.wav of 16 kHz), numbers (.csv), or holds the
/// input's own elements: raw and little-endian (.bin), or a NumPy array (.npy) of its type and shape. From pictures,
/// numbers and sound, the front end that the model's file declares computes the input, by the code that runs on a board; a model
/// that declares none takes pictures from black to white as its type has them. The numbers of a .csv are real values
/// in a sensor's units, a row for each time, which are quantized as the input is.
///
/// A file that holds k inputs in a row is a stream: k inferences, with the model's state kept from one to the next: the
/// seconds of a sound, the rows of a .csv, the first dimension of a .npy, before the input's own or in place of a
/// leading 1. The files of a folder are run in the order of their names, each from the initial state.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON)]
pub(crate) struct Args {
    /// A compiled model (.safetensors), or a .tflite or .onnx, which is compiled in memory
    model: PathBuf,
    /// An input file, or a folder of them; one for each input of the model, in order
    #[arg(short, long = "input", value_name = "FILE", required = true)]
    inputs: Vec<PathBuf>,
    /// How the first input is computed from a picture, numbers or sound, in place of what the model declares; see
    /// `tealight compile --help`
    #[arg(long, value_name = "HOW")]
    front_end: Option<FrontEnd>,
    #[command(flatten)]
    columns: Columns,
    /// Write the outputs to this file
    ///
    /// Raw little-endian elements: for each inference, the outputs of the model one after another. If the name ends in
    /// .npy: an array with the number of inferences as its first dimension, only for models with one output. If the
    /// command fails, no file is written.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The number of highest scores to show for each output
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    limits: Limits,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

const JSON: &str = "\
Keys of --json:
  model       the model file
  engine      which kernels computed which operators, and why
  inferences  the number of inferences
  inputs      [{files, inferences}]: the files of each stream, one for each input
  outputs     [{shape, dtype, scale, zero_point}]
  results     for each inference, for each output, the highest scores first:
              [{index, label, value, raw}]. value is dequantized, raw is the
              element as stored; null represents an infinity or NaN.
              Not with --output.
  output      the file written; only with --output";

/// The report; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct RunReport<'a> {
    model: &'a Path,
    engine: String,
    inferences: usize,
    inputs: Vec<StreamReport<'a>>,
    outputs: Vec<Output<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<Vec<Vec<Score>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Path>,
}

#[derive(Debug, Serialize)]
struct StreamReport<'a> {
    files: Vec<&'a Path>,
    inferences: usize,
}

#[derive(Debug, Serialize)]
struct Output<'a> {
    shape: &'a [u64],
    dtype: &'static str,
    scale: f32,
    zero_point: i32,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read or written, or does not fit the model. In that case no file is left behind.
pub(crate) fn run(args: &Args, screen: &mut Screen) -> Result<()> {
    let file = ModelFile::open(&args.model, args.limits.max_memory)?;
    let model = file.model()?;
    args.limits.check(&model, limits::INFERENCE)?;
    let kinds = |name: &str, values: &mut dyn Iterator<Item = usize>| -> Vec<TensorKind> {
        values.enumerate().map(|(i, value)| TensorKind::of(format!("{name} {i}"), &model.value(value))).collect()
    };
    let inputs = kinds("input", &mut model.inputs());
    let outputs = kinds("output", &mut model.outputs());
    let sensors = Sensors::of(&model, args.front_end.as_ref(), &args.columns)?;
    let samples = read_inputs(&args.inputs, &inputs, &sensors)?;
    let count = samples.iter().map(Sample::count).sum();

    let mut session = args.engine.session(&model)?;
    let described = args.engine.describe(&session);
    if args.engine.is_candle() && !args.json {
        eprintln!("{described}");
    }
    let mut results = Vec::new();
    match &args.output {
        Some(path) => {
            let read: Vec<&Path> = args.inputs.iter().chain([&args.model]).map(PathBuf::as_path).collect();
            let mut file = tensor_file::create_output(path, &outputs, count, &read)?;
            infer(&mut session, &samples, count, |bytes| bytes.iter().try_for_each(|output| file.write(output)))?;
            file.finish()?;
        }
        None => {
            let labels = model_file::labels(&model);
            infer(&mut session, &samples, count, |bytes| {
                let of_output = |(i, bytes): (usize, &&[u8])| {
                    let labels = if i == 0 { &labels[..] } else { &[] };
                    scores::top(&outputs[i], bytes, labels, args.top as usize)
                };
                results.push(bytes.iter().enumerate().map(of_output).collect::<Vec<_>>());
                Ok(())
            })?;
        }
    }
    if args.json {
        let outputs = outputs.iter().map(|kind| Output {
            shape: &kind.shape,
            dtype: kind.dtype.name(),
            scale: kind.quantization.scale,
            zero_point: kind.quantization.zero_point,
        });
        return screen.json(&RunReport {
            model: &args.model,
            engine: described,
            inferences: count,
            inputs: samples.iter().map(Sample::report).collect(),
            outputs: outputs.collect(),
            results: args.output.is_none().then_some(results),
            output: args.output.as_deref(),
        });
    }
    match &args.output {
        Some(path) => {
            let each: u64 = outputs.iter().map(|kind| kind.len as u64).sum();
            let size = bytes(each * count as u64);
            screen.print(format!("{}, {size} of outputs in {}\n", counted(count, "inference"), path.display()))
        }
        None => scores::print(&results, &headings(&samples), &outputs, screen),
    }
}

/// Files that are run together from the initial state: one for each input, all with the same number of tensors.
#[derive(Debug)]
struct Sample {
    files: Vec<PathBuf>,
    streams: Vec<Stream>,
}

impl Sample {
    /// The number of inferences.
    fn count(&self) -> usize {
        self.streams.first().map_or(1, Stream::count)
    }

    fn report(&self) -> StreamReport<'_> {
        StreamReport { files: self.files.iter().map(PathBuf::as_path).collect(), inferences: self.count() }
    }

    /// Reads one file for each input.
    fn read(files: Vec<PathBuf>, kinds: &[TensorKind], sensors: &Sensors) -> Result<Self> {
        let read = |(i, (file, kind)): (usize, (&PathBuf, &TensorKind))| sensors.read(i, kind, file);
        let streams = files.iter().zip(kinds).enumerate().map(read).collect::<Result<Vec<_>>>()?;
        let counts: Vec<usize> = streams.iter().map(Stream::count).collect();
        if counts.windows(2).any(|pair| pair[0] != pair[1]) {
            let found: Vec<_> =
                files.iter().zip(&counts).map(|(file, count)| format!("`{}` holds {count}", file.display())).collect();
            return Err(Error::new("the input files are streams of different lengths")
                .cause(found.join(", "))
                .help("give files with as many tensors each"));
        }
        Ok(Self { files, streams })
    }
}

/// Reads one file for each input, or the files of a folder for each, which belong together by the order of their names.
fn read_inputs(paths: &[PathBuf], kinds: &[TensorKind], sensors: &Sensors) -> Result<Vec<Sample>> {
    if paths.len() != kinds.len() {
        let wanted: Vec<_> = kinds.iter().map(ToString::to_string).collect();
        let (takes, given) = (counted(kinds.len(), "input"), counted(paths.len(), "input file"));
        return Err(Error::new(format!("the model has {takes}, but got {given}"))
            .cause(format!("it takes {}", wanted.join(", ")))
            .help("give --input once for each input, in order"));
    }
    let files = files_of_each(paths)?;
    let count = files.first().map_or(0, Vec::len);
    let of = |k: usize| files.iter().map(|files| files[k].clone()).collect();
    (0..count).map(|k| Sample::read(of(k), kinds, sensors)).collect()
}

/// What stands over the scores of each inference.
fn headings(samples: &[Sample]) -> Vec<String> {
    let of = |sample: &Sample| {
        let name = sample.files.first().and_then(|file| file.file_name()).unwrap_or_default().to_string_lossy();
        let (name, count) = (name.into_owned(), sample.count());
        (0..count).map(move |k| match (samples.len(), count) {
            (1, _) => format!("inference {k}"),
            (_, 1) => name.clone(),
            _ => format!("{name}, inference {k}"),
        })
    };
    samples.iter().flat_map(of).collect()
}

/// Runs the `count` inferences of `samples` in `session` and passes the bytes of each one's outputs to `take`.
fn infer(
    session: &mut Session<'_>,
    samples: &[Sample],
    count: usize,
    mut take: impl FnMut(&[&[u8]]) -> Result<()>,
) -> Result<()> {
    let mut progress = Progress::new(count);
    for sample in samples {
        session.reset();
        for k in 0..sample.count() {
            let inputs: Vec<&[u8]> = sample.streams.iter().map(|stream| stream.get(k)).collect();
            session.run_on(&inputs).map_err(|error| Error::new("cannot write the inputs").cause(error))?;
            let outputs: Vec<&[u8]> =
                (0..session.model().output_count()).filter_map(|i| Some(session.output(i)?.as_bytes())).collect();
            take(&outputs)?;
            progress.step();
        }
    }
    Ok(())
}
