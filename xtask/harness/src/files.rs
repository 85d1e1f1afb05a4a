//! Files: read whole, written whole, locked, and their digests.

use crate::context::Context;
use anyhow::{Context as _, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::Path;

/// Reads a file; the error names it.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Writes a file whole or not at all.
pub fn write_whole(file: &Path, bytes: &[u8]) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| tealight_compiler::write_file(file, bytes))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Waits for the lock of this name, which excludes other processes of this workspace until it is dropped.
pub fn lock(context: &Context, name: &str) -> Result<File> {
    let folder = context.cache().join("locks");
    let file = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| File::create(&file))
        .and_then(|lock| lock.lock().map(|()| lock))
        .with_context(|| format!("cannot lock {}", file.display()))
}

/// The SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_standards() {
        // FIPS 180-4, the example "abc".
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn an_unwritable_file_is_named_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not-a-folder");
        write_whole(&file, b"x").unwrap();
        let text = format!("{:#}", write_whole(&file.join("y"), b"y").unwrap_err());
        assert!(text.contains("not-a-folder"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
