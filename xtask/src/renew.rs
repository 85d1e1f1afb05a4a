//! `cargo xtask renew`: compiles the models of the repository again, and records their outputs.
//!
//! For a change of the format, or of what the compiler writes: our own models are compiled from their float weights,
//! with the answers that their goldens hold; the small models of tests and the fuzzer's seeds are written by the tests
//! that compare them. What the goldens of networks and operators hold does not depend on a file, and stays.

use crate::context::{Context, run_quietly};
use crate::files::sha256;
use crate::model::own_models;
use crate::progress::{Progress, say};
use crate::train;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use xshell::cmd;

/// Tests that write their files when `TEALIGHT_BLESS` is set: package, test file, and the test's name.
const BLESSED: &[[&str; 3]] = &[
    ["tealight-format", "parse", "the_core_crate_has_these_example_files"],
    ["tealight-format", "spec", "the_operator_table_of_spec_md_is_up_to_date"],
    ["tealight-board-spec", "listed", "the_built_in_boards_are_those_of_the_folders"],
    ["tealight", "hostile", "the_seeds_of_the_fuzzer_are_models"],
];

/// Where compiled models and what is recorded of them lie.
const FOLDERS: &[&str] = &["models", "runtime/core/tests", "tests/fuzz/seeds", "boards/spec/src"];

/// Writes everything again and reports which files changed.
pub fn renew(context: &Context) -> Result<()> {
    let before = digests(&context.root)?;
    let (shell, cargo) = (&context.shell, context.cargo());
    for [package, file, test] in BLESSED {
        let progress = Progress::start(format!("{test} of {package}"));
        let command = cmd!(shell, "{cargo} test --package {package} --test {file} -- --exact {test}");
        run_quietly(command.env("TEALIGHT_BLESS", "1"))?;
        progress.done("");
    }
    for name in own_models(context)? {
        train::train(context, &name, true)?;
    }
    let after = digests(&context.root)?;
    let changed = after.iter().filter(|(file, digest)| before.get(*file) != Some(digest));
    let changed: Vec<_> = changed.map(|(file, _)| file.strip_prefix(&context.root).unwrap_or(file)).collect();
    for file in &changed {
        say(&format!("  changed: {}", file.display()));
    }
    say(&format!("  {} of {} files changed", changed.len(), after.len()));
    Ok(())
}

/// The digests of the files that are written here, and of some others beside them.
fn digests(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut digests = BTreeMap::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|kind| ["safetensors", "json", "bin", "in"].iter().any(|one| kind == *one))
            {
                let bytes = crate::files::read(&path)?;
                digests.insert(path, sha256(&bytes));
            }
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_renewed_is_seen() {
        let root = Context::new().unwrap().root;
        let digests = digests(&root).unwrap();
        for file in [
            "models/digits/digits.safetensors",
            "models/digits/golden.json",
            "models/charlm/continuation.json",
            "runtime/core/tests/relu.safetensors",
            "boards/spec/src/boards.in",
            "tests/fuzz/seeds/Add.safetensors",
        ] {
            assert!(digests.contains_key(&root.join(file)), "{file}");
        }
    }
}
