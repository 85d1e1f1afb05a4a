//! What can go wrong, and what to do about it.

use std::path::PathBuf;
use tealight_board_spec::{Board, Flash};

/// An error, with what to do in its message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no probe.
    #[error(
        "no debug probe was found\n\
         Is it plugged in, by a cable that carries data? `cargo xtask probes` lists what is found.{0}"
    )]
    NoProbe(&'static str),

    /// The chosen probe is not there.
    #[error("there is no debug probe `{0}`\n`cargo xtask probes` lists what is found.")]
    NoSuchProbe(String),

    /// There are several probes, and none is chosen.
    #[error("there are several debug probes; choose one:\n{}", list(.0))]
    SeveralProbes(Vec<String>),

    /// The text after `--probe` names no probe.
    #[error("`{0}` is no probe; it is named as VID:PID or VID:PID:SERIAL, as `cargo xtask probes` lists it")]
    Selector(String),

    /// This user may not open the probe.
    #[error(
        "this user may not open the debug probe {name}\n\
         Put these lines into /etc/udev/rules.d/70-debug-probe.rules:\n{rule}\n\
         Then run `sudo udevadm control --reload && sudo udevadm trigger`, and plug the probe in again."
    )]
    NoPermission {
        /// The probe.
        name: String,
        /// The lines of the rule.
        rule: String,
    },

    /// The probe does not open.
    #[error("the debug probe cannot be opened: {0}\nDoes another program use it?")]
    Open(String),

    /// The debugger does not find the chip.
    #[error(
        "the chip does not answer: {0}\n\
         Does the board have power, and are SWDIO, SWCLK and ground connected?"
    )]
    Attach(String),

    /// The chip does not let a debugger read its memory.
    #[error(
        "the chip is locked: it does not let a debugger read its memory ({0})\n\
         Erasing the whole chip with its maker's tool unlocks most; that also erases what is on it."
    )]
    Locked(String),

    /// The board's core is another.
    #[error("this is not the board: its core is {found}, and that of {board} is {expected}")]
    WrongCore {
        /// The board's identifier.
        board: String,
        /// Its core.
        expected: String,
        /// The core that answers.
        found: String,
    },

    /// The chip has less flash than the board.
    #[error("this is not the board: its chip has {found} bytes of flash, and that of {board} has {expected}")]
    FlashTooSmall {
        /// The board's identifier.
        board: String,
        /// Bytes of its flash.
        expected: u64,
        /// Bytes that the chip states.
        found: u64,
    },

    /// All of the image is more than the board's flash.
    #[error("the image does not fit {board}: it has {needed} bytes, and the board's flash has {length}")]
    FlashFull {
        /// The board.
        board: String,
        /// Bytes of the image.
        needed: u64,
        /// Bytes of the flash.
        length: u64,
    },

    /// A part of the image is in no memory of the chip and the board.
    #[error(
        "the image does not fit {chip}: its bytes from {start:#010x} to {end:#010x} are in no flash of the board\n\
         Was it built for another board?"
    )]
    OutsideOfMemory {
        /// The chip.
        chip: String,
        /// The first address.
        start: u64,
        /// The end, exclusive.
        end: u64,
    },

    /// The chip is not in probe-rs's database, or its description is wrong.
    #[error("the chip `{chip}` of board.toml cannot be used: {reason}")]
    Chip {
        /// The chip.
        chip: String,
        /// Why.
        reason: String,
    },

    /// The board's flash algorithm is not built.
    #[error("the flash algorithm of {0} is one of ours; `cargo xtask flash` builds it and names it by --algorithm")]
    NoAlgorithm(String),

    /// The core does not stop.
    #[error("the core does not stop: {0}\nA reset by hand while flashing starts may help.")]
    Halt(String),

    /// What is in flash is not what was programmed.
    #[error(
        "what is in flash is not what was programmed\nFlash again; if it repeats, the flash is worn out or the wires are too long."
    )]
    Verify,

    /// Erasing, programming or verifying failed.
    #[error("the flash cannot be written: {0}")]
    Write(String),

    /// The board cannot be reset or started.
    #[error("the board cannot be started: {0}")]
    Start(String),

    /// There is no log.
    #[error(
        "the firmware runs, but its log was not found within {0} s\n\
         Was it built with a log over RTT, and does it start?"
    )]
    NoLog(u64),

    /// The core is locked up.
    #[error("the firmware does not run: the core is locked up, which means that there is no code at its vectors")]
    Lockup,

    /// The core stopped while its log was read.
    #[error("the core has stopped, and logs nothing any more ({0})\n`cargo xtask reset` starts its firmware again.")]
    Stopped(String),

    /// The log ended by an error of the probe.
    #[error("the log can no longer be read: {0}")]
    Log(String),

    /// The firmware reports an error.
    #[error("the firmware stopped: {0}")]
    Firmware(String),

    /// The image is no ELF file, or nothing of it goes into flash.
    #[error("{path} is no image of a board: {reason}")]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },

    /// The image is built for a board without a log over RTT.
    #[error("the image has no log over RTT; `--no-monitor` flashes it all the same")]
    NoLogInImage,

    /// The image takes its model from no slot.
    #[error(
        "the firmware that was flashed last has its model built in: flash firmware with a model slot first, by \
         `cargo xtask flash --loadable`"
    )]
    NoSlotInImage,

    /// The contents of the model slot are longer than the slot.
    #[error("the model and its inputs do not fit the model slot: they have {needed} bytes, and the slot has {length}")]
    SlotFull {
        /// Bytes of the contents, the header included.
        needed: u64,
        /// Bytes of the slot.
        length: u64,
    },

    /// The file with the slot's contents cannot be read, or is none.
    #[error("{path} holds no contents of a model slot: {reason}")]
    Slot {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },

    /// The firmware in flash cannot be compared.
    #[error("the firmware in flash cannot be read: {0}")]
    Compare(String),

    /// The firmware in flash is not that of the image.
    #[error(
        "the board has other firmware than the one that was flashed last from here (it differs at {0:#010x}): flash \
         firmware with a model slot first, by `cargo xtask flash --loadable`"
    )]
    OtherFirmware(u64),

    /// The firmware in flash changed while a model was written.
    #[error(
        "the firmware in flash is no longer as it was, from {0:#010x} on: flash it again by `cargo xtask flash --loadable`"
    )]
    FirmwareChanged(u64),

    /// `board.toml` does not state how the board is flashed.
    #[error("the board.toml of {0} has no `[[flash]]` with `method = \"probe\"`: no debug probe flashes it")]
    NotFlashable(String),

    /// A description of boards is wrong.
    #[error(transparent)]
    Boards(#[from] tealight_board_spec::SpecError),

    /// There is no such board.
    #[error("there is no board `{id}` to flash; there are: {known}")]
    NoBoard {
        /// What was asked for.
        id: String,
        /// The boards that can be flashed.
        known: String,
    },

    /// Erasing was not confirmed.
    #[error("nothing was erased; `--yes` erases without a question")]
    NotConfirmed,
}

impl Error {
    /// The program's exit code: 2 if it was used wrongly, otherwise 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::SeveralProbes(_)
            | Self::Selector(_)
            | Self::NotFlashable(_)
            | Self::NoBoard { .. }
            | Self::NoLogInImage
            | Self::NoSlotInImage
            | Self::NoAlgorithm(_)
            | Self::NotConfirmed => 2,
            _ => 1,
        }
    }
}

impl Error {
    /// The error, with what else flashes the board if there is no probe.
    pub fn beside(self, board: &Board) -> Self {
        let uf2 = board.flash.iter().any(|way| matches!(way, Flash::Uf2(_)));
        match self {
            Self::NoProbe(_) if uf2 => Self::NoProbe(
                "\nWithout a debug probe, `cargo xtask flash --by uf2` flashes it: hold BOOTSEL while you plug the board in.",
            ),
            other => other,
        }
    }
}

fn list(probes: &[String]) -> String {
    probes.iter().map(|probe| format!("  --probe {probe}")).collect::<Vec<_>>().join("\n")
}
