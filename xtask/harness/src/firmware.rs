//! Builds a board's firmware around a model, and measures the image.

use crate::board::Board;
use crate::context::{CHECKED, Context};
use crate::files;
use crate::fit;
use crate::install;
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use object::{Object, ObjectSection, SectionFlags, SectionKind};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tealight_board_spec::SlotOperators;
use tealight_format::Model;
use tealight_format::ops::BlockType;
use xshell::{Cmd, cmd};

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The board.
    pub board: &'a Board,
    /// The model's name in errors.
    pub name: &'a str,
    /// The compiled model to embed.
    pub model: &'a Path,
    /// Inputs to embed; without them the firmware reads them from the host.
    pub embedded_input: Option<&'a Path>,
    /// Features of `tealight-board`, which choose the app.
    pub features: &'a [&'a str],
    /// The minimum level of what is built into its log.
    pub log: Level,
}

/// How much firmware logs besides its report: what is below the level is not built into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// The report alone.
    #[default]
    Off,
    /// What went wrong.
    Error,
    /// And what may.
    Warn,
    /// And what it is about to do.
    Info,
    /// And each inference.
    Debug,
    /// And every detail.
    Trace,
}

impl Level {
    /// As `DEFMT_LOG` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Builds the firmware and returns its ELF image. Only one process at a time builds for a board, because the next build
/// replaces the file that is read here.
pub fn build(context: &Context, recipe: Recipe<'_>) -> Result<Vec<u8>> {
    let board = recipe.board;
    install::ensure_target(context, &board.target)?;
    let _lock = files::lock(context, &format!("firmware-{}", board.id))?;
    let model = std::path::absolute(recipe.model)?;
    let id = &board.id;
    let mut command = cargo(context, board, &["build", "--profile", "firmware"], recipe.features, recipe.log)
        .args(["--config", &format!("profile.firmware.opt-level={}", optimization(&recipe, &files::read(&model)?))])
        .arg("--message-format=json-render-diagnostics")
        .env("TEALIGHT_MODEL", &model)
        .env_remove("TEALIGHT_INPUT");
    if let Some(input) = recipe.embedded_input {
        command = command.env("TEALIGHT_INPUT", std::path::absolute(input)?);
    }
    let output = command.ignore_status().output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let memories = memories(board, recipe.features);
        if let Some(refusal) = fit::linker_refusal(&memories, recipe.name, &messages)
            .or_else(|| fit::linker_refusal(&memories, recipe.name, &errors))
        {
            return Err(refusal.into());
        }
        bail!("the firmware for {id} with the model {} did not build:\n{}", model.display(), errors.trim_end());
    }
    files::read(&executable(&messages, id).with_context(|| format!("cargo built no image for {id}"))?)
}

/// The features of firmware with the board's model slot: those of its log, and the slot's.
pub fn with_slot<'a>(board: &Board, features: &[&'a str]) -> Vec<&'a str> {
    let int8_only = board.model_slot.is_some_and(|slot| slot.operators == SlotOperators::Int8);
    let operators = int8_only.then_some("int8-only");
    features.iter().copied().chain([MODEL_SLOT]).chain(operators).collect()
}

/// The board with the memories that firmware with these features has: with a model slot, the flash below it.
fn memories(board: &Board, features: &[&str]) -> Board {
    let mut board = board.clone();
    if let Some(slot) = board.model_slot.filter(|_| features.contains(&MODEL_SLOT))
        && let Some(flash) = board.memory.get_mut("flash")
    {
        flash.length = slot.origin.saturating_sub(flash.origin);
    }
    board
}

/// The feature of `tealight-board` for firmware that takes its model from the board's model slot. `TEALIGHT_MODEL` is then
/// the slot's contents.
pub const MODEL_SLOT: &str = "model-slot";

/// The features of `tealight-board` for firmware that takes any model.
const TAKE_ANY_MODEL: &[&str] = &[MODEL_SLOT, "loadable", "measure-parse", "measure-polls"];

/// The feature of `tealight-board` for firmware that compares its kernels with the portable and the recorded ones.
pub const COMPARE: &str = "compare-arch";

