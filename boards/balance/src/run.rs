//! A run of the closed loop in a simulated world, the same on a host and on a board.

use crate::app::{App, AppError, Parts, Period};
use crate::devices::{Bus, Devices, Direction, Hardware, Motors, Pin, Wheel, with};
use crate::digest::Digest;
use crate::estimate::{Estimate, PERIOD_US};
use crate::gesture::{CLASSES, Classifier};
use crate::plant::State;
use crate::policy::Policy;
use crate::push::Push;
use crate::world::World;
use core::cell::RefCell;
use tealight::Ops;

/// The app on the devices of hardware.
pub type ConnectedApp<'h, H> = App<Bus<'h, H>, Wheel<'h, H>, Motors<'h, H>, Direction<'h, H>, Pin<'h, H>>;

/// The app on simulated devices.
pub type SimulatedApp<'w, 'p> = ConnectedApp<'w, World<'p>>;

/// What a run is determined by, besides its policy and its second network.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'p> {
    /// The seed of offsets and noise.
    pub seed: u64,
    /// The angle in rad at which the robot is released.
    pub angle: f32,
    /// The number of control periods of [`PERIOD_US`].
    pub periods: u32,
    /// The pushes.
    pub pushes: &'p [Push],
}

/// A control period of a run.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The number of the period, from 0.
    pub index: u32,
    /// Microseconds from the release to its start.
    pub micros: u64,
    /// The state of the robot at its end.
    pub state: State,
    /// The force of a push at its end in N.
    pub force: f32,
    /// The estimate of the state.
    pub estimate: Estimate,
    /// The torque that was set in N m.
    pub torque: f32,
    /// Microseconds from the start of the last period to the start of this one; 0 in the first.
    pub period: u32,
    /// Microseconds that the loop worked.
    pub busy: u32,
    /// The maximum cost of the second network's slice in multiply-accumulates.
    pub slice: u64,
    /// The scores of the second network, if its inference has ended in this period.
    pub scores: Option<[i8; CLASSES]>,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// The number of control periods.
    pub periods: u32,
    /// Whether the robot has fallen.
    pub fallen: bool,
    /// The largest angle from upright in rad.
    pub largest_angle: f32,
    /// Where the robot is at the end in m.
    pub position: f32,
    /// The number of periods that began late, because the one before took too long.
    pub missed: u32,
    /// The longest time that the loop worked in a period in microseconds.
    pub longest_busy: u32,
    /// The number of inferences of the second network.
    pub inferences: u32,
    /// The digest of all periods.
    pub digest: u64,
}

/// Starts the app on the devices of a world, or of what stands for it.
///
/// # Errors
/// [`AppError`] if a device refuses.
pub fn start<H: Hardware>(hardware: &RefCell<H>) -> Result<ConnectedApp<'_, H>, AppError> {
    let Devices { bus, motors, direction, pin, wheel, mut delay } = Devices::of(hardware);
    App::start(Parts { bus, encoder: wheel, motors, direction, pin }, &mut delay)
}

/// What happens after a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Next {
    /// The next period.
    #[default]
    Go,
    /// A push with a force in N for a number of milliseconds, and the next period.
    Push(f32, u32),
    /// The end of the run.
    End,
}

/// Runs the loop and calls `observe` after each period.
///
/// # Errors
/// [`AppError`] if a device refuses.
pub fn run<O: Ops>(
    setup: &Setup<'_>,
    policy: &mut impl Policy,
    second: Option<&mut Classifier<'_, O>>,
    mut observe: impl FnMut(&Record),
) -> Result<Summary, AppError> {
    steered(setup, policy, second, |record, _| {
        observe(record);
        Next::Go
    })
}

/// As [`run`]; after each period `steer` says what happens next, given the push that its last answer became.
///
/// # Errors
/// [`AppError`] if a device refuses.
pub fn steered<O: Ops>(
    setup: &Setup<'_>,
    policy: &mut impl Policy,
    mut second: Option<&mut Classifier<'_, O>>,
    steer: impl FnMut(&Record, Option<Push>) -> Next,
) -> Result<Summary, AppError> {
    let world = RefCell::new(World::new(setup.seed, setup.angle, setup.pushes));
    let mut app = start(&world)?;
    let period = || {
        app.period(policy, second.as_deref_mut(), |cost| {
            // The app holds no borrow while it computes.
            let _ = with(&world, |world| world.computed(cost));
        })
    };
    drive(&world, setup.periods, period, steer)
}

