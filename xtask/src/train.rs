//! `cargo xtask train`: one of our own models, trained with Candle.

use crate::Context;
use crate::eval::{check_names, ensure_data, program};
use anyhow::{Context as _, Result};
use xshell::cmd;

/// Trains a model, or quantizes its weights again.
pub fn train(context: &Context, name: &str, keep_weights: bool) -> Result<()> {
    let names = [name.to_string()];
    check_names(context, &names)?;
    ensure_data(context, &names)?;
    let program = program(context)?;
    let shell = &context.shell;
    let keep = keep_weights.then_some("--keep-weights");
    // glibc returns every large tensor to the system, and asking for it again takes a third of the time: it may keep
    // some.
    let memory = (1_u64 << 32).to_string();
    cmd!(shell, "{program} train {name} {keep...}")
        .env("MALLOC_TRIM_THRESHOLD_", &memory)
        .env("MALLOC_MMAP_THRESHOLD_", &memory)
        .quiet()
        .run()
        .with_context(|| format!("training {name}"))
}
