//! Writes the memory map from `board.toml`, and finds the model to embed.

fn main() {
    tealight_board_build::main();
}
