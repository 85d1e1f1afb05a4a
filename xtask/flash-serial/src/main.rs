//! Flashes one of Espressif's chips by the boot loader that answers on its serial port, and shows its log from the same
//! port. `cargo xtask flash` runs it with an image that it builds.
//!
//! The library espflash does it: boot loader, partition table and app are written, and compared by their MD5, which the
//! chip computes. It is a crate of its own, so that nothing else builds espflash.

use clap::Parser;
use espflash::connection::{Connection, ResetAfterOperation, ResetBeforeOperation};
use espflash::flasher::{FlashData, FlashSettings, FlashSize, Flasher};
use espflash::image_format::ImageFormat;
use espflash::image_format::idf::IdfBootloaderFormat;
use espflash::target::Chip;
use serialport::FlowControl;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tealight_console::{Texts, error_line};

mod error;
mod monitor;
mod port;
mod progress;

use error::Error;
use port::Port;
use progress::Progress;

/// The rate at which boot loaders begin.
const BAUD: u32 = 115_200;

/// How long a read may take.
const READ: Duration = Duration::from_secs(3);

/// Flashes one of Espressif's chips by the boot loader on its serial port, and shows its log
#[derive(Parser)]
#[command(name = "tealight-flash-serial")]
struct Arguments {
    /// The ELF image
    image: PathBuf,
    /// The chip, as espflash names it
    #[arg(long)]
    chip: String,
    /// Bytes of the board's flash
    #[arg(long)]
    flash: u32,
    /// Copies the image to this file as soon as the board's flash begins to change
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// The serial port [default: the only one that may be such a board]
    #[arg(long)]
    port: Option<String>,
    /// Does not show the log
    #[arg(long)]
    no_monitor: bool,
    /// Does not reset the chip: it is in its boot loader, and is reset by hand afterwards
    #[arg(long)]
    no_reset: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut progress = Progress::new(arguments.keep.clone().map(|file| (arguments.image.clone(), file)));
    let done = perform(&arguments, &mut progress);
    progress.clear();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            // A command that was used wrongly has not come near the board.
            if error.exit_code() != 2 {
                eprintln!("The state of the board: {}.", progress.state());
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn perform(arguments: &Arguments, progress: &mut Progress) -> Result<(), Error> {
    let chip: Chip = arguments.chip.parse().map_err(|_| Error::UnknownChip(arguments.chip.clone()))?;
    let image = read(&arguments.image)?;
    let texts = Texts::of(&image);
    if let (Err(error), false) = (&texts, arguments.no_monitor) {
        return Err(Error::Image { path: arguments.image.clone(), reason: error.to_string() });
    }
    // Proves that it fits before anything is opened.
    let format = format(&arguments.image, &image, chip, arguments.flash)?;
    let port = Port::find(arguments.port.as_deref())?;
    progress.begin(format!("asking the boot loader on {}", port.name));
    let mut flasher = connect(&port, chip, arguments)?;
    let found = flasher.flash_detect().map_err(|error| Error::Attach(error_line(&error)))?;
    if let Some(found) = found.filter(|found| found.size() < arguments.flash) {
        return Err(Error::FlashTooSmall { expected: arguments.flash, found: found.size() });
    }
    progress.end();
    flasher.load_image_to_flash(progress, format).map_err(|error| match error {
        espflash::Error::VerifyFailed => Error::Verify,
        other => Error::Write(error_line(&other)),
    })?;
    progress.flashed();
    if arguments.no_monitor {
        return Ok(());
    }
    let texts = texts.map_err(|error| Error::Image { path: arguments.image.clone(), reason: error.to_string() })?;
    let mut serial = flasher.into_connection().into_serial();
    monitor::show(&mut serial, &texts, |line| println!("{line}"))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::Image { path: path.into(), reason: error.to_string() })
}

/// The image with espflash's own boot loader and partition table.
fn format<'a>(path: &Path, image: &'a [u8], chip: Chip, flash: u32) -> Result<ImageFormat<'a>, Error> {
    let sizes = [FlashSize::_1Mb, FlashSize::_2Mb, FlashSize::_4Mb, FlashSize::_8Mb, FlashSize::_16Mb];
    let size = sizes.into_iter().find(|size| size.size() == flash).ok_or(Error::FlashSize(flash))?;
    let data = FlashData::new(FlashSettings::new(None, Some(size), None), 0, None, chip, chip.default_xtal_frequency());
    let image = IdfBootloaderFormat::new(image, &data, None, None, None, None);
    image.map(ImageFormat::EspIdf).map_err(|error| Error::Image { path: path.into(), reason: error_line(&error) })
}

/// Connects to the boot loader, which must be that of the chip.
fn connect(port: &Port, chip: Chip, arguments: &Arguments) -> Result<Flasher, Error> {
    let serial = serialport::new(&port.name, BAUD)
        .flow_control(FlowControl::None)
        .timeout(READ)
        .open_native()
        .map_err(|error| Error::Open { port: port.name.clone(), reason: error.to_string() })?;
    let (before, after) = match arguments.no_reset {
        true => (ResetBeforeOperation::NoReset, ResetAfterOperation::NoReset),
        false => (ResetBeforeOperation::default(), ResetAfterOperation::default()),
    };
    let connection = Connection::new(serial, port.usb.clone(), after, before, BAUD);
    Flasher::connect(connection, true, true, false, Some(chip), None).map_err(|error| match error {
        espflash::Error::ChipMismatch(expected, found) => Error::WrongChip { expected, found },
        other => Error::Attach(error_line(&other)),
    })
}
