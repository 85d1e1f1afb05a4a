//! `include/tealight.h`, made by cbindgen from the source of the crate `tealight-ffi`.

use crate::context::Context;
use crate::files;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;

/// The source files, in the order in which the header has what they declare.
const FILES: [&str; 6] = ["status", "error", "model", "session", "tensor", "inference"];

/// The header's place.
pub(super) fn path(context: &Context) -> PathBuf {
    context.root.join("include").join("tealight.h")
}

/// The header, as the source says it.
///
/// # Errors
/// The source is not what cbindgen reads.
pub(super) fn generate(context: &Context) -> Result<String> {
    let folder = context.root.join("runtime").join("ffi");
    let settings = folder.join("cbindgen.toml");
    let config = cbindgen::Config::from_file(&settings).map_err(|error| anyhow::anyhow!("{error}"))?;
    let start = cbindgen::Builder::new().with_config(config);
    let source = |file: &str| folder.join("src").join(format!("{file}.rs"));
    let builder = FILES.iter().fold(start, |builder, file| builder.with_src(source(file)));
    let bindings = builder.generate().context("cbindgen cannot read the source of tealight-ffi")?;
    let mut header = Vec::new();
    bindings.write(&mut header);
    Ok(String::from_utf8(header)?)
}

/// Writes the header.
///
/// # Errors
/// It cannot be made or written.
pub(super) fn write(context: &Context) -> Result<()> {
    files::write_whole(&path(context), generate(context)?.as_bytes())
}

/// Whether the header is what the source says.
///
/// # Errors
/// It is not.
pub(super) fn check(context: &Context) -> Result<()> {
    let path = path(context);
    if files::read(&path)? != generate(context)?.as_bytes() {
        bail!("{} is not what runtime/ffi declares; `cargo xtask ffi --header` writes it anew", path.display());
    }
    Ok(())
}
