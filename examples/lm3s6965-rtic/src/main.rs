//! A handwritten digit beside a control loop of 1 kHz, as RTIC tasks on an emulated Cortex-M3: `cargo run --release` in
//! this folder.

#![no_std]
#![no_main]

use semihosting as _; // its panic handler

// An invalid file is a compile error.
tealight::include_model!(mod digits = "../../../models/digits/digits.safetensors");

#[rtic::app(device = lm3s6965, dispatchers = [GPIOA, GPIOB])]
mod app {
    use super::digits;
    use rtic_monotonics::systick::prelude::*;
    use semihosting::{println, process::ExitCode};
    use tealight::Budget;

    systick_monotonic!(Time, 1000);
    /// A picture of a five: what a camera would give, as the model's int8.
    static PICTURE: &[u8; 784] = include_bytes!("../../../models/digits/sample.bin");

    #[shared]
    struct Shared {
        periods: u32,
    }

    #[local]
    struct Local {
        session: digits::Session<'static>,
    }

    #[init(local = [arena: digits::Arena = digits::Arena::new()])]
    fn init(context: init::Context) -> (Shared, Local) {
        Time::start(context.core.SYST, 12_000_000);
        let _ = (control::spawn(), network::spawn());
        (Shared { periods: 0 }, Local { session: digits::Session::new(context.local.arena) })
    }

    #[task(priority = 2, shared = [periods])]
    async fn control(mut context: control::Context) {
        let mut next = Time::now();
        loop {
            context.shared.periods.lock(|periods| *periods += 1); // Read sensors, move motors.
            next += 1.millis();
            Time::delay_until(next).await;
        }
    }

    #[task(priority = 1, local = [session], shared = [periods])]
    async fn network(mut context: network::Context) {
        let session = context.local.session;
        session.write_input(&PICTURE.map(u8::cast_signed)); // another type or number of elements is a compile error
        session.infer(Budget::macs(20_000)).await; // other tasks of this priority run between its slices
        let periods = context.shared.periods.lock(|periods| *periods);
        let Some((digit, probability)) = session.output_tensor().argmax() else { return };
        println!("a {digit}, probability {probability:.3}, in {periods} periods of control");
        ExitCode::SUCCESS.exit_process()
    }
}
