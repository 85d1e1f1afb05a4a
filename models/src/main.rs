//! Trains, quantizes and measures the models; `cargo xtask train` and `cargo xtask eval` call it.

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use tealight_models::{Entry, MODELS, Paths, export};

/// Trains, quantizes and measures the models
#[derive(Parser)]
#[command(name = "tealight-models")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Trains a model, quantizes it and writes its files
    Train {
        /// The model
        name: String,
        /// Quantizes the float weights of the model's folder instead of training new ones
        #[arg(long)]
        keep_weights: bool,
    },
    /// Measures models on held-out data
    Eval {
        /// Models [default: all]
        names: Vec<String>,
        /// Prints one JSON value instead of text
        #[arg(long)]
        json: bool,
    },
    /// Compiles every model's float weights without quantization
    Float {
        /// Folder for the files
        folder: PathBuf,
    },
    /// Quantizes a model's float weights to several types of integers, and measures each on held-out data, as JSON
    Types {
        /// The model
        name: String,
        /// Folder for the files
        folder: PathBuf,
    },
    /// Writes held-out inputs of a model, and its outputs for them on this machine
    Answers {
        /// The model
        name: String,
        /// The number of inputs
        #[arg(long, default_value_t = 200)]
        count: usize,
        /// The file for the inputs
        #[arg(long)]
        inputs: PathBuf,
        /// The file for the outputs
        #[arg(long)]
        outputs: PathBuf,
    },
}

fn find(name: &str) -> Result<&'static dyn Entry> {
    match MODELS.iter().find(|model| model.name() == name) {
        Some(model) => Ok(*model),
        None => bail!("there is no model `{name}`; there are: {}", all().join(", ")),
    }
}

fn all() -> Vec<String> {
    MODELS.iter().map(|model| model.name().to_string()).collect()
}

fn main() -> Result<()> {
    let paths = Paths::new();
    match Arguments::parse().task {
        Task::Train { name, keep_weights } => find(&name)?.train(&paths, keep_weights),
        Task::Eval { names, json } => {
            let names = if names.is_empty() { all() } else { names };
            let models = names.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
            let figures = models.into_iter().map(|model| model.evaluate(&paths)).collect::<Result<Vec<_>>>()?;
            if json {
                println!("{}", serde_json::to_string_pretty(&figures)?);
                return Ok(());
            }
            println!(
                "{:<12} {:<24} {:>9} {:>9} {:>8} {:>8}",
                "model", "metric", "float", "quantized", "samples", "bytes"
            );
            for f in figures {
                println!(
                    "{:<12} {:<24} {:>9.4} {:>9.4} {:>8} {:>8}",
                    f.name, f.metric, f.float, f.quantized, f.samples, f.bytes
                );
            }
            Ok(())
        }
        Task::Float { folder } => {
            std::fs::create_dir_all(&folder)?;
            MODELS.iter().try_for_each(|model| {
                let name = model.name();
                export::write(&folder.join(format!("{name}.f32.safetensors")), &export::float(*model, &paths)?)
            })
        }
        Task::Types { name, folder } => {
            std::fs::create_dir_all(&folder)?;
            println!("{}", serde_json::to_string_pretty(&find(&name)?.types(&paths, &folder)?)?);
            Ok(())
        }
        Task::Answers { name, count, inputs, outputs } => {
            let model = find(&name)?;
            let bytes = model.inputs(&paths, count)?;
            let file = export::read(&paths.file(&name, &format!("{name}.safetensors")))?;
            let each = bytes.len() / count.max(1);
            // Firmware with a front end also writes the features.
            let inputs_of: Vec<_> = bytes.chunks(each.max(1)).map(|input| (model.features(input), input)).collect();
            let given = inputs_of.iter().map(|(features, input)| features.as_deref().unwrap_or(input));
            let mut answers = Vec::new();
            for (output, (features, _)) in export::answers(&file, given)?.into_iter().zip(&inputs_of) {
                answers.extend(features.iter().flatten());
                answers.extend(output);
            }
            export::write(&inputs, &bytes)?;
            export::write(&outputs, &answers)
        }
    }
}
