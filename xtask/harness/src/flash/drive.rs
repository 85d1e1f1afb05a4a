//! By UF2: a chip's boot loader is a USB drive, and programs the file that is written to it.
//!
//! The drive is no ordinary one: its file system exists in the boot loader's answers only, and each sector that is
//! written is a block of UF2 or ignored. So nothing can be renamed there, and nothing read back: the file is written as
//! it is, and the chip restarts when it has the last block, whereupon the drive is gone. That is the sign that all went
//! well. Anywhere else the file is written under a temporary name and then renamed.

use super::{Firmware, FlashArgs, flashed, last, log_of_port, uf2};
use crate::board::Board;
use crate::context::Context;
use crate::error::Usage;
use crate::files;
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tealight_board_spec::ByUf2;

/// The file by which a boot loader's drive is known.
const INFO: &str = "INFO_UF2.TXT";

/// How long the board may take from the last byte until its drive is gone.
const RESTART: Duration = Duration::from_secs(20);

/// Builds firmware with the model or takes the image, and writes it to the board's drive or where `--to` says.
///
/// # Errors
/// There is no such drive, the firmware cannot be built, or the drive does not take it.
pub(super) fn flash(context: &Context, board: &Board, by: &ByUf2, args: &FlashArgs) -> Result<()> {
    let firmware = Firmware::of(context, board, args)?;
    let name = format!("{}.uf2", firmware.name(board));
    write(context, board, by, args, &name, || {
        let image = firmware.image(context, board)?;
        let bytes = files::read(&image)?;
        let file = super::uf2_file(board, &bytes).context("the board takes no UF2 file")??;
        // It is written at once, or copied by hand.
        files::write_whole(&flashed(context, board), &bytes)?;
        Ok(file)
    })?;
    println!("{}", log_of_port(context, board));
    Ok(())
}

/// Writes a file to the board's drive or where `--to` says. The place is found before the file is made.
///
/// # Errors
/// There is no such drive, the file cannot be made, or the drive does not take it.
pub(super) fn write(
    context: &Context,
    board: &Board,
    by: &ByUf2,
    args: &FlashArgs,
    name: &str,
    make: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<()> {
    let to = Destination::find(board, uf2::board_id(by.family), args.to.as_deref().map(Path::new), name)?;
    let file = make()?;
    match to {
        Destination::Drive(drive) => {
            last::remember(context, board)?;
            drive.write(name, &file, RESTART)?;
            println!("{} has taken the file and restarted", board.id);
        }
        Destination::File(path) => {
            files::write_whole(&path, &file)?;
            println!(
                "{}: {} bytes, to copy to the drive of {} in its boot loader",
                path.display(),
                file.len(),
                board.id
            );
        }
    }
    Ok(())
}

/// Where a file goes.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    Drive(Drive),
    File(PathBuf),
}

/// The drive of a boot loader.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Drive {
    /// Where it is mounted.
    folder: PathBuf,
    /// The device, if it is known: it is gone when the drive is, though the folder may seem to be there.
    device: Option<PathBuf>,
}

impl Destination {
    /// `to`, or the only mounted drive whose boot loader states `board_id`. A file in an ordinary folder is called
    /// `name`.
    fn find(board: &Board, board_id: &str, to: Option<&Path>, name: &str) -> Result<Self> {
        match to {
            Some(to) => Self::named(board, board_id, to, name, &mounted()),
            None => Self::only(board, board_id, mounted()),
        }
    }

    /// The drive, folder or file called `to`.
    fn named(board: &Board, board_id: &str, to: &Path, name: &str, mounted: &[Drive]) -> Result<Self> {
        let shown = to.display();
        if !to.is_dir() {
            let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if to.extension().is_none_or(|end| !end.eq_ignore_ascii_case("uf2")) {
                bail!(Usage(format!("there is no folder {shown}, and the name of a UF2 file ends in .uf2")));
            }
            if !folder.is_dir() {
                bail!("there is no folder {} to write into", folder.display());
            }
            if let Some(found) = stated_id(folder) {
                return Self::drive(board, board_id, folder, &found, mounted);
            }
            return Ok(Self::File(to.into()));
        }
        match stated_id(to) {
            Some(found) => Self::drive(board, board_id, to, &found, mounted),
            None => Ok(Self::File(to.join(name))),
        }
    }

    /// The drive in `folder`, whose boot loader states `found`.
    fn drive(board: &Board, board_id: &str, folder: &Path, found: &str, mounted: &[Drive]) -> Result<Self> {
        if found != board_id {
            bail!(
                "{} is the drive of another chip: its Board-ID is {found}, and that of {} is {board_id}",
                folder.display(),
                board.id
            );
        }
        let known = mounted.iter().find(|drive| drive.folder == folder).cloned();
        Ok(Self::Drive(known.unwrap_or(Drive { folder: folder.into(), device: None })))
    }

