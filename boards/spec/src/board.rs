//! A board with firmware.

use crate::{FOLDER, SpecError, Version, files, files_in, read};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Contents of the `board.toml` of a board with firmware.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Board {
    /// Identifier: the name of the folder and of the crate.
    pub id: String,
    /// The path of the folder, relative to the root of the workspace; empty if a text was parsed.
    #[serde(skip_deserializing)]
    pub folder: PathBuf,
    /// Display name.
    pub name: String,
    /// Processor core.
    pub core: String,
    /// The core's clock in hertz, from which milliseconds are estimated; none for a machine that only an emulator has.
    pub clock: Option<u64>,
    /// Rust target triple.
    pub target: String,
    /// The compiler's name of the core, if it has more than the baseline of its target.
    pub target_cpu: Option<String>,
    /// Features that the core has in addition (`+v`), or lacks (`-mve.fp`).
    #[serde(default)]
    pub target_features: Vec<String>,
    /// Bytes of RAM reserved for the stack, at the lowest addresses of the RAM.
    pub stack: u64,
    /// What the chip's boot loader requires in flash before it starts an image; most need nothing.
    pub boot: Option<Boot>,
    /// Memory regions by name; `flash` and `ram` are always present.
    pub memory: BTreeMap<String, Region>,
    /// The part of the flash in which a model is replaced without the firmware, which then has what is below it.
    pub model_slot: Option<ModelSlot>,
    /// The QEMU machine, if QEMU has the board.
    pub qemu: Option<Qemu>,
    /// The emulator of the chip, for a board of real hardware. Without it and `qemu`, the board is built and its image
    /// is checked, but not run.
    pub chip_emulator: Option<ChipEmulator>,
    /// The source of the report.
    pub console: Console,
    /// The ways in which an image gets into the board's flash, the usual one first. Without any, `cargo xtask flash`
    /// does not know how.
    #[serde(default)]
    pub flash: Vec<Flash>,
}

/// A way in which an image gets into a board's flash.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Flash {
    /// A debug probe runs the chip's flash algorithm.
    Probe(ByProbe),
    /// The chip's boot loader is a USB drive, to which a UF2 file is written.
    Uf2(ByUf2),
    /// The chip's boot loader answers on a serial port.
    Serial(BySerial),
}

impl Flash {
    /// Returns the way's `method` in `board.toml`.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Probe(_) => "probe",
            Self::Uf2(_) => "uf2",
            Self::Serial(_) => "serial",
        }
    }

    /// Returns the chip's name in probe-rs's database, and the file in the board's folder that describes it instead.
    pub fn chip(&self) -> (&str, Option<&Path>) {
        match self {
            Self::Probe(by) => (&by.chip, by.description.as_deref()),
            Self::Uf2(by) => (&by.chip, None),
            Self::Serial(by) => (&by.chip, by.description.as_deref()),
        }
    }
}

/// What a debug probe needs to know of a chip.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ByProbe {
    /// The chip's name in probe-rs's database, or in `description`.
    pub chip: String,
    /// A file in the board's folder that describes a chip which the database lacks.
    pub description: Option<PathBuf>,
    /// The crate in `boards` that is the flash algorithm of `description`.
    pub algorithm: Option<String>,
    /// Where the chip states the size of its flash.
    pub size: Option<StatedSize>,
}

/// What a UF2 file needs to know of a chip.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ByUf2 {
    /// The chip's name in probe-rs's database, whose memory map an image must fit.
    pub chip: String,
    /// The chip and its cores, as a UF2 file states them.
    pub family: Uf2Family,
}

/// Families of UF2 files.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Uf2Family {
    /// RP2040.
    Rp2040,
    /// RP2350, its Arm cores in their secure state.
    Rp2350ArmS,
    /// RP2350, its RISC-V cores.
    Rp2350Riscv,
}

/// What the boot loader on a serial port needs to know of a chip.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BySerial {
    /// The chip's name in espflash, and in `description`.
    pub chip: String,
    /// A file in the board's folder that describes the chip's memory, which probe-rs's database lacks.
    pub description: Option<PathBuf>,
}

/// Registers that state the size of a chip's flash.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StatedSize {
    /// Their addresses. Their contents are multiplied.
    pub registers: Vec<u64>,
    /// The width of each in bits: 16 or 32.
    pub bits: u8,
    /// Bytes of the unit that the product is in.
    pub unit: u64,
}

