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

/// Where boards are: those that need nothing but this workspace, and those on the HALs of their chips.
const FOLDERS: [&str; 3] = ["boards", "boards/hardware", "boards/espressif"];

/// Contents of a `board.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Board {
    /// Identifier: the name of the folder and of the crate.
    pub id: String,
    /// The folder, from the root of the workspace on.
    #[serde(skip_deserializing)]
    pub folder: PathBuf,
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
    /// What the chip wants to find in flash before it starts an image; nothing on most.
    pub boot: Option<Boot>,
    /// Memory regions by name; `flash` and `ram` are always there.
    pub memory: BTreeMap<String, Region>,
    /// How QEMU emulates it. Without it the board is built and its image checked, but nothing runs.
    pub qemu: Option<Qemu>,
    /// Where the report comes from.
    pub console: Console,
}

/// A memory region.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Region {
    /// First address.
    pub origin: u64,
    /// Bytes.
    pub length: u64,
    /// The region of which this is a second view, from its first byte on.
    pub window_of: Option<String>,
}

/// What a chip's boot loader looks for in an image.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// RP2040: a second stage with a checksum.
    Rp2040,
    /// RP2350: an image definition.
    Rp2350,
    /// Espressif's second stage: an app descriptor.
    EspIdf,
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

/// Kinds of console.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ConsoleKind {
    /// Arm semihosting: console and files of the host.
    Semihosting,
    /// A serial port, over which inputs come too.
    Uart,
    /// A debugger's real-time transfer: buffers in RAM that it reads and fills.
    Rtt,
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
        for (name, region) in &board.memory {
            if let Some(of) = region.window_of.as_ref().filter(|of| !board.memory.contains_key(*of)) {
                bail!("`window-of = \"{of}\"` of `[memory.{name}]` names no region");
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
            if board.console.kind == ConsoleKind::Rtt {
                bail!("`kind = \"rtt\"` needs a debugger that reads it, and in QEMU there is none");
            }
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

    /// Every board that has firmware, by identifier: those in QEMU first.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let mut boards = Vec::new();
        for folder in FOLDERS {
            let folder = root.join(folder);
            let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
                .with_context(|| format!("cannot list {}", folder.display()))?
                .filter_map(|entry| Some(entry.ok()?.path().join("board.toml")))
                .filter(|file| file.is_file())
                .collect();
            files.sort();
            for file in files {
                boards.push(Self::read(root, &file)?);
            }
        }
        Ok(boards)
    }

    /// The boards that QEMU emulates: what runs firmware runs it on these.
    pub fn emulated(root: &Path) -> Result<Vec<Self>> {
        Ok(Self::all(root)?.into_iter().filter(|board| board.qemu.is_some()).collect())
    }

    /// The boards that nothing here runs: their images are built and checked.
    pub fn built_only(root: &Path) -> Result<Vec<Self>> {
        Ok(Self::all(root)?.into_iter().filter(|board| board.qemu.is_none()).collect())
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

    /// The board called `id`, for a task that runs firmware; if nothing runs it, a usage error that says what can be done.
    pub fn find_emulated(root: &Path, id: &str) -> Result<Self> {
        let board = Self::find(root, id)?;
        if board.qemu.is_some() {
            return Ok(board);
        }
        let emulated: Vec<_> = Self::emulated(root)?.into_iter().map(|board| board.id).collect();
        let text = format!(
            "{id} is real hardware that no emulator has: its image is built and checked by `cargo xtask layout --board {id}`, \
             and nothing here runs it; the boards that run here are: {}",
            emulated.join(", ")
        );
        Err(Usage(text).into())
    }

    /// The crate's manifest, from the root of the workspace on.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }

    fn read(root: &Path, file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let folder = file.parent().unwrap_or(root);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let board = Self::parse(&text, &name).with_context(|| format!("in {}", file.display()))?;
        Ok(Self { folder: folder.strip_prefix(root).unwrap_or(folder).into(), ..board })
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
        assert!(refusal(&GOOD.replace("semihosting", "rtt")).contains("rtt"));
        assert!(refusal(&GOOD.replace("0x800", "0x800\nwindow-of = \"rom\"")).contains("`window-of = \"rom\"`"));
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
        let (all, emulated) = (Board::all(root).unwrap(), Board::emulated(root).unwrap());
        let built_only = Board::built_only(root).unwrap();
        assert!(!emulated.is_empty() && !built_only.is_empty());
        assert_eq!(all.len(), emulated.len() + built_only.len());
        assert!(all.iter().all(|board| root.join(board.manifest()).is_file()));
        Board::find_emulated(root, DEFAULT).unwrap();
    }

    #[test]
    fn a_task_that_runs_firmware_refuses_a_board_that_is_built_only() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        Board::find(root, "pico").unwrap();
        let error = Board::find_emulated(root, "pico").unwrap_err();
        assert!(error.is::<Usage>());
        let text = error.to_string();
        assert!(text.contains("layout --board pico") && text.contains(DEFAULT), "{text}");
    }
}
