//! Whether a model fits a board: decided before anything is built where possible, by the linker otherwise.

use crate::board::Board;
use crate::model::ModelFile;
use tealight_cli::grouped;
use thiserror::Error;

/// A model that does not fit a board.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DoesNotFit {
    /// The arena and the stack take more than the RAM.
    #[error(
        "{model} does not fit {board}: its arena of {} bytes and the stack of {} need {} bytes of RAM, and there \
         are {}; a board with more RAM runs it",
        grouped(*arena), grouped(*stack), grouped(arena + stack), grouped(*ram)
    )]
    Ram {
        /// Model.
        model: String,
        /// Board.
        board: String,
        /// Bytes of its arena.
        arena: u64,
        /// Bytes kept for the stack.
        stack: u64,
        /// Bytes of RAM.
        ram: u64,
    },
    /// The arena takes more than firmware keeps for a model that it loads at run time.
    #[error(
        "{model} does not fit the firmware with a model slot of {board}: its arena needs {} bytes, and that firmware keeps {} \
         for any model; built into the firmware, it may fit",
        grouped(*arena), grouped(*kept)
    )]
    Loaded {
        /// Model.
        model: String,
        /// Board.
        board: String,
        /// Bytes of its arena.
        arena: u64,
        /// Bytes that are kept.
        kept: u64,
    },
    /// The model's file alone takes more than the flash.
    #[error(
        "{model} does not fit {board}: its file has {} bytes, and there are {} bytes of flash; a board with more \
         flash runs it",
        grouped(*file), grouped(*flash)
    )]
    Flash {
        /// Model.
        model: String,
        /// Board.
        board: String,
        /// Bytes of its file.
        file: u64,
        /// Bytes of flash.
        flash: u64,
    },
    /// Model, code and variables together take more than there is.
    #[error(
        "{model} does not fit {board}: with the firmware's code and variables it needs {} bytes of {memory}, and there \
         are {}{}",
        grouped(*needed), grouped(*length), of_stack(*stack)
    )]
    Linked {
        /// Model.
        model: String,
        /// Board.
        board: String,
        /// `flash` or `RAM`.
        memory: &'static str,
        /// Bytes needed of it, the stack's included.
        needed: u64,
        /// Bytes of it.
        length: u64,
        /// Bytes kept for the stack, in the RAM.
        stack: u64,
    },
}

/// The clause about the stack.
fn of_stack(stack: u64) -> String {
    if stack == 0 { String::new() } else { format!(", of which the stack has {}", grouped(stack)) }
}

/// Refuses a model that cannot fit, whatever the firmware is.
pub fn check(board: &Board, model: &ModelFile) -> Result<(), DoesNotFit> {
    let (name, id) = (model.name.clone(), board.id.clone());
    let (file, flash) = (model.bytes.len() as u64, board.length("flash"));
    if file > flash {
        return Err(DoesNotFit::Flash { model: name, board: id, file, flash });
    }
    let (arena, stack, ram) = (model.arena_bytes, board.stack, board.length("ram"));
    if arena + stack > ram {
        return Err(DoesNotFit::Ram { model: name, board: id, arena, stack, ram });
    }
    Ok(())
}

/// Refuses a model that cannot fit firmware which loads models at run time.
pub fn check_loaded(board: &Board, model: &ModelFile) -> Result<(), DoesNotFit> {
    check(board, model)?;
    let (arena, kept) = (model.arena_bytes, board.loadable_arena());
    if arena > kept {
        return Err(DoesNotFit::Loaded { model: model.name.clone(), board: board.id.clone(), arena, kept });
    }
    Ok(())
}

/// The refusal in the linker's errors, if a region is too small.
pub fn linker_refusal(board: &Board, model: &str, errors: &str) -> Option<DoesNotFit> {
    let overflow = |region: &str| {
        let words = format!("will not fit in region '{region}': overflowed by ");
        let numbers =
            errors.split(words.as_str()).skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        // The linker lists each section past the end; the last one states how much is missing in all.
        numbers.max()
    };
    let refusal = |memory, over, length, stack| {
        let (model, board) = (model.to_string(), board.id.clone());
        DoesNotFit::Linked { model, board, memory, needed: length + over, length, stack }
    };
    let ram = overflow("RAM").map(|over| refusal("RAM", over, board.length("ram"), board.stack));
    ram.or_else(|| overflow("FLASH").map(|over| refusal("flash", over, board.length("flash"), 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(flash: u64, ram: u64) -> Board {
        let text = format!(
            "id = 'x1'\nname = 'X'\ncore = 'M0'\ntarget = 't'\nstack = 1024\n\
             [memory.flash]\norigin = 0\nlength = {flash}\n[memory.ram]\norigin = 0\nlength = {ram}\n\
             [console]\nkind = 'semihosting'"
        );
        Board::parse(&text, "x1").unwrap()
    }

    #[test]
    fn a_model_that_is_too_large_is_refused_with_the_numbers() {
        let file = crate::context::root().join("models/digits/digits.safetensors");
        let model = ModelFile::open(&file, &[]).unwrap();
        let (bytes, ram) = (model.bytes.len() as u64, model.arena_bytes + 1024);
        assert_eq!(check(&small(bytes, ram), &model), Ok(()));
        let error = check(&small(bytes, ram - 1), &model).unwrap_err().to_string();
        for number in [model.arena_bytes, ram, ram - 1] {
            assert!(error.contains(&grouped(number)), "{error}");
        }
        let error = check(&small(bytes - 1, ram), &model).unwrap_err().to_string();
        assert!(error.contains(&grouped(bytes)) && error.contains(&grouped(bytes - 1)), "{error}");
    }

    #[test]
    fn a_model_that_is_loaded_has_what_firmware_keeps_for_any() {
        let file = crate::context::root().join("models/digits/digits.safetensors");
        let model = ModelFile::open(&file, &[]).unwrap();
        let board = |ram| small(1 << 20, 1024 + ram);
        let kept = |ram: &u64| board(*ram).loadable_arena() >= model.arena_bytes;
        let enough = (model.arena_bytes..).find(kept).unwrap();
        assert_eq!(check_loaded(&board(enough), &model), Ok(()));
        let error = check_loaded(&board(enough - 1), &model).unwrap_err().to_string();
        assert!(error.contains(&grouped(model.arena_bytes)) && error.contains("built into the firmware"), "{error}");
    }

    #[test]
    fn the_linkers_errors_become_a_refusal() {
        let text = "rust-lld: error: section '.bss' will not fit in region 'RAM': overflowed by 120 bytes\n\
                    rust-lld: error: section '.uninit' will not fit in region 'RAM': overflowed by 128 bytes\n";
        let refusal = linker_refusal(&small(9000, 4096), "m", text).unwrap();
        assert!(
            refusal.to_string().contains("needs 4,224 bytes of RAM, and there are 4,096, of which the stack has 1,024")
        );
        let refusal = linker_refusal(&small(9000, 4096), "m", &text.replace("RAM", "FLASH")).unwrap();
        assert!(refusal.to_string().contains("needs 9,128 bytes of flash, and there are 9,000"), "{refusal}");
        assert_eq!(linker_refusal(&small(1, 1), "m", "error: undefined symbol: main"), None);
    }
}