/// A command of cargo for a board's crate, with the compiler flags of the board's core.
///
/// Cargo distinguishes artifacts by these flags, so boards that share a target do not replace each other's. It does not
/// distinguish `defmt`'s macros for one level of the log from those for another: they, and all that is built with them,
/// would be built again each time the level changes. So for each level they have another number of codegen units, which
/// cargo does distinguish.
///
/// As tests build it, firmware whose instructions are not counted is built with clippy in the place of the compiler.
pub fn cargo<'a>(context: &'a Context, board: &Board, words: &[&str], features: &[&str], log: Level) -> Cmd<'a> {
    let shell = &context.shell;
    let (cargo, id, target, manifest) = (context.cargo(), &board.id, &board.target, board.manifest());
    let slot = features.contains(&MODEL_SLOT).then_some(("TEALIGHT_SLOT", "1"));
    let uncounted = board.is_on_hal() || features.contains(&COMPARE);
    let checked = if uncounted && context.as_tested() { &CHECKED[..] } else { &[] };
    let features: Vec<_> = features.iter().map(|feature| format!("tealight-board/{feature}")).collect();
    let features = features.join(",");
    let of_level = format!("profile.firmware.package.defmt-macros.codegen-units={}", 1 + log as u32);
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace(['-', '.'], "_"));
    cmd!(shell, "{cargo} {words...} --manifest-path {manifest} --package {id} --target {target} --features {features}")
        .args(["--config", &of_level])
        .env("DEFMT_LOG", log.name())
        .env(variable, board.rustflags().join(" "))
        // The memory map of the firmware depends on it.
        .env_remove("TEALIGHT_SLOT")
        .envs(slot)
        .envs(checked.iter().copied())
        // They would count instead.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .quiet()
}

/// The compiler's level of optimization. Where flash is short, and assembly does most of the work, 2: the runtime of an int8
/// network takes up to 1.4 KB less than with 3 there, and its kernels up to 0.2 % more instructions. Not for block-quantized
/// weights, most of whose types have no assembly, and for firmware that takes any model.
fn optimization(recipe: &Recipe<'_>, model: &[u8]) -> u8 {
    let short = ["thumbv6m-", "thumbv7m-", "thumbv7em-"].iter().any(|cores| recipe.board.target.starts_with(cores));
    let takes_any = recipe.features.iter().any(|feature| TAKE_ANY_MODEL.contains(feature));
    let has_blocks =
        Model::parse(model).is_ok_and(|model| BlockType::ALL.iter().any(|&block| model.op_set().has_block(block)));
    if short && !takes_any && !has_blocks { 2 } else { 3 }
}

/// The paths of a package's programs in cargo's messages, each with the folder of the package.
#[cfg(feature = "all")]
pub(crate) fn executables(messages: &str, package: &str) -> Vec<(PathBuf, PathBuf)> {
    let of_package = format!("#{package}@");
    let values = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let path = |value: &serde_json::Value| value.as_str().map(PathBuf::from);
    let program = |message: serde_json::Value| {
        message["package_id"].as_str().filter(|id| id.contains(&of_package))?;
        let folder = path(&message["manifest_path"])?.parent()?.to_path_buf();
        Some((path(&message["executable"])?, folder))
    };
    values.filter_map(program).collect()
}

/// The image's path in cargo's messages.
pub fn executable(messages: &str, package: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == package)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Bytes of an image in the memories of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Everything that is loaded into flash: vectors, code, constants, initial values of variables.
    pub flash: u64,
    /// Variables in RAM, the arena among them; the stack comes on top.
    pub ram: u64,
}

/// Measures an image.
pub fn sizes(image: &[u8]) -> Result<Sizes> {
    let file = object::File::parse(image).context("the image is not an ELF file")?;
    let mut sizes = Sizes { flash: 0, ram: 0 };
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            continue;
        };
        if !sh_flags.contains(object::elf::SHF_ALLOC) {
            continue;
        }
        // Room that is kept for the stack is no variable.
        if section.name().is_ok_and(|name| name == ".stack") {
            continue;
        }
        let loaded = section.kind() != SectionKind::UninitializedData;
        let written = sh_flags.contains(object::elf::SHF_WRITE);
        if loaded {
            sizes.flash += section.size();
        }
        if written {
            sizes.ram += section.size();
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/o"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"x1"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"x1"},"executable":"/t/x1"}"#,
            "\nnot json\n"
        );
        assert_eq!(executable(messages, "x1"), Some(PathBuf::from("/t/x1")));
        assert_eq!(executable(messages, "x2"), None);
        let test = r#"{"package_id":"path+file:///p#x@0.1.0","manifest_path":"/p/Cargo.toml","executable":"/t/x-2"}"#;
        assert_eq!(executables(test, "x"), [(PathBuf::from("/t/x-2"), PathBuf::from("/p"))]);
        assert_eq!(executables(test, "y"), []);
        assert_eq!(executables(&test.replace(r#""/t/x-2""#, "null"), "x"), []);
    }

    #[test]
    fn what_is_not_an_image_is_refused() {
        assert!(sizes(b"hello").is_err());
    }
}
