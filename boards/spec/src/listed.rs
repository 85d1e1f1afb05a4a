//! The boards of Tealight's repository, for programs that run elsewhere.
//!
//! The table is generated from the `board.toml` files, because a published crate contains no files outside its own
//! folder. The test `tests/listed.rs` compares the two, and writes the table if `TEALIGHT_BLESS` is set.

/// A [`Summary`](crate::Summary) that is known at compile time. Lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Identifier.
    pub id: &'static str,
    /// Display name.
    pub name: &'static str,
    /// Processor core.
    pub core: &'static str,
    /// The core's clock in hertz, if the board is real hardware.
    pub clock: Option<u64>,
    /// RAM reserved for the stack.
    pub stack: u64,
    /// Flash, for code and models.
    pub flash: u64,
    /// RAM, including the stack.
    pub ram: u64,
}

/// Every board with firmware in Tealight's repository, in the order of [`Board::all`](crate::Board::all).
pub const BOARDS: &[Listed] = include!("boards.in");