/// The part of a board's flash that is kept for a model (`tealight-slot`), in firmware that takes its model from there.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelSlot {
    /// First address: that of a sector which is erased at once, and a multiple of 4,096.
    pub origin: u64,
    /// Bytes: whole sectors.
    pub length: u64,
    /// The operators that the firmware links.
    #[serde(default)]
    pub operators: SlotOperators,
}

/// Operators of firmware with a model slot.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SlotOperators {
    /// All.
    #[default]
    All,
    /// Those of int8 networks, where all do not fit.
    Int8,
}

impl ModelSlot {
    /// Returns the first address after the slot.
    pub fn end(&self) -> u64 {
        self.origin.saturating_add(self.length)
    }
}

/// A memory region.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Region {
    /// First address.
    pub origin: u64,
    /// Bytes.
    pub length: u64,
    /// The region that this is a second view of, from its first byte on.
    pub window_of: Option<String>,
}

/// What a chip's boot loader looks for in an image. The HAL provides it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// RP2040: a second stage with a checksum, in the first 256 bytes of flash (RP2040 datasheet, 2.8.1.3.1).
    Rp2040,
    /// RP2350: an image definition, in the first 4 KiB of the image (RP2350 datasheet, 5.9.5).
    Rp2350,
    /// Espressif's second-stage boot loader: an app descriptor. `esp-hal` provides complete linker scripts.
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
    /// Minimum version that emulates the machine well enough.
    pub version: String,
    /// Additional arguments of the emulator.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// An emulator of a board's chip: of its cores and memory, and of as much of its peripherals as the firmware waits for.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChipEmulator {
    /// The program.
    pub program: ChipProgram,
    /// The chip's name in the program.
    pub chip: String,
    /// Instructions that the emulator executes in a second of the clock that the report is in; absent if the emulator's
    /// clock does not count instructions.
    pub instructions_per_second: Option<u64>,
    /// Faults that the emulator does not raise, by their names in `cargo xtask faults`.
    #[serde(default)]
    pub not_raised: Vec<String>,
}

/// Programs that emulate chips.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ChipProgram {
    /// The crates `rp2040-emu` and `rp2350-emu`. Firmware can send on the emulated serial port, and receives nothing.
    RpEmu,
    /// Unicorn, with the registers of the chip answered by a script.
    Unicorn,
}

impl ChipProgram {
    /// Returns the program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RpEmu => "rp-emu",
            Self::Unicorn => "unicorn",
        }
    }

    /// Returns whether firmware can receive inputs on the board's own wire.
    pub fn receives(self) -> bool {
        self == Self::Unicorn
    }
}

/// The connection over which the report reaches the host.
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
    /// A serial port, which also receives inputs.
    Uart,
    /// A debugger's real-time transfer: buffers in RAM that it reads and writes.
    Rtt,
}

impl Qemu {
    /// Returns the minimum version as a number.
    ///
    /// # Errors
    /// [`SpecError::Version`]; never for a [`Board`] that was parsed.
    pub fn min_version(&self) -> Result<Version, SpecError> {
        self.version.parse().map_err(|reason| SpecError::Version { table: "qemu", reason })
    }
}

/// What the first address of a model slot is a multiple of, and its length is more than: the bytes of its header.
const SLOT_UNIT: u64 = 4096;

/// The maximum size of the arena of a model that is loaded at run time.
const LOADABLE: u64 = 512 * 1024;