    /// The only drive whose boot loader states `board_id`.
    fn only(board: &Board, board_id: &str, mounted: Vec<Drive>) -> Result<Self> {
        let stated = mounted.into_iter().filter_map(|drive| Some((stated_id(&drive.folder)?, drive)));
        let (mut fitting, mut others) = (Vec::new(), Vec::new());
        for (found, drive) in stated {
            if found == board_id {
                fitting.push(drive);
            } else {
                others.push(format!(
                    "\n{} is the drive of another chip: its Board-ID is {found}.",
                    drive.folder.display()
                ));
            }
        }
        match &fitting[..] {
            [drive] => Ok(Self::Drive(drive.clone())),
            [] => {
                let probe = if board.by_probe().is_some() { "\nWith a debug probe: `--by probe`." } else { "" };
                bail!(
                    "no drive of {} in its boot loader is mounted (Board-ID {board_id})\n\
                     Hold BOOTSEL while you plug the board in. Where drives are not mounted by themselves, mount it, \
                     or name a folder by --to and copy the file by hand.{}{probe}",
                    board.id,
                    others.concat()
                )
            }
            several => {
                let list: Vec<_> = several.iter().map(|drive| format!("  --to {}", drive.folder.display())).collect();
                bail!(Usage(format!("several boards are in their boot loaders; choose one:\n{}", list.join("\n"))))
            }
        }
    }
}

