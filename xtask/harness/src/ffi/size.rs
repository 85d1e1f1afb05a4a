//! `cargo xtask ffi --sizes`: the flash of the smallest C firmware with a network, beside another runtime's on the same core.

use crate::context::Context;
use crate::ffi::check::{Models, program, write_library};
use crate::ffi::machine::ARM;
use crate::ffi::open;
use crate::files;
use crate::firmware;
use crate::golden::golden_models;
use crate::model::ModelFile;
use crate::peers::Peers;
use crate::table::table;
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::path::Path;
use tealight_cli::grouped;
use tealight_tests::models::MLPERF_TINY;

/// The network that other runtimes were measured with, and that which takes its place where its file is not there.
const NETWORK: &str = "mlperf_kws";
const OWN: &str = "keyword";

/// The flash of a firmware.
#[derive(Debug, Serialize)]
struct Size {
    network: String,
    what: String,
    /// Everything in flash but the model.
    bytes_without_model: u64,
}

/// Builds the firmware and prints its sizes.
///
/// # Errors
/// It does not build.
pub(super) fn sizes(context: &Context, json: bool) -> Result<()> {
    ARM.ensure(context)?;
    let model = network(context)?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let library = write_library(context, &ARM, folder.path(), Some(&model))?;
    let models = Models::write(folder.path(), &[(&model.name, &model)])?;
    let mut sizes = Vec::new();
    for (what, main) in [
        ("Tealight, C: the model that is built in", "built_in.c"),
        ("Tealight, C: a model that is checked when it is opened", "checked.c"),
    ] {
        let program = program(context, &ARM, &models, &library, &[main], folder.path().join(main));
        ARM.compile(context, &program)?;
        ARM.run(context, &program.output)?;
        let flash = firmware::sizes(&files::read(&program.output)?)?.flash;
        let bytes_without_model = flash.saturating_sub(model.bytes.len() as u64);
        sizes.push(Size { network: model.name.clone(), what: what.into(), bytes_without_model });
    }
    if let Some((runtime, figures)) = Peers::read(&context.root)?.find(ARM.name, &model.name) {
        let bytes_without_model = figures.runtime_flash_bytes;
        sizes.push(Size { network: model.name.clone(), what: runtime.into(), bytes_without_model });
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&sizes)?);
        return Ok(());
    }
    let mut table = table(&["network", "firmware on Cortex-M4F"], &["bytes of flash without the model"], &[]);
    for Size { network, what, bytes_without_model } in sizes {
        table.row([network, what, grouped(bytes_without_model)]);
    }
    println!("{table}");
    Ok(())
}

/// The network: MLPerf Tiny's, if the variable names its folder.
fn network(context: &Context) -> Result<ModelFile> {
    if std::env::var_os(MLPERF_TINY).is_none() {
        eprintln!("  {OWN} in the place of {NETWORK} ({MLPERF_TINY} names its folder)");
        return open(context, Path::new(OWN));
    }
    let goldens = golden_models(context, &[NETWORK.into()])?;
    let golden = goldens.first().with_context(|| format!("there is no network {NETWORK}"))?;
    let (model, _) = golden.open(context)?;
    Ok(ModelFile { name: NETWORK.into(), ..model })
}