impl Board {
    /// Parses the text of a `board.toml` in the folder `folder`.
    ///
    /// # Errors
    /// [`SpecError`] for a text that is not TOML, a key that is missing, unknown or of another type, or a value that
    /// would fail in the build, the linker or the emulator.
    pub fn parse(text: &str, folder: &str) -> Result<Self, SpecError> {
        let board: Board = toml::from_str(text)?;
        if board.id != folder {
            return Err(SpecError::Id { id: board.id, expected: folder.into() });
        }
        for region in ["flash", "ram"] {
            if !board.memory.contains_key(region) {
                return Err(SpecError::Region(region));
            }
        }
        for (name, region) in &board.memory {
            if let Some(of) = region.window_of.as_ref().filter(|of| !board.memory.contains_key(*of)) {
                return Err(SpecError::Window { region: name.clone(), of: of.clone() });
            }
        }
        // Cargo splits its variables at spaces, and the compiler its list of features at commas.
        let blank = |word: &String| word.contains(|c: char| c.is_whitespace() || c == ',');
        if let Some(word) = board.target_cpu.iter().chain(&board.target_features).find(|word| blank(word)) {
            return Err(SpecError::Word(word.clone()));
        }
        if let Some(feature) = board.target_features.iter().find(|feature| !feature.starts_with(['+', '-'])) {
            return Err(SpecError::Feature(feature.clone()));
        }
        if let Some(qemu) = &board.qemu {
            qemu.min_version()?;
            if board.console.kind == ConsoleKind::Rtt {
                return Err(SpecError::Rtt);
            }
        }
        if let Some(slot) = &board.model_slot {
            let flash = &board.memory["flash"];
            let end = flash.origin.saturating_add(flash.length);
            if slot.origin <= flash.origin
                || slot.end() > end
                || slot.origin % SLOT_UNIT != 0
                || slot.length <= SLOT_UNIT
            {
                return Err(SpecError::ModelSlot);
            }
        }
        for (index, way) in board.flash.iter().enumerate() {
            if board.flash[..index].iter().any(|before| before.method() == way.method()) {
                return Err(SpecError::TwoWays(way.method()));
            }
            if let Flash::Probe(ByProbe { size: Some(size), .. }) = way
                && (![16, 32].contains(&size.bits) || size.registers.is_empty())
            {
                return Err(SpecError::StatedSize);
            }
        }
        Ok(board)
    }

    /// Returns the compiler's flags for the core, each flag one word.
    pub fn rustflags(&self) -> Vec<String> {
        let cpu = self.target_cpu.iter().map(|cpu| format!("-Ctarget-cpu={cpu}"));
        let features =
            (!self.target_features.is_empty()).then(|| format!("-Ctarget-feature={}", self.target_features.join(",")));
        cpu.chain(features).collect()
    }

    /// Returns what a debug probe needs to know of the board's chip, if it is flashed by one.
    pub fn by_probe(&self) -> Option<&ByProbe> {
        self.flash.iter().find_map(|way| if let Flash::Probe(by) = way { Some(by) } else { None })
    }

    /// Returns the length of a memory region in bytes; 0 if there is no such region.
    pub fn length(&self, region: &str) -> u64 {
        self.memory.get(region).map_or(0, |region| region.length)
    }

    /// Returns the bytes that firmware keeps for the arena of a model which it loads at run time: three quarters of the RAM without
    /// the stack, and at most 512 KiB.
    pub fn loadable_arena(&self) -> u64 {
        (self.length("ram").saturating_sub(self.stack) / 4 * 3).min(LOADABLE) & !15
    }

    /// Returns every board with firmware in the workspace at `root`: those in `boards` first, each folder sorted by
    /// identifier.
    ///
    /// # Errors
    /// [`SpecError::Read`] if there is no folder `boards`, and the error of the first file that is refused.
    pub fn all(root: &Path) -> Result<Vec<Self>, SpecError> {
        files_in(&root.join(FOLDER))?;
        let read = |file: PathBuf| {
            let board = read(&file, Self::parse)?;
            let folder = file.parent().unwrap_or(root);
            Ok(Self { folder: folder.strip_prefix(root).unwrap_or(folder).into(), ..board })
        };
        files(root).into_iter().map(read).collect()
    }

    /// Returns the boards that QEMU emulates: their firmware can be run.
    ///
    /// # Errors
    /// As for [`Board::all`].
    pub fn emulated(root: &Path) -> Result<Vec<Self>, SpecError> {
        Ok(Self::all(root)?.into_iter().filter(|board| board.qemu.is_some()).collect())
    }

    /// Returns the boards whose chip is emulated, but which QEMU does not have.
    ///
    /// # Errors
    /// As for [`Board::all`].
    pub fn chips(root: &Path) -> Result<Vec<Self>, SpecError> {
        Ok(Self::all(root)?.into_iter().filter(|board| board.chip_emulator.is_some()).collect())
    }

    /// Returns the boards on the HALs of their chips, as firmware for real hardware is: crates in workspaces of their
    /// own, whose images are checked. QEMU may have one of them, too.
    ///
    /// # Errors
    /// As for [`Board::all`].
    pub fn on_hals(root: &Path) -> Result<Vec<Self>, SpecError> {
        Ok(Self::all(root)?.into_iter().filter(Self::is_on_hal).collect())
    }

    /// Returns whether the board's crate is on the HAL of its chip, and so not in the main workspace.
    pub fn is_on_hal(&self) -> bool {
        self.folder.parent() != Some(Path::new(FOLDER))
    }

    /// Returns the path of the crate's manifest, relative to the root of the workspace.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }
}
