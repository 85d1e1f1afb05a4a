//! The built-in table equals the folders.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tealight_board_spec::{BOARDS, Board, Summary};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of `src/boards.in`.
fn table(boards: &[Board]) -> String {
    let mut text = String::from("// Made from the board.toml files by `cargo xtask renew`.\n&[\n");
    for board in boards {
        let Summary { id, name, core, clock, stack, flash, ram } = Summary::from(board);
        writeln!(
            text,
            "    Listed {{\n        id: {id:?},\n        name: {name:?},\n        core: {core:?},\n        clock: {clock:?},\n        \
             stack: {stack},\n        flash: {flash},\n        ram: {ram},\n    }},"
        )
        .unwrap();
    }
    text + "]\n"
}

#[test]
fn the_built_in_boards_are_those_of_the_folders() {
    let boards = Board::all(&root()).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/boards.in");
    if std::env::var_os("TEALIGHT_BLESS").is_some() {
        std::fs::write(&file, table(&boards)).unwrap();
        return;
    }
    let listed: Vec<_> = BOARDS.iter().map(Summary::from).collect();
    let found: Vec<_> = boards.iter().map(Summary::from).collect();
    assert_eq!(listed, found, "`cargo xtask renew` makes the table again");
    assert_eq!(std::fs::read_to_string(file).unwrap(), table(&boards), "`cargo xtask renew` makes the table again");
}

#[test]
fn lists_every_folder_of_a_board() {
    // Counted independently of the library: every board.toml with a stack, at any depth.
    let mut folders = vec![root().join("boards")];
    let mut ids = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.ends_with("board.toml") {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.lines().any(|line| line.starts_with("stack = ")) {
                    ids.push(path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_string());
                }
            }
        }
    }
    ids.sort();
    let mut listed: Vec<_> = BOARDS.iter().map(|board| board.id.to_string()).collect();
    listed.sort();
    assert!(ids.len() >= 23, "{ids:?}");
    assert_eq!(ids, listed);
}
