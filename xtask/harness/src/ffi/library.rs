//! The static library, built for a target.

use crate::context::Context;
use crate::model::ModelFile;
use crate::on_board::stable_copy;
use crate::progress::Progress;
use crate::{files, install};
use anyhow::{Context as _, Result, bail};
use object::read::archive::ArchiveFile;
use object::{Object as _, ObjectSection as _, SectionKind};
use serde::Serialize;
use std::path::PathBuf;
use xshell::cmd;

/// What to build.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe<'a> {
    /// The Rust target.
    pub(super) target: &'a str,
    /// The compiler's flags for the core.
    pub(super) flags: &'a [String],
    /// The model whose operators are linked; without one, all.
    pub(super) model: Option<&'a ModelFile>,
}

/// The file's name, for every target: that by which a linker finds it.
pub(super) const FILE: &str = "libtealight.a";

/// Builds the library and returns its bytes.
///
/// # Errors
/// The target is not installed, or it does not build.
pub(super) fn build(context: &Context, recipe: Recipe<'_>) -> Result<Vec<u8>> {
    let Recipe { target, flags, model } = recipe;
    install::ensure_target(context, target)?;
    // The next build replaces the file.
    let _lock = files::lock(context, &format!("ffi-{target}"))?;
    let operators = model.map_or_else(|| "all operators".into(), |model| format!("the operators of {}", model.name));
    let progress = Progress::start(format!("building the C library for {target} with {operators}"));
    let file = model.map(|model| stable_copy(context, model)).transpose()?;
    let features = if file.is_some() { "panic-handler,one-model" } else { "panic-handler" };
    let (shell, cargo) = (&context.shell, context.cargo());
    let flags_variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace(['-', '.'], "_"));
    let command = cmd!(shell, "{cargo} rustc --package tealight-ffi --profile firmware --target {target}")
        .args(["--crate-type", "staticlib", "--features", features])
        .arg("--message-format=json-render-diagnostics")
        .env(flags_variable, flags.join(" "))
        .envs(file.map(|file| ("TEALIGHT_MODEL", file)))
        // They would count instead.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .quiet();
    let output = command.ignore_status().output()?;
    if !output.status.success() {
        bail!("the C library for {target} did not build:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let path = archive(&String::from_utf8_lossy(&output.stdout)).context("cargo built no static library")?;
    let bytes = files::read(&path)?;
    progress.done("");
    Ok(bytes)
}

/// The library's path in cargo's messages.
fn archive(messages: &str) -> Option<PathBuf> {
    let values = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let of_library = values.filter(|message| message["target"]["name"] == "tealight_ffi");
    let names = of_library.filter_map(|message| message["filenames"].as_array().cloned());
    let mut paths = names.flatten().filter_map(|name| name.as_str().map(PathBuf::from));
    paths.find(|path| path.extension().is_some_and(|extension| extension == "a" || extension == "lib"))
}

/// Bytes of a library or of a program, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Parts {
    /// Machine code.
    pub(super) code: u64,
    /// Constants.
    pub(super) constants: u64,
    /// Variables.
    pub(super) variables: u64,
}

/// What the library holds. A program has the part of it that it uses.
///
/// # Errors
/// It is not an archive of object files.
pub(super) fn parts(library: &[u8]) -> Result<Parts> {
    let archive = ArchiveFile::parse(library).context("the library is not an archive")?;
    let mut parts = Parts::default();
    for member in archive.members() {
        let Ok(file) = object::File::parse(member?.data(library)?) else { continue };
        parts.add(&file);
    }
    Ok(parts)
}

impl Parts {
    /// Adds the sections of an object file.
    pub(super) fn add(&mut self, file: &object::File<'_>) {
        for section in file.sections() {
            match section.kind() {
                SectionKind::Text => self.code += section.size(),
                SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => self.constants += section.size(),
                SectionKind::Data | SectionKind::UninitializedData => self.variables += section.size(),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"target":{"name":"tealight"},"filenames":["/t/libtealight.rlib"]}"#,
            "\n",
            r#"{"target":{"name":"tealight_ffi"},"filenames":["/t/libtealight_ffi.a"]}"#,
        );
        assert_eq!(archive(messages), Some(PathBuf::from("/t/libtealight_ffi.a")));
        assert_eq!(archive("not json"), None);
    }

    #[test]
    fn what_is_not_an_archive_is_refused() {
        assert!(parts(b"hello").is_err());
    }
}
