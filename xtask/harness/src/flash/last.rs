//! The board that was flashed last from this clone: the one that is meant where none is named.

use crate::board::Board;
use crate::context::Context;
use crate::files;
use anyhow::Result;
use std::path::PathBuf;

/// Remembers a board.
///
/// # Errors
/// The file cannot be written.
pub(super) fn remember(context: &Context, board: &Board) -> Result<()> {
    files::write_whole(&file(context), board.id.as_bytes())
}

/// The board that was remembered last, if there is one.
pub(super) fn board(context: &Context) -> Option<String> {
    std::fs::read_to_string(file(context)).ok().filter(|id| !id.is_empty())
}

fn file(context: &Context) -> PathBuf {
    context.cache().join("flashed").join("last")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_boards_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let context = Context::at(folder.path().into()).unwrap();
        assert_eq!(board(&context), None);
        for id in ["pico", "microbit"] {
            remember(&context, &crate::board::find(&crate::context::root(), id).unwrap()).unwrap();
            assert_eq!(board(&context).as_deref(), Some(id));
        }
    }
}
