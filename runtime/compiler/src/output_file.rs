//! A file that is written completely or not at all.
//!
//! On Linux, the bytes go to a file without a name in the target's folder. It gets the target's name only when all of
//! them have reached the disk: if the process ends before that, even by a signal or a limit, nothing is left behind.
//! Elsewhere, and on file systems without such files, they go to a file `.tealight-*.part` beside the target; one that
//! a process could not remove is removed when the next file is written to that folder. A target that is not a regular
//! file (a pipe, a terminal, `/dev/null`) is written directly: replacing it by name would destroy it.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::{Builder, NamedTempFile, TempPath};

/// Prefix of the name of a file that is not complete yet.
const PREFIX: &str = ".tealight-";

/// Suffix of that name.
const SUFFIX: &str = ".part";

/// The maximum number of symbolic links that are followed, as on Linux.
const MAX_LINKS: usize = 40;

/// A file being written.
#[derive(Debug)]
pub struct OutputFile {
    target: PathBuf,
    writer: BufWriter<File>,
    destination: Destination,
    /// Metadata of the file that is replaced, if there is one.
    old: Option<Metadata>,
}

/// Where the bytes go until the file is complete.
#[derive(Debug)]
enum Destination {
    /// To the target itself.
    Target,
    /// To a file without a name.
    Unnamed,
    /// To this file.
    Named(TempPath),
}

impl OutputFile {
    /// Starts the file `target`, without changing an existing one. Symbolic links are followed: the file that they lead
    /// to is replaced, and they stay.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::IsADirectory`] if `target` is a folder.
    pub fn create(target: &Path) -> io::Result<Self> {
        let target = follow(target)?;
        let old = fs::metadata(&target).ok();
        match &old {
            Some(old) if old.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Some(old) if !old.is_file() => {
                let writer = BufWriter::new(File::options().write(true).open(&target)?);
                return Ok(Self { target, writer, destination: Destination::Target, old: None });
            }
            _ => {}
        }
        let folder = folder(&target);
        // Checked first, because the error of a temporary file contains a name that means nothing to the user.
        fs::metadata(folder.join("."))?;
        remove_abandoned(folder);
        let (file, destination) = match unnamed(folder) {
            Some(file) => (file, Destination::Unnamed),
            None => named(folder)?,
        };
        Ok(Self { target, writer: BufWriter::new(file), destination, old })
    }

    /// Returns the path of the file that is written, with all links followed.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// Those of the file system, such as a full disk.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// Completes the file and gives it its name. An existing file is replaced; its mode and, where this process may set
    /// them, its owner and group are kept. A new file has the mode that the user's umask allows.
    ///
    /// # Errors
    /// Those of the file system; the target is then as it was.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()?;
        let file = self.writer.get_ref();
        if matches!(self.destination, Destination::Target) {
            return Ok(());
        }
        if let Some(old) = &self.old {
            keep_rights(file, old)?;
        }
        file.sync_all()?;
        match self.destination {
            Destination::Target => {}
            Destination::Unnamed => name(file, &self.target, self.old.is_some())?,
            Destination::Named(path) => {
                path.persist(&self.target).map_err(|error| error.error)?;
                Unfinished::set(None);
            }
        }
        Ok(())
    }
}

/// Writes a file completely or not at all: see [`OutputFile`].
///
/// # Errors
/// Those of the file system; the file is then as it was.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OutputFile::create(path)?;
    file.write(bytes)?;
    file.finish()
}

/// Removes the file that is being written, if it has a temporary name. For a program that ends without unwinding, for
/// example on an interrupt by the user.
pub fn remove_unfinished() {
    if let Some(path) = Unfinished::take() {
        // A failure is ignored; writing the next output removes the file.
        let _ = fs::remove_file(path);
    }
}

/// The path of the temporary file with a name. A process writes one file at a time.
struct Unfinished;

static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

impl Unfinished {
    fn set(path: Option<&Path>) {
        // A panic while the lock was held leaves a valid path.
        *UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner) = path.map(Path::to_path_buf);
    }

    fn take() -> Option<PathBuf> {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Resolves `path`, which need not exist, through all symbolic links.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = folder(&path).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The names of files that are not complete yet. New files get the permissions that the user's umask allows.
fn builder() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// Creates a file in `folder` that has no name; `None` if that is not possible there.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // The file is given its name through this file system.
    fs::metadata("/proc/self/fd").ok()?;
    let flags = rustix::fs::OFlags::TMPFILE.bits().cast_signed();
    let file = File::options().read(true).write(true).mode(0o666).custom_flags(flags).open(folder).ok()?;
    // The lock keeps others from removing it as abandoned while it has a temporary name.
    file.try_lock().ok()?;
    Some(file)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
    None
}

