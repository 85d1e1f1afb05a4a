//! `cargo xtask new-board`: the folder of a new board, from that of a board which CI builds and runs.
//!
//! A board's files differ in little more than its names, so every board is a template: the new one builds at once, and
//! then gets its own target, memory and clock.

use crate::board::{self, Board};
use crate::context::Context;
use crate::error::Usage;
use anyhow::{Context as _, Result};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};

/// The new board, and the board that it is copied from.
#[derive(Debug, Args)]
pub struct NewBoardArgs {
    /// The new board: its folder, its crate, and what `--board` takes
    pub id: String,
    /// The board that is nearest to it
    #[arg(long, default_value = board::DEFAULT)]
    pub like: String,
    /// Its name for people [default: its identifier]
    #[arg(long)]
    pub name: Option<String>,
}

/// Runs the task.
pub fn new_board(context: &Context, args: &NewBoardArgs) -> Result<()> {
    let like = board::find(&context.root, &args.like)?;
    let name = args.name.as_deref().unwrap_or(&args.id);
    let folder = write(&context.root, &args.id, name, &like)?;
    let (main_rs, then) = if like.qemu.is_some() {
        ("its clock, the clock's rate, and its LED", "run")
    } else {
        ("its clocks, LED and console", "layout")
    };
    println!(
        "{folder} is a copy of {like} by the name {id}. To make it yours:\n  \
         board.toml   core, target, memory and stack; [qemu] only if QEMU has the board\n  \
         src/main.rs  {main_rs}\n\
         then `cargo xtask {then} --board {id}`. boards/README.md explains the rest.",
        folder = folder.display(),
        id = args.id,
        like = like.folder.display()
    );
    Ok(())
}

/// Writes the folder beside that of the other board, whole or not at all, and returns its path.
fn write(root: &Path, id: &str, name: &str, like: &Board) -> Result<PathBuf> {
    let starts = id.starts_with(|first: char| first.is_ascii_lowercase());
    if !starts || !id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Err(Usage(format!("`{id}` is no identifier of a board: a letter, then a-z, 0-9 and -")).into());
    }
    if name.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        return Err(Usage(format!("`{name}` has a character that a board's name cannot have")).into());
    }
    if let Some(other) = Board::all(root)?.into_iter().find(|board| board.id == id) {
        return Err(Usage(format!("{} is there already", other.folder.display())).into());
    }
    let folder = like.folder.with_file_name(id);
    let told = folder.display();
    if root.join(&folder).exists() {
        return Err(Usage(format!("{told} exists already")).into());
    }
    let from = root.join(&like.folder);
    let boards = from.parent().unwrap_or(root);
    let cannot = || format!("cannot write to {}", boards.display());
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(boards).with_context(cannot)?;
    let read = |file: &str| fs::read_to_string(from.join(file)).with_context(|| from.join(file).display().to_string());
    let put = |file: &str, text: String| fs::write(new.path().join(file), text).with_context(|| told.to_string());
    fs::create_dir(new.path().join("src"))?;
    put("board.toml", with_values(&read("board.toml")?, &[("id", id), ("name", name)]))?;
    let description = format!("Tealight on {name}");
    put("Cargo.toml", with_values(&read("Cargo.toml")?, &[("name", id), ("description", &description)]))?;
    put("build.rs", read("build.rs")?)?;
    // The runner of `cargo run` names the board.
    if from.join(RUNNER).is_file() {
        fs::create_dir(new.path().join(".cargo"))?;
        put(RUNNER, read(RUNNER)?.replace(&format!("\"{}\"", like.id), &format!("\"{id}\"")))?;
    }
    // A chip that probe-rs does not know is described in the folder.
    for file in descriptions(like) {
        let file = file.to_string_lossy();
        put(&file, read(&file)?)?;
    }
    put("src/main.rs", main_rs(&read("src/main.rs")?, id, name, &like.core))?;
    fs::rename(new.path(), root.join(&folder)).with_context(|| format!("cannot create {told}"))?;
    Ok(folder)
}

/// The settings of cargo in the folder of a board on a HAL.
const RUNNER: &str = ".cargo/config.toml";

/// The files in a board's folder that describe its chip.
fn descriptions(board: &Board) -> Vec<&Path> {
    board.flash.iter().filter_map(|way| way.chip().1).collect()
}