impl Drive {
    /// Writes a file, and waits until the board has restarted.
    fn write(&self, name: &str, bytes: &[u8], patience: Duration) -> Result<()> {
        let path = self.folder.join(name);
        let progress = Progress::start(format!("writing {} blocks to {}", bytes.len() / 512, self.folder.display()));
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        // The board restarts a second after the last block, so even its drive's table of files was written by then.
        written.with_context(|| {
            format!(
                "{} was not written whole: the drive is full, read-only or gone\n\
                 What was on the board may be overwritten in part. Plug it in again with BOOTSEL held, and flash again",
                path.display()
            )
        })?;
        let begun = Instant::now();
        while !self.is_gone() {
            if begun.elapsed() > patience {
                bail!(
                    "the board has not taken the file: its drive {} is still there after {} s\n\
                     What was on the board may be overwritten in part. Plug it in again with BOOTSEL held, and flash \
                     again.",
                    self.folder.display(),
                    patience.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        progress.done("the board has restarted");
        Ok(())
    }

    fn is_gone(&self) -> bool {
        self.device.as_ref().is_some_and(|device| !device.exists()) || !self.folder.join(INFO).is_file()
    }
}

/// What a boot loader in a folder states as its `Board-ID`; `None` if there is no boot loader.
fn stated_id(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(INFO)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Board-ID:")).map(|id| id.trim().to_string())
}

/// What is mounted on this machine.
fn mounted() -> Vec<Drive> {
    let drive = |folder: PathBuf| Drive { folder, device: None };
    if cfg!(target_os = "linux") {
        return drives(&std::fs::read_to_string("/proc/self/mounts").unwrap_or_default());
    }
    if cfg!(windows) {
        return ('D'..='Z').map(|letter| drive(format!("{letter}:\\").into())).collect();
    }
    let volumes = std::fs::read_dir("/Volumes").into_iter().flatten().flatten();
    volumes.map(|entry| drive(entry.path())).collect()
}

/// The devices of a table as Linux has it in `/proc/self/mounts`.
fn drives(table: &str) -> Vec<Drive> {
    let drive = |line: &str| {
        let mut words = line.split(' ').map(unescaped);
        let (device, folder) = (words.next()?, words.next()?);
        device.starts_with("/dev/").then(|| Drive { folder: folder.into(), device: Some(device.into()) })
    };
    table.lines().filter_map(drive).collect()
}

/// A word of that table: a space and some others are a backslash and three octal digits.
fn unescaped(word: &str) -> String {
    let replaced = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    replaced.iter().fold(word.to_string(), |word, (from, to)| word.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::super::uf2::tests::FLASH;
    use super::*;
    use tealight_board_spec::Uf2Family;
    use tempfile::{TempDir, tempdir};

    fn board() -> Board {
        let all = Board::all(&crate::context::root()).unwrap();
        all.into_iter().find(|board| board.id == "pico").unwrap()
    }

    /// The drive of a boot loader with this identifier.
    fn boot(id: &str) -> (TempDir, Drive) {
        let folder = tempdir().unwrap();
        let text = format!("UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: {id}\r\n");
        std::fs::write(folder.path().join(INFO), text).unwrap();
        let drive = Drive { folder: folder.path().into(), device: None };
        (folder, drive)
    }

    fn named(to: &Path) -> Result<Destination> {
        Destination::named(&board(), "RPI-RP2", to, "x.uf2", &[])
    }

    #[test]
    fn the_drive_of_the_boards_chip_is_found_among_others() {
        let (ordinary, (_other, other), (_right, right)) = (tempdir().unwrap(), boot("RP2350"), boot("RPI-RP2"));
        let ordinary = Drive { folder: ordinary.path().into(), device: None };
        let found =
            |drives: &[&Drive]| Destination::only(&board(), "RPI-RP2", drives.iter().copied().cloned().collect());
        assert_eq!(found(&[&ordinary, &other, &right]).unwrap(), Destination::Drive(right.clone()));
        let none = found(&[&ordinary, &other]).unwrap_err().to_string();
        for part in ["BOOTSEL", "`--by probe`", "Board-ID is RP2350"] {
            assert!(none.contains(part), "no {part} in {none}");
        }
        let (_second, second) = boot("RPI-RP2");
        let two = found(&[&right, &second]).unwrap_err();
        let list = format!("--to {}", second.folder.display());
        assert!(two.is::<Usage>() && two.to_string().contains(&list), "{two}");
    }

    #[test]
    fn a_place_is_a_drive_a_folder_or_a_file_whose_folder_exists() {
        let folder = tempdir().unwrap();
        assert_eq!(named(folder.path()).unwrap(), Destination::File(folder.path().join("x.uf2")));
        let file = folder.path().join("y.uf2");
        assert_eq!(named(&file).unwrap(), Destination::File(file));
        assert!(named(&folder.path().join("none")).unwrap_err().is::<Usage>());
        let error = named(&folder.path().join("none/y.uf2")).unwrap_err().to_string();
        assert!(error.contains("there is no folder"), "{error}");
        let (right, drive) = boot("RPI-RP2");
        assert_eq!(named(right.path()).unwrap(), Destination::Drive(drive.clone()));
        assert_eq!(named(&right.path().join("z.uf2")).unwrap(), Destination::Drive(drive));
        let (other, _) = boot("RP2350");
        let error = named(other.path()).unwrap_err().to_string();
        assert!(error.contains("Board-ID is RP2350, and that of pico is RPI-RP2"), "{error}");
    }

    /// A boot loader that restarts when it has all blocks: it checks each, and then its drive is gone.
    fn restarts(folder: PathBuf, bytes: Vec<u8>) -> std::thread::JoinHandle<bool> {
        std::thread::spawn(move || {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(20) {
                if std::fs::read(folder.join("pico.uf2")).is_ok_and(|found| found == bytes) {
                    std::fs::remove_file(folder.join(INFO)).unwrap();
                    return true;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            false
        })
    }

    #[test]
    fn a_file_is_written_whole_and_the_boards_restart_is_awaited() {
        let (folder, drive) = boot("RPI-RP2");
        let bytes = uf2::file(&[(0x1000_0000, &[3; 5000])], &FLASH, Uf2Family::Rp2040).unwrap();
        let board = restarts(folder.path().into(), bytes.clone());
        drive.write("pico.uf2", &bytes, Duration::from_secs(20)).unwrap();
        assert!(board.join().unwrap());
    }

    #[test]
    fn a_board_that_does_not_restart_is_an_error_that_says_what_to_do() {
        let (_folder, drive) = boot("RPI-RP2");
        let error = drive.write("pico.uf2", &[0; 512], Duration::from_millis(100)).unwrap_err().to_string();
        assert!(error.contains("has not taken the file") && error.contains("BOOTSEL"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_written_whole_is_an_error_though_the_drive_is_gone() {
        // A folder in the file's place: it cannot be created.
        let (folder, drive) = boot("RPI-RP2");
        std::fs::create_dir(folder.path().join("pico.uf2")).unwrap();
        std::fs::remove_file(folder.path().join(INFO)).unwrap();
        let error = drive.write("pico.uf2", &[0; 512], Duration::from_millis(100)).unwrap_err();
        assert!(format!("{error:#}").contains("was not written whole"), "{error:#}");
    }

    #[test]
    fn the_table_of_mounts_is_read_with_spaces_in_names() {
        let table = "proc /proc proc rw 0 0\n/dev/sda1 /media/a/RPI-RP2 vfat rw 0 0\n\
                     /dev/sdb1 /media/a/My\\040drive vfat rw 0 0\n";
        let drive = |device: &str, folder: &str| Drive { folder: folder.into(), device: Some(device.into()) };
        let expected = [drive("/dev/sda1", "/media/a/RPI-RP2"), drive("/dev/sdb1", "/media/a/My drive")];
        assert_eq!(drives(table), expected);
        assert!(drive("/dev/no such device", "/").is_gone());
    }
}
