//! Runs a board's firmware on an emulated chip: `tealight-chip-emulator rp2040|rp2350-riscv IMAGE`.
//!
//! What the chip sends on its UART 0 goes to stdout. Nothing ends a run but who started it: firmware for a serial port
//! has no way to say that it is done, except in what it sends.

mod image;
mod rp2040;
mod rp2350;

use anyhow::{Context as _, Result, bail};
use image::Image;
use std::io::Write as _;
use std::process::ExitCode;

/// A chip that runs.
trait Chip {
    /// Runs it for some thousand cycles. Returns what it has sent since the last call.
    ///
    /// # Errors
    /// The core has stopped for good.
    fn run(&mut self) -> Result<Vec<u8>>;
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [chip, image] = &words[..] else {
        eprintln!("usage: tealight-chip-emulator rp2040|rp2350-riscv IMAGE");
        return ExitCode::from(2);
    };
    match run(chip, image) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chip: &str, image: &str) -> Result<()> {
    let bytes = std::fs::read(image).with_context(|| format!("cannot read {image}"))?;
    let image = Image::parse(&bytes).with_context(|| format!("in {image}"))?;
    let mut chip: Box<dyn Chip> = match chip {
        "rp2040" => Box::new(rp2040::start(&image)?),
        "rp2350-riscv" => Box::new(rp2350::start(&image)?),
        _ => bail!("no chip is called `{chip}`"),
    };
    let mut out = std::io::stdout().lock();
    loop {
        let sent = chip.run()?;
        // Whoever reads may leave; then the run is over.
        if !sent.is_empty() && out.write_all(&sent).and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
    }
}