/// Releases the robot, and drives a world whose control is `period`, which returns at the end of a control period's work.
///
/// # Errors
/// Those of `period`.
pub fn drive<E>(
    world: &RefCell<World<'_>>,
    periods: u32,
    mut period: impl FnMut() -> Result<Period, E>,
    mut steer: impl FnMut(&Record, Option<Push>) -> Next,
) -> Result<Summary, E> {
    let begin = world.try_borrow_mut().map_or(0, |mut world| {
        world.release();
        world.now()
    });
    let mut next = begin;
    let mut summary = Summary::default();
    let mut digest = Digest::default();
    let mut push = None;
    for index in 0..periods {
        let period = period()?;
        next += PERIOD_US;
        let Ok(mut now) = world.try_borrow_mut() else { break };
        let pin = now.pin();
        if !now.wait_until(next) {
            summary.missed += 1;
            next = now.now();
        }
        let record = Record {
            index,
            micros: pin.rose_at.saturating_sub(begin),
            state: *now.state(),
            force: now.force(),
            estimate: period.estimate,
            torque: period.torque,
            period: pin.period,
            busy: pin.busy,
            slice: period.slice.cost,
            scores: period.slice.scores,
        };
        add(&mut digest, &record);
        count(&mut summary, &record);
        match steer(&record, push.take()) {
            Next::Go => {}
            Next::Push(newtons, ms) => push = now.push(newtons, ms),
            Next::End => break,
        }
    }
    summary.digest = digest.value();
    Ok(summary)
}

fn count(summary: &mut Summary, record: &Record) {
    summary.periods += 1;
    summary.fallen = record.state.fallen;
    summary.position = record.state.position;
    summary.largest_angle = summary.largest_angle.max(record.state.angle.abs());
    summary.longest_busy = summary.longest_busy.max(record.busy);
    summary.inferences += u32::from(record.scores.is_some());
}

/// Adds everything that a period has computed to the digest.
fn add(digest: &mut Digest, record: &Record) {
    let State { position, speed, angle, rate, .. } = record.state;
    let Estimate { angle: estimated, rate: turning, speed: driving } = record.estimate;
    digest.add_bytes(&record.micros.to_le_bytes());
    digest.add(&[position, speed, angle, rate, estimated, turning, driving, record.torque]);
    digest.add_bytes(&record.busy.to_le_bytes());
    for score in record.scores.iter().flatten() {
        digest.add_bytes(&score.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lqr::Lqr;
    use crate::plant::ROBOT;
    use tealight::AllOps;

    fn balance(seed: u64, pushes: &[Push]) -> Summary {
        let setup = Setup { seed, angle: 0.05, periods: 1_000, pushes };
        run::<AllOps>(&setup, &mut Lqr::of(&ROBOT), None, |_| {}).unwrap()
    }

    /// Sets no torque.
    struct Nothing;

    impl Policy for Nothing {
        fn torque(&mut self, _: &Estimate) -> f32 {
            0.0
        }

        fn cost(&self) -> u64 {
            // 6 ms of the simulated processor.
            6_000 * crate::world::COST_PER_US
        }
    }

    #[test]
    fn the_regulator_balances_through_the_sensors() {
        for seed in 0..20 {
            let summary = balance(seed, &[Push { at_ms: 1_000, newtons: 3.0, ms: 100 }]);
            assert!(!summary.fallen && summary.largest_angle < 0.5, "seed {seed}: {summary:?}");
            assert_eq!((summary.periods, summary.missed), (1_000, 0));
        }
    }

    #[test]
    fn a_seed_determines_the_digest() {
        assert_eq!(balance(3, &[]), balance(3, &[]));
        assert_ne!(balance(3, &[]).digest, balance(4, &[]).digest);
        assert_ne!(balance(3, &[]).digest, balance(3, &[Push { at_ms: 4_900, newtons: 0.1, ms: 5 }]).digest);
    }

    #[test]
    fn pushes_that_were_steered_repeat_from_a_script() {
        let setup = Setup { seed: 5, angle: 0.05, periods: 600, pushes: &[Push { at_ms: 900, newtons: 1.0, ms: 200 }] };
        let mut script = std::vec::Vec::from(setup.pushes);
        let steer = |record: &Record, push: Option<Push>| {
            script.extend(push);
            match record.index {
                100 | 101 | 190 => Next::Push(-2.5, 100),
                500 => Next::End,
                _ => Next::Go,
            }
        };
        let live = steered::<AllOps>(&setup, &mut Lqr::of(&ROBOT), None, steer).unwrap();
        // The second came while the first acted.
        assert_eq!((script.len(), live.periods), (3, 501));
        let again = Setup { periods: live.periods, pushes: &script, ..setup };
        let again = run::<AllOps>(&again, &mut Lqr::of(&ROBOT), None, |_| {}).unwrap();
        assert_eq!(again, live);
        let other = Setup { periods: live.periods, ..setup };
        assert_ne!(run::<AllOps>(&other, &mut Lqr::of(&ROBOT), None, |_| {}).unwrap().digest, live.digest);
    }

    #[test]
    fn without_torque_it_falls_and_too_much_work_misses_the_period() {
        let setup = Setup { seed: 1, angle: 0.05, periods: 1_000, pushes: &[] };
        let summary = run::<AllOps>(&setup, &mut Nothing, None, |_| {}).unwrap();
        assert!(summary.fallen);
        assert_eq!(summary.missed, 1_000);
    }
}
