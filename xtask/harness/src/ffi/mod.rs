//! `cargo xtask ffi`: the C interface, as a static library with its header for programs in C, and its tests.

mod array;
pub mod check;
mod header;
mod library;
mod machine;
mod package;
mod size;

use crate::context::Context;
use crate::files;
use crate::model::ModelFile;
use crate::run;
use crate::table::table;
use anyhow::Result;
use clap::Args;
use library::{FILE, Parts, Recipe};
use serde_json::json;
use std::path::{Path, PathBuf};
use tealight_cli::grouped;

/// What to build.
#[derive(Debug, Args)]
pub struct FfiArgs {
    /// Rust target to build for, such as thumbv7em-none-eabihf [default: this machine]
    #[arg(long)]
    pub target: Option<String>,
    /// CPU of the target, as rustc names it, such as cortex-m4: its instructions are used
    #[arg(long)]
    pub cpu: Option<String>,
    /// Model whose operators are linked, and which is written as a C array: .tflite, compiled .safetensors, or the name of
    /// one of our own [default: all operators, no model]
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Folder that the library, the header and the packages' files are written to [default: tealight-TARGET]
    #[arg(long, short)]
    pub output: Option<PathBuf>,
    /// Writes include/tealight.h anew from the source of runtime/ffi, and does nothing else
    #[arg(long, exclusive = true)]
    pub header: bool,
    /// Builds the smallest firmware in C with a keyword network for a Cortex-M4F, prints its size beside another runtime's, and
    /// does nothing else
    #[arg(long, conflicts_with_all = ["target", "cpu", "model", "output"])]
    pub sizes: bool,
    /// Prints one JSON value instead of text
    #[arg(long)]
    pub json: bool,
}

/// Runs the task.
///
/// # Errors
/// The library does not build, or something cannot be written.
pub fn ffi(context: &Context, args: &FfiArgs) -> Result<()> {
    if args.header {
        return header::write(context);
    }
    if args.sizes {
        return size::sizes(context, args.json);
    }
    let target = args.target.clone().map_or_else(|| machine::host(context), Ok)?;
    let model = args.model.as_deref().map(|file| open(context, file)).transpose()?;
    let flags: Vec<String> = args.cpu.iter().map(|cpu| format!("-Ctarget-cpu={cpu}")).collect();
    let library = library::build(context, Recipe { target: &target, flags: &flags, model: model.as_ref() })?;
    let folder = args.output.clone().unwrap_or_else(|| format!("tealight-{target}").into());
    let arduino = package::arduino_folder(&target, args.cpu.as_deref());
    let written = write(context, &folder, &library, model.as_ref(), arduino.as_deref())?;
    let parts = library::parts(&library)?;
    if args.json {
        let model = model.as_ref().map(|model| json!({ "name": model.name, "bytes": model.bytes.len() }));
        let json = json!({ "target": target, "model": model, "files": written, "sizes": parts });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    written.iter().for_each(|file| println!("{}", file.display()));
    println!("{}", sizes(&parts));
    println!("a program has only the part of the library that it uses, if it is linked with --gc-sections");
    Ok(())
}

/// A model by its file, or one of our own by its name.
fn open(context: &Context, model: &Path) -> Result<ModelFile> {
    Ok(run::model_and_inputs(context, Some(model), &[])?.0)
}

/// Writes library, header, model and packages' files, and returns the files. Arduino takes library and headers from `src`: the
/// library from `arduino` below it.
fn write(
    context: &Context,
    folder: &Path,
    library: &[u8],
    model: Option<&ModelFile>,
    arduino: Option<&Path>,
) -> Result<Vec<PathBuf>> {
    let mut headers = vec![("tealight.h".to_string(), files::read(&header::path(context))?)];
    let mut contents = vec![(Path::new("lib").join(FILE), library.to_vec())];
    if let Some(model) = model {
        let array = array::of_model(model);
        headers.push((format!("{}_model.h", array.name), array.header.into_bytes()));
        contents.push((Path::new("src").join(format!("{}_model.c", array.name)), array.source.into_bytes()));
    }
    for (name, bytes) in headers {
        if arduino.is_some() {
            contents.push((Path::new("src").join(&name), bytes.clone()));
        }
        contents.push((Path::new("include").join(name), bytes));
    }
    if let Some(arduino) = arduino {
        contents.push((Path::new("src").join(arduino).join(FILE), library.to_vec()));
    }
    contents.extend(package::files());
    for (file, bytes) in &contents {
        files::write_whole(&folder.join(file), bytes)?;
    }
    Ok(contents.into_iter().map(|(file, _)| folder.join(file)).collect())
}

fn sizes(parts: &Parts) -> impl std::fmt::Display {
    let mut table = table(&["part of the library"], &["bytes"], &[]);
    for (part, bytes) in [("code", parts.code), ("constants", parts.constants), ("variables", parts.variables)] {
        table.row([part.into(), grouped(bytes)]);
    }
    table
}
