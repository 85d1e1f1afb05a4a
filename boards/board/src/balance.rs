//! The app of the feature `balance`: the robot of `tealight-balance` in its simulated world, for as long as the input
//! says. The trajectory is the same on every board.

use crate::Board;
use crate::app::{end, start};
use crate::input::Failure;
use crate::log::emit;
use tealight::{Arena, Embedded, Ops, Session};
use tealight_balance::scenario::{Scenario, ScenarioError};

tealight::include_model!(
    /// The second network, which runs in slices beside the control loop.
    pub mod gesture = "../../../models/gesture/gesture.safetensors"
);

/// Runs the robot with `model` as its policy, reports the trajectory's digest and exits. `scenario` is a
/// [`Scenario`] in bytes.
pub fn app_balance<B: Board, const NEEDED: usize, const GIVEN: usize, O: Ops>(
    board: &mut B,
    model: &'static Embedded<NEEDED, O>,
    arena: &'static mut Arena<GIVEN>,
    second: &'static mut gesture::Arena,
    scenario: Option<&'static [u8]>,
) -> ! {
    start(board);
    let policy = Session::new(model, arena);
    let second = Session::new(&gesture::MODEL, second);
    let before = board.ticks();
    let result = scenario.and_then(Scenario::from_bytes).ok_or(Failure::Scenario);
    let result = result.and_then(|scenario| {
        scenario.run(policy, second, |_| {}).map_err(|error| match error {
            ScenarioError::App(_) => Failure::Device,
            ScenarioError::Policy | ScenarioError::Second => Failure::Features,
        })
    });
    let ticks = board.ticks().wrapping_sub(before);
    let result = result.map(|summary| {
        emit!("tealight run_ticks={}", ticks);
        emit!("tealight fallen={}", u32::from(summary.fallen));
        emit!("tealight missed_periods={}", summary.missed);
        emit!("tealight trajectory={}", summary.digest);
        summary.periods
    });
    end(board, result)
}
