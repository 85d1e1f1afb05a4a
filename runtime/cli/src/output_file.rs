//! A file that appears whole or not at all.
//!
//! What is written goes to a temporary file in the target's folder, which takes the target's name only when all of it
//! has reached the disk. On any failure before that it is removed. A target that is not a regular file (a pipe, a
//! terminal, `/dev/null`) is written directly: replacing it by name would destroy it.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::{Builder, NamedTempFile, TempPath};

/// The exit code of a program that was interrupted, by the shells' custom: 128 and the signal.
const INTERRUPTED: i32 = 130;

/// A file being written.
pub(crate) struct OutputFile {
    /// The target as the user named it.
    shown: PathBuf,
    /// The target itself.
    target: PathBuf,
    writer: BufWriter<File>,
    /// The file that is to take the target's name; `None` if the target is written directly.
    temporary: Option<TempPath>,
}

impl OutputFile {
    /// Starts the file `target`; nothing of that name changes yet. `read` are files that the command reads: the target
    /// must not be one of them.
    ///
    /// # Errors
    /// The folder does not exist or cannot be written, or `target` is a folder or one of `read`.
    pub(crate) fn create(target: &Path, read: &[&Path]) -> Result<Self> {
        // A link is followed, so that the file it points at is replaced and not the link.
        let real = target.canonicalize().unwrap_or_else(|_| target.to_path_buf());
        if let Some(same) = read.iter().find(|path| path.canonicalize().is_ok_and(|path| path == real)) {
            return Err(Error::new(format!(
                "the output `{}` is also an input, `{}`",
                target.display(),
                same.display()
            ))
            .help("write to another file"));
        }
        let metadata = std::fs::metadata(&real).ok();
        if metadata.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            return Err(
                Error::new(format!("cannot write `{}`: it is a folder", target.display())).help("name a file in it")
            );
        }
        let cannot = |error| cannot_write(target, error);
        let (file, temporary) = if metadata.is_some_and(|metadata| !metadata.is_file()) {
            (File::options().write(true).open(&real).map_err(cannot)?, None)
        } else {
            let (file, path) = temporary(&real).map_err(cannot)?.into_parts();
            Unfinished::set(Some(&path));
            (file, Some(path))
        };
        Ok(Self { shown: target.to_path_buf(), target: real, writer: BufWriter::new(file), temporary })
    }

    /// Writes `bytes` after what was written before.
    ///
    /// # Errors
    /// What the operating system says, such as a full disk.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).map_err(|error| cannot_write(&self.shown, error))
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// What the operating system says; the target is then as it was.
    pub(crate) fn finish(mut self) -> Result<()> {
        let cannot = |error| cannot_write(&self.shown, error);
        self.writer.flush().map_err(cannot)?;
        if let Some(path) = self.temporary {
            self.writer.get_ref().sync_all().map_err(cannot)?;
            path.persist(&self.target).map_err(|error| cannot(error.error))?;
            Unfinished::set(None);
        }
        Ok(())
    }
}

/// The temporary file, to be removed too when the user interrupts the program. A command writes one file.
struct Unfinished;

static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

impl Unfinished {
    fn set(path: Option<&Path>) {
        // A panic while the lock was held leaves a path that is as good as any.
        *UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner) = path.map(Path::to_path_buf);
    }

    fn remove() {
        if let Some(path) = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nothing can be done about a failure, and nothing is left to be done after it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Ends the program when the user interrupts it, without leaving a part of a file behind.
///
/// # Errors
/// What the operating system says.
pub fn clean_up_when_interrupted() -> Result<()> {
    let handler = || {
        Unfinished::remove();
        std::process::exit(INTERRUPTED);
    };
    ctrlc::set_handler(handler).map_err(|error| Error::new("cannot watch for an interruption").cause(error))
}

fn temporary(target: &Path) -> std::io::Result<NamedTempFile> {
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // Asked before, because the error of a temporary file speaks of a name that means nothing to the user.
    std::fs::metadata(folder.join("."))?;
    let mut builder = Builder::new();
    builder.prefix(".tealight-").suffix(".part");
    // The rights that the file would have got from a plain creation: the user's mask applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn cannot_write(target: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{
        FileTooLarge, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull,
    };
    let help = match error.kind() {
        NotFound => "the folder does not exist: make it first",
        NotADirectory => "a part of the path is a file, not a folder",
        PermissionDenied | ReadOnlyFilesystem => "choose a folder that you may write to",
        StorageFull | FileTooLarge => "free some space, or write elsewhere; nothing was left behind",
        _ => "check the path, and that its folder can be written",
    };
    let cause = if error.raw_os_error().is_some() { error } else { error.kind().into() };
    Error::new(format!("cannot write `{}`", target.display())).cause(cause).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_output_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.bin");
        std::fs::write(&target, b"old").unwrap();
        let mut output = OutputFile::create(&target, &[]).unwrap();
        output.write(b"new").unwrap();
        drop(output);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_device_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut output = OutputFile::create(&link, &[]).unwrap();
        output.write(b"new").unwrap();
        output.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");

        let null = Path::new("/dev/null");
        let mut output = OutputFile::create(null, &[]).unwrap();
        output.write(b"new").unwrap();
        output.finish().unwrap();
        assert!(!std::fs::metadata(null).unwrap().is_file());
    }

    #[test]
    fn an_input_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.bin");
        std::fs::write(&file, b"old").unwrap();
        let error = OutputFile::create(&folder.path().join("./x.bin"), &[&file]).err().unwrap();
        assert!(error.to_string().contains("is also an input"));
    }
}
