//! Measures the memory that opening a model and its first output take, by the size of the file: `cargo run --release -p
//! tealight-candle --example opening`.

#![allow(clippy::unwrap_used)] // an example

#[path = "../tests/support/opening.rs"]
mod opening;

use opening::{measure, measured_by, print, write_model};
use std::process::Command;

fn main() {
    if let Some(path) = std::env::args_os().nth(1) {
        return print(measure(path.as_ref()));
    }
    let folder = tempfile::tempdir().unwrap();
    println!("             opening                        first output");
    println!("   file MB   own KiB   file KiB   faults    own KiB   file KiB   faults");
    for megabytes in [1, 10, 100, 250] {
        let path = folder.path().join("model.safetensors");
        write_model(&path, megabytes);
        let [a, b] = measured_by(Command::new(std::env::current_exe().unwrap()).arg(&path));
        println!("{megabytes:10}{:10}{:11}{:9}{:11}{:11}{:9}", a.own, a.file, a.faults, b.own, b.file, b.faults);
    }
}
