//! The file that a command writes, completely or not at all.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use tealight_compiler::remove_unfinished;

/// The exit code of an interrupted program, by the convention of shells: 128 plus the signal.
const INTERRUPTED: i32 = 130;

/// A file being written.
pub(crate) struct OutputFile {
    /// The target as the user named it.
    shown: PathBuf,
    file: tealight_compiler::OutputFile,
}

impl OutputFile {
    /// Starts the file `target`, without changing an existing one. `read` are files that the command reads, which the
    /// target must not be.
    ///
    /// # Errors
    /// The folder does not exist or cannot be written, or `target` is a folder or one of `read`.
    pub(crate) fn create(target: &Path, read: &[&Path]) -> Result<Self> {
        let canonical = target.canonicalize().ok();
        if let Some(same) = read.iter().find(|path| canonical.is_some() && path.canonicalize().ok() == canonical) {
            let what = format!("the output `{}` is also an input, `{}`", target.display(), same.display());
            return Err(Error::new(what).help("write to another file"));
        }
        if canonical.is_some_and(|path| path.is_dir()) {
            let what = format!("cannot write `{}`: it is a folder", target.display());
            return Err(Error::new(what).help("name a file in it"));
        }
        let file = tealight_compiler::OutputFile::create(target).map_err(|error| cannot_write(target, error))?;
        Ok(Self { shown: target.to_path_buf(), file })
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// The error of the operating system, such as a full disk.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write(bytes).map_err(|error| cannot_write(&self.shown, error))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// The error of the operating system; the target is then as it was.
    pub(crate) fn finish(self) -> Result<()> {
        self.file.finish().map_err(|error| cannot_write(&self.shown, error))
    }
}

/// Ends the program when the user interrupts it, without leaving an incomplete file behind.
///
/// # Errors
/// The error of the operating system.
pub fn clean_up_when_interrupted() -> Result<()> {
    let handler = || {
        remove_unfinished();
        std::process::exit(INTERRUPTED);
    };
    ctrlc::set_handler(handler).map_err(|error| Error::new("cannot watch for an interruption").cause(error))
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
    fn an_input_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.bin");
        std::fs::write(&file, b"old").unwrap();
        let error = OutputFile::create(&folder.path().join("./x.bin"), &[&file]).err().unwrap();
        assert!(error.to_string().contains("is also an input"));
    }
}
