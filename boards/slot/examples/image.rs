//! Writes the contents of a model slot to a file, to be programmed at the slot's address or sent to a device:
//! `cargo run -p tealight-slot --example image -- MODEL INPUTS SLOT.bin BYTES`, `BYTES` being the slot's size.

use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [model, inputs, image, bytes] = &words[..] else {
        eprintln!("usage: image MODEL INPUTS SLOT.bin BYTES");
        return ExitCode::from(2);
    };
    match write(model, inputs, image, bytes) {
        Ok(len) => {
            println!("{image}: {len} bytes");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(model: &str, inputs: &str, image: &str, bytes: &str) -> Result<usize, Box<dyn Error>> {
    let read = |path: &str| std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"));
    let capacity = bytes.parse().map_err(|error| format!("`{bytes}` is not a number of bytes: {error}"))?;
    let contents = tealight_slot::contents(&read(model)?, &read(inputs)?, capacity)?;
    std::fs::write(image, &contents).map_err(|error| format!("cannot write {image}: {error}"))?;
    Ok(contents.len())
}