/// Gives a file without a name the name `target`; `replaces` states that such a file may exist.
#[cfg(target_os = "linux")]
fn name(file: &File, target: &Path, replaces: bool) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd;
    let this = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| linkat(CWD, &this, CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from);
    if !replaces {
        match link(target) {
            // Such a file has appeared meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
    }
    // A link cannot replace a file, but a rename can.
    let named: NamedTempFile<()> = builder().make_in(folder(target), link)?;
    named.into_temp_path().persist(target).map_err(|error| error.error)
}

#[cfg(not(target_os = "linux"))]
fn name(_: &File, _: &Path, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Creates a file in `folder` with a temporary name, locked so that it is not removed as abandoned.
fn named(folder: &Path) -> io::Result<(File, Destination)> {
    loop {
        let (file, path) = builder().tempfile_in(folder)?.into_parts();
        // Where files cannot be locked, none is removed as abandoned either.
        let _ = file.lock();
        // Another process may have removed it before it was locked.
        if path.exists() {
            Unfinished::set(Some(&path));
            return Ok((file, Destination::Named(path)));
        }
    }
}

/// Removes incomplete files in `folder` whose process has ended. A process locks the file that it writes.
fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if ours
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            // A file that cannot be removed stays.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Gives `file` the mode, the owner and the group of the file that it replaces. Where the group cannot be kept, the new
/// group gets no more permissions than others.
#[cfg(unix)]
fn keep_rights(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let new = file.metadata()?;
    let mut mode = old.mode() & 0o777;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        let kept = fchown(file, Some(old.uid()), Some(old.gid())).or_else(|_| fchown(file, None, Some(old.gid())));
        if kept.is_err() && new.gid() != old.gid() {
            mode &= 0o707 | (mode & 0o007) << 3;
        }
    }
    if new.mode() & 0o777 != mode {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_rights(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_dropped_output_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.bin");
        fs::write(&target, b"old").unwrap();
        let mut output = OutputFile::create(&target).unwrap();
        output.write(b"new").unwrap();
        drop(output);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn an_output_has_no_name_before_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = OutputFile::create(&folder.path().join("a.bin")).unwrap();
        output.write(b"new").unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(names(folder.path()), [""; 0]);
        }
        output.finish().unwrap();
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn removes_an_abandoned_temporary_file_but_not_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let (abandoned, other) = (folder.path().join(".tealight-x.part"), folder.path().join("x.part"));
        fs::write(&abandoned, b"half").unwrap();
        fs::write(&other, b"of somebody else").unwrap();
        let (mut file, destination) = named(folder.path()).unwrap();
        file.write_all(b"first").unwrap();
        write_file(&folder.path().join("second"), b"second").unwrap();
        assert!(!abandoned.exists() && other.exists());
        let first = folder.path().join("first");
        let output = OutputFile { target: first.clone(), writer: BufWriter::new(file), destination, old: None };
        output.finish().unwrap();
        assert_eq!(fs::read(first).unwrap(), b"first");
        assert_eq!(names(folder.path()).len(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_new_one_follows_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (target, plain) = (folder.path().join("a"), folder.path().join("plain"));
        File::create(&plain).unwrap();
        for destination in [unnamed(folder.path()).map(|file| (file, Destination::Unnamed)), named(folder.path()).ok()]
        {
            let Some((file, destination)) = destination else { continue };
            fs::write(&target, b"old").unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
            let old = fs::metadata(&target).ok();
            let writer = BufWriter::new(file);
            OutputFile { target: target.clone(), writer, destination, old }.finish().unwrap();
            assert_eq!((mode(&target), fs::read(&target).unwrap()), (0o640, vec![]));
            fs::remove_file(&target).unwrap();
        }
        write_file(&target, b"new").unwrap();
        assert_eq!(mode(&target), mode(&plain));
        for other in [0o600, 0o777, 0o444] {
            fs::set_permissions(&target, fs::Permissions::from_mode(other)).unwrap();
            write_file(&target, b"again").unwrap();
            assert_eq!(mode(&target), other);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_device_stays_a_device() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        symlink("sub/file", path("second")).unwrap();
        symlink("second", path("first")).unwrap();
        // The file that the links lead to need not exist.
        for text in [b"one", b"two"] {
            write_file(&path("first"), text).unwrap();
            assert!(path("first").is_symlink() && path("second").is_symlink());
            assert_eq!(fs::read(path("sub/file")).unwrap(), text);
        }
        symlink("circle", path("circle")).unwrap();
        assert!(write_file(&path("circle"), b"x").unwrap_err().to_string().contains("links"));

        let null = Path::new("/dev/null");
        write_file(null, b"new").unwrap();
        assert!(!fs::metadata(null).unwrap().is_file());
        assert_eq!(write_file(folder.path(), b"x").unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }
}
