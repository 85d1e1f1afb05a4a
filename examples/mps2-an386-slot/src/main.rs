//! A network from a flash slot, replaced without the firmware, on an emulated Cortex-M4F: `cargo run --release` in this
//! folder. Before that, from the repository's root, what is in the slot:
//! `cargo run -p tealight-slot --example image -- models/digits/digits.safetensors models/digits/sample.bin
//! examples/mps2-an386-slot/slot.bin 1048576`

#![no_std]
#![no_main]

use core::{fmt::Display, slice};
use cortex_m as _; // its critical section
use cortex_m_rt::entry;
use semihosting::{println, process::ExitCode};
use static_cell::ConstStaticCell;
use tealight::{Arena, Budget, Int8Ops, Limit, Model, Session};

/// The slot's address and bytes: behind the firmware, see `memory.x`.
const SLOT: (usize, usize) = (0x20_0000, 0x10_0000);
/// Memory for any model that this firmware may get.
static ARENA: ConstStaticCell<Arena<65_536>> = ConstStaticCell::new(Arena::new());
/// What the control loop can spare in a period; a model whose longest row takes more is refused.
const BUDGET: u64 = 100_000;

#[entry]
fn main() -> ! {
    match run() {
        Ok(()) => ExitCode::SUCCESS.exit_process(),
        Err(()) => ExitCode::FAILURE.exit_process(), // the control loop goes on without the network
    }
}

fn run() -> Result<(), ()> {
    let refuse = |error: &dyn Display| println!("no network: {error}");
    // SAFETY: this is flash, to which nothing writes.
    let slot = unsafe { slice::from_raw_parts(SLOT.0 as *const u8, SLOT.1) };
    // Checksums find what was written in part; the checks of the model make it safe to run, whoever sent it.
    let contents = tealight_slot::read(slot).map_err(|error| refuse(&error))?;
    let model = Model::parse(contents.model).map_err(|error| refuse(&error))?;
    let limit = Limit::none().longest_row(BUDGET);
    let mut session =
        Session::<Int8Ops>::load_within(&model, ARENA.take().bytes_mut(), limit).map_err(|error| refuse(&error))?;
    let mut input = session.input(0).ok_or(())?;
    input.copy_from_bytes(contents.inputs).map_err(|error| refuse(&error))?; // what a sensor would give
    while session.poll(Budget::macs(BUDGET)).is_pending() {
        // Read sensors, move motors: the network goes on at the next turn.
    }
    let (class, score) = session.output(0).and_then(|output| output.argmax()).ok_or(())?;
    println!("{} says: class {class}, score {score:.3}", model.metadata("name").unwrap_or("the model"));
    Ok(())
}
