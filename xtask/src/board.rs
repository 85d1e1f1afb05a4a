//! A board as its `board.toml` describes it; xtask knows boards by nothing else.

use crate::error::Usage;
use crate::linux::{self, LinuxBoard};
use crate::version::Version;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The board that tasks use when none is named.
pub const DEFAULT: &str = "mps2-an386";

/// Contents of a `board.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Board {
    /// Identifier: the name of the folder and of the crate.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Processor core.
    pub core: String,
    /// Rust target triple.
    pub target: String,
    /// The core as the compiler knows it, where it has more than the least of its target.
    pub target_cpu: Option<String>,
    /// What the core has beside that (`+v`), or lacks (`-mve.fp`).
    #[serde(default)]
    pub target_features: Vec<String>,
    /// Bytes of RAM kept for the stack.
    pub stack: u64,
    /// Memory regions by name; `flash` and `ram` are always there.
    pub memory: BTreeMap<String, Region>,
    /// How QEMU emulates it, if it does.
    pub qemu: Option<Qemu>,
    /// Where the report comes from.
    pub console: Console,
}

/// A memory region.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// First address.
    pub origin: u64,
    /// Bytes.
    pub length: u64,
}

/// A QEMU machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// Program, such as `qemu-system-arm`.
    pub binary: String,
    /// Machine name.
    pub machine: String,
    /// Least version that emulates the machine well enough.
    pub version: String,
    /// What else the emulator is told.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// The report's way to the host.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Kind of console.
    pub kind: ConsoleKind,
}

/// Kinds of console that xtask can read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ConsoleKind {
    /// Arm semihosting: console and files of the host.
    Semihosting,
    /// A serial port, over which inputs come too.
    Uart,
}

impl Qemu {
    /// The least version as a number.
    pub fn least_version(&self) -> Result<Version> {
        self.version.parse().map_err(anyhow::Error::msg)
    }
}

impl Board {
    /// Reads the text of a `board.toml` that lies in the folder `folder`.
    pub fn parse(text: &str, folder: &str) -> Result<Self> {
        let board: Board = toml::from_str(text)?;
        if board.id != folder {
            bail!("`id = \"{}\"` differs from the folder's name `{folder}`", board.id);
        }
        for region in ["flash", "ram"] {
            if !board.memory.contains_key(region) {
                bail!("the table `[memory.{region}]` is missing");
            }
        }
        // Cargo splits its variables at blanks, the compiler its list of features at commas.
        let blank = |word: &String| word.contains(|c: char| c.is_whitespace() || c == ',');
        if let Some(word) = board.target_cpu.iter().chain(&board.target_features).find(|word| blank(word)) {
            bail!("`{word}` names no processor and no single feature");
        }
        if let Some(feature) = board.target_features.iter().find(|feature| !feature.starts_with(['+', '-'])) {
            bail!("`{feature}` in `target-features` begins with neither `+` nor `-`");
        }
        if let Some(qemu) = &board.qemu {
            qemu.least_version().context("in `[qemu]`")?;
        }
        Ok(board)
    }

    /// What the compiler is told of the core, each flag one word.
    pub fn rustflags(&self) -> Vec<String> {
        let cpu = self.target_cpu.iter().map(|cpu| format!("-Ctarget-cpu={cpu}"));
        let features =
            (!self.target_features.is_empty()).then(|| format!("-Ctarget-feature={}", self.target_features.join(",")));
        cpu.chain(features).collect()
    }

    /// The length of a memory region.
    pub fn length(&self, region: &str) -> u64 {
        self.memory.get(region).map_or(0, |region| region.length)
    }

    /// Every board of the workspace that runs firmware, by identifier.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let folder = root.join("boards");
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}", folder.display()))?
            .filter_map(|entry| Some(entry.ok()?.path().join("board.toml")))
            .filter(|file| file.is_file())
            .collect();
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    /// The board called `id`; if there is none, a usage error that lists those there are.
    pub fn find(root: &Path, id: &str) -> Result<Self> {
        linux::refuse(root, id)?;
        let boards = Self::all(root)?;
        let linux = LinuxBoard::all(root)?.into_iter().map(|board| board.id);
        let known: Vec<_> = boards.iter().map(|board| board.id.clone()).chain(linux).collect();
        boards.into_iter().find(|board| board.id == id).ok_or_else(|| {
            let known = known.join(", ");
            Usage(format!("there is no board `{id}`; the boards are: {known}")).into()
        })
    }

    fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        Self::parse(&text, &folder).with_context(|| format!("in {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        id = "x1"
        name = "X"
        core = "Cortex-M4F"
        target = "thumbv7em-none-eabihf"
        stack = 0x400
        [memory.flash]
        origin = 0
        length = 0x1000
        [memory.ram]
        origin = 0x2000_0000
        length = 0x800
        [qemu]
        binary = "qemu-system-arm"
        machine = "x1"
        version = "7.2"
        [console]
        kind = "semihosting"
    "#;

    fn refusal(text: &str) -> String {
        format!("{:#}", Board::parse(text, "x1").unwrap_err())
    }

    #[test]
    fn a_whole_description_is_read() {
        let board = Board::parse(GOOD, "x1").unwrap();
        assert_eq!(board.memory["ram"].origin, 0x2000_0000);
        assert_eq!(board.qemu.unwrap().least_version().unwrap(), "7.2".parse().unwrap());
        assert_eq!(board.console.kind, ConsoleKind::Semihosting);
    }

    #[test]
    fn the_compiler_is_told_what_the_core_has() {
        assert!(Board::parse(GOOD, "x1").unwrap().rustflags().is_empty());
        let told = GOOD.replace("stack =", "target-cpu = \"c1\"\ntarget-features = [\"+a\", \"-b\"]\nstack =");
        let flags = Board::parse(&told, "x1").unwrap().rustflags();
        assert_eq!(flags, ["-Ctarget-cpu=c1", "-Ctarget-feature=+a,-b"]);
        assert!(refusal(&told.replace("+a", "a")).contains("`a` in `target-features`"));
        assert!(refusal(&told.replace("c1", "c1 -Copt-level=0")).contains("`c1 -Copt-level=0`"));
    }

    #[test]
    fn a_wrong_description_is_refused_by_the_name_of_what_is_wrong() {
        assert!(refusal(&GOOD.replace("x1\"\n        name", "x2\"\n        name")).contains("x2"));
        assert!(refusal(&GOOD.replace("memory.ram", "memory.sram")).contains("[memory.ram]"));
        assert!(refusal(&GOOD.replace("\"7.2\"", "\"new\"")).contains("`new`"));
        assert!(refusal(&GOOD.replace("core =", "cpu =")).contains("cpu"));
        assert!(refusal(&GOOD.replace("semihosting", "pigeon")).contains("pigeon"));
    }

    #[test]
    fn an_unknown_board_is_answered_with_the_list_of_boards() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let error = Board::find(root, "toaster").unwrap_err();
        assert!(error.is::<Usage>());
        let text = error.to_string();
        assert!(text.contains("`toaster`") && text.contains(DEFAULT), "{text}");
    }

    #[test]
    fn every_board_of_the_workspace_is_well_described() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert!(!Board::all(root).unwrap().is_empty());
        Board::find(root, DEFAULT).unwrap();
    }
}
