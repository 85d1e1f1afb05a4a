//! The image of what is in a board's flash.

use std::io;
use std::path::Path;

/// Copies the image that a board gets to `kept`, whole or not at all. A board's log is decoded by the image that it has, and
/// not by one that was only built, or that never reached it: so this is done when its flash begins to change. If it fails,
/// stderr tells; flashing goes on.
pub fn keep(image: &Path, kept: &Path) {
    if let Err(error) = copy(image, kept) {
        eprintln!("  --  {} cannot be written: `monitor` and `--model-only` will not work ({error})", kept.display());
    }
}

fn copy(image: &Path, kept: &Path) -> io::Result<()> {
    let folder = kept.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let new = kept.with_extension("new");
    std::fs::copy(image, &new)?;
    std::fs::rename(new, kept)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test
    use super::*;

    #[test]
    fn an_image_takes_the_place_of_the_one_before_or_leaves_it() {
        let folder = std::env::temp_dir().join(format!("tealight-keep-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (image, kept) = (folder.join("image"), folder.join("of boards/x.elf"));
        for bytes in [b"one", b"two"] {
            std::fs::write(&image, bytes).unwrap();
            keep(&image, &kept);
            assert_eq!(std::fs::read(&kept).unwrap(), bytes);
        }
        keep(&folder.join("none"), &kept);
        assert_eq!(std::fs::read(&kept).unwrap(), b"two");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
