//! What can go wrong, and what to do about it.

use std::path::PathBuf;

/// An error, with what to do in its message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no serial port.
    #[error(
        "no serial port of a board was found\n\
         Is the board plugged in, by a cable that carries data? `--to PORT` names the port."
    )]
    NoPort,

    /// There are several serial ports, and none is chosen.
    #[error("there are several serial ports; choose one:\n{}", list(.0))]
    SeveralPorts(Vec<String>),

    /// The port does not open.
    #[error(
        "the serial port {port} cannot be opened: {reason}\n\
         Does another program use it? On Linux the user must be in the group that owns it, often `dialout`."
    )]
    Open {
        /// Its name.
        port: String,
        /// Why.
        reason: String,
    },

    /// The boot loader does not answer.
    #[error(
        "the chip's boot loader does not answer: {0}\n\
         Hold BOOT while you press reset or plug the board in, and try again."
    )]
    Attach(String),

    /// The chip is another.
    #[error("this is not the board: its chip is {found}, and the board's is {expected}")]
    WrongChip {
        /// The board's chip.
        expected: String,
        /// The one that answers.
        found: String,
    },

    /// The chip has less flash than the board.
    #[error("this is not the board: its chip has {found} bytes of flash, and the board has {expected}")]
    FlashTooSmall {
        /// Bytes of the board's flash.
        expected: u32,
        /// Bytes that were found.
        found: u32,
    },

    /// Writing failed.
    #[error("the flash cannot be written: {0}\nPlug the board in again, with BOOT held.")]
    Write(String),

    /// What is in flash is not what was written.
    #[error("what is in flash is not what was written\nFlash again; if it repeats, the flash is worn out.")]
    Verify,

    /// There is no log.
    #[error("the firmware was started, but no log came within {0} s\nPress reset on the board.")]
    NoLog(u64),

    /// The port failed while the log was read.
    #[error("the log can no longer be read: {0}")]
    Log(String),

    /// The firmware reports an error.
    #[error("the firmware stopped: {0}")]
    Firmware(String),

    /// The image is none, or does not fit.
    #[error("{path} is no image for this board: {reason}")]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },

    /// No such chip.
    #[error("espflash knows no chip `{0}`")]
    UnknownChip(String),

    /// No such size.
    #[error("{0} bytes is no size of a flash: 1, 2, 4, 8 or 16 MiB are")]
    FlashSize(u32),
}

impl Error {
    /// The program's exit code: 2 if it was used wrongly, otherwise 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::SeveralPorts(_) | Self::UnknownChip(_) | Self::FlashSize(_) => 2,
            _ => 1,
        }
    }
}

fn list(ports: &[String]) -> String {
    ports.iter().map(|port| format!("  --to {port}")).collect::<Vec<_>>().join("\n")
}
