//! Serves an emulated board until standard input ends: `cargo run -p tealight-simulated-probe --example serve microbit`.
//! It prints what to give to `--probe`.

use std::error::Error;
use std::io::Read as _;
use std::process::Command;
use tealight_simulated_probe::{Chip, Machine, Qemu, SimulatedProbe};

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "microbit".into());
    let (chip, machine) = match name.as_str() {
        "microbit" => (Chip::CORTEX_M0, Machine { vectors: 0, ram: 0x2000_0000 }),
        "mps2-an386" => (Chip::CORTEX_M4, Machine { vectors: 0, ram: 0x2000_0000 }),
        "mps3-an547" => (Chip::CORTEX_M55, Machine { vectors: 0x1000_0000, ram: 0x3100_0000 }),
        other => return Err(format!("{other} is none of microbit, mps2-an386, mps3-an547").into()),
    };
    let mut command = Command::new("qemu-system-arm");
    command.args(["-M", &name]);
    let probe = SimulatedProbe::start(chip, Qemu::start(command, machine)?)?;
    println!("{}", probe.selector());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
