//! The app of the feature `balance`: the robot of `tealight-balance` in its simulated world, for as long as the input
//! says. With the feature `balance-wire` the firmware is the robot's app alone, and the world is at the other end of the
//! board's wire. The trajectory is the same on every board.

use crate::Board;
use crate::app::{end, start};
#[cfg(feature = "balance-wire")]
use crate::bytes::write_all;
use crate::input::Failure;
#[cfg(feature = "balance-wire")]
use crate::input::next;
#[cfg(not(feature = "balance-wire"))]
use crate::log::emit;
use tealight::{Arena, Embedded, Ops, Session};
#[cfg(not(feature = "balance-wire"))]
use tealight_balance::scenario::Scenario;
use tealight_balance::scenario::ScenarioError;
#[cfg(feature = "balance-wire")]
use tealight_balance::wire::{Link, control};

tealight::include_model!(
    /// The second network, which runs in slices beside the control loop.
    pub mod gesture = "../../../models/gesture/gesture.safetensors"
);

/// Runs the robot with `model` as its policy, reports what became of it and exits. `scenario` is a
/// [`Scenario`](tealight_balance::scenario::Scenario) in bytes; over a wire there is none.
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
    let result = run(board, policy, second, scenario);
    end(board, result)
}

/// Runs the robot and its world, and reports the trajectory. Returns the number of periods.
#[cfg(not(feature = "balance-wire"))]
fn run<B: Board, O: Ops, S: Ops>(
    board: &mut B,
    policy: Session<'_, O>,
    second: Session<'_, S>,
    scenario: Option<&'static [u8]>,
) -> Result<u32, Failure> {
    let scenario = scenario.and_then(Scenario::from_bytes).ok_or(Failure::Scenario)?;
    let before = board.ticks();
    let result = scenario.run(policy, second, |_| {});
    let ticks = board.ticks().wrapping_sub(before);
    let summary = result.map_err(failure)?;
    emit!("tealight run_ticks={}", ticks);
    emit!("tealight fallen={}", u32::from(summary.fallen));
    emit!("tealight missed_periods={}", summary.missed);
    emit!("tealight trajectory={}", summary.digest);
    Ok(summary.periods)
}

/// Runs the robot on the devices at the other end of the wire. Returns the number of periods.
#[cfg(feature = "balance-wire")]
fn run<B: Board, O: Ops, S: Ops>(
    board: &mut B,
    policy: Session<'_, O>,
    second: Session<'_, S>,
    _: Option<&'static [u8]>,
) -> Result<u32, Failure> {
    control(Console(board), policy, second).map_err(failure)
}

/// The board's end of the wire: its output and its input.
#[cfg(feature = "balance-wire")]
struct Console<'b, B>(&'b mut B);

#[cfg(feature = "balance-wire")]
impl<B: Board> Link for Console<'_, B> {
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.output().is_some_and(|sink| write_all(sink, bytes))
    }

    fn receive(&mut self, bytes: &mut [u8]) -> bool {
        let wanted = bytes.len();
        next(self.0, &mut None, bytes) == Ok(wanted)
    }
}

fn failure(error: ScenarioError) -> Failure {
    match error {
        ScenarioError::App(_) | ScenarioError::Device(_) => Failure::Device,
        ScenarioError::Policy | ScenarioError::Second => Failure::Features,
        ScenarioError::Wire(error) => Failure::Wire(error),
    }
}