/// A TOML text in which each line `key = …` of these keys has another string.
fn with_values(text: &str, values: &[(&str, &str)]) -> String {
    let line = |line: &str| match values.iter().find(|(key, _)| line.starts_with(&format!("{key} = "))) {
        Some((key, value)) => format!("{key} = \"{value}\"\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The wiring with its title and type renamed.
fn main_rs(text: &str, id: &str, name: &str, core: &str) -> String {
    let declared = text.lines().find_map(|line| line.strip_prefix("struct "));
    let old = declared.and_then(|rest| rest.split(['(', ';', ' ']).next()).unwrap_or_default();
    let new: String = id.split('-').map(capitalized).collect();
    let title = format!("//! Tealight on {name} ({core}).");
    let lines = text.lines().enumerate().map(|(i, line)| if i == 0 { title.clone() } else { renamed(line, old, &new) });
    lines.map(|line| line + "\n").collect()
}

/// `line` with the identifier `old` renamed wherever it stands alone.
fn renamed(line: &str, old: &str, new: &str) -> String {
    if old.is_empty() {
        return line.into();
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(old) {
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        let alone = !before.ends_with(is_part) && !after.starts_with(is_part);
        text += before;
        text += if alone { new } else { old };
        rest = after;
    }
    text + rest
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder `boards` with copies of all boards.
    fn copy() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let real = Context::new().unwrap().root;
        for board in Board::all(&real).unwrap() {
            let (from, to) = (real.join(&board.folder), root.path().join(&board.folder));
            fs::create_dir_all(to.join("src")).unwrap();
            let files = ["board.toml", "Cargo.toml", "build.rs", "src/main.rs"].map(String::from);
            let described = descriptions(&board).into_iter().map(|file| file.display().to_string());
            let runner = board.is_on_hal().then(|| RUNNER.to_string());
            if runner.is_some() {
                fs::create_dir(to.join(".cargo")).unwrap();
            }
            for file in files.into_iter().chain(described).chain(runner) {
                fs::copy(from.join(&file), to.join(&file)).unwrap();
            }
        }
        root
    }

    #[test]
    fn every_board_is_a_template() {
        let root = copy();
        for (i, like) in Board::all(root.path()).unwrap().into_iter().enumerate() {
            let id = format!("my-board-{i}");
            let folder = root.path().join(write(root.path(), &id, "My own board", &like).unwrap());
            assert_eq!(folder.parent(), root.path().join(&like.folder).parent());
            let board = Board::all(root.path()).unwrap().into_iter().find(|board| board.id == id).unwrap();
            assert_eq!((board.name.as_str(), &board.target, board.stack), ("My own board", &like.target, like.stack));
            let machine = |board: &Board| board.qemu.as_ref().map(|qemu| qemu.machine.clone());
            assert_eq!(machine(&board), machine(&like));
            for file in descriptions(&board) {
                assert!(folder.join(file).is_file(), "{}", file.display());
            }
            let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
            assert_eq!(manifest["package"]["name"].as_str(), Some(id.as_str()));
            assert_eq!(manifest["bin"][0]["name"].as_str(), Some(id.as_str()));
            let main = fs::read_to_string(folder.join("src/main.rs")).unwrap();
            let new = format!("MyBoard{i}");
            for part in [format!("struct {new}"), format!("for {new} ")] {
                assert!(main.contains(&part), "no `{part}` in\n{main}");
            }
            if board.is_on_hal() {
                let runner = fs::read_to_string(folder.join(RUNNER)).unwrap();
                assert!(runner.contains(&format!("/flash-image\", \"{id}\"]")), "{runner}");
            }
            let (named, taken) = (format!("{new});"), format!("<{new}>"));
            assert!(main.contains(&named) || main.contains(&taken), "nothing runs {new} in\n{main}");
            assert!(main.starts_with("//! Tealight on My own board ("), "{main}");
        }
        let left = fs::read_dir(root.path().join("boards")).unwrap();
        assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().starts_with('.')));
    }

    #[test]
    fn a_board_that_is_there_is_not_overwritten_and_a_bad_name_is_refused() {
        let root = copy();
        let like = Board::all(root.path()).unwrap().remove(0);
        for (id, name, part) in [
            (like.id.as_str(), "x", "already"),
            ("My_Board", "x", "My_Board"),
            ("../up", "x", "../up"),
            ("", "x", "identifier"),
            ("good", "a \"name\"", "name"),
        ] {
            let error = write(root.path(), id, name, &like).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains(part), "{error}");
        }
        assert!(!root.path().join("boards/good").exists());
    }
}
