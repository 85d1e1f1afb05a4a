//! What determines a run, as bytes: what a host gives to firmware that runs the whole loop by itself.

use crate::app::AppError;
use crate::devices::DeviceError;
use crate::estimate::PERIOD_US;
use crate::gesture::Classifier;
use crate::policy::Network;
use crate::push::Push;
use crate::run::{Record, Setup, Summary, run};
use crate::wire::WireError;
use core::fmt;
use tealight::{Ops, Session};

/// The angle in rad at which the robot is released.
pub const ANGLE: f32 = 0.05;

/// What pushes the robot unless someone says otherwise.
pub const TWO_PUSHES: [Push; 2] =
    [Push { at_ms: 2_000, newtons: 6.0, ms: 100 }, Push { at_ms: 5_000, newtons: -9.0, ms: 100 }];

/// The maximum number of pushes.
pub const PUSHES: usize = 8;

/// Bytes of a push.
const PUSH: usize = 12;

/// Bytes of a scenario.
pub const LEN: usize = 24 + PUSHES * PUSH;

/// A run's seed, length, second network and pushes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// The seed of offsets and noise.
    pub seed: u64,
    /// The number of control periods.
    pub periods: u32,
    /// The cost that the second network may have in a period, in units of about a multiply-accumulate.
    pub budget: u64,
    count: u32,
    pushes: [Push; PUSHES],
}

/// The number of control periods in a number of seconds; `None` if they are too many to count.
pub fn periods(seconds: u32) -> Option<u32> {
    u32::try_from(u64::from(seconds) * 1_000_000 / PERIOD_US).ok()
}

/// The reason why a scenario could not be run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScenarioError {
    /// The policy has another input or output than `models/balance`.
    Policy,
    /// The second network has another input or output than `models/gesture`.
    Second,
    /// The app could not go on.
    App(AppError),
    /// A device refused.
    Device(DeviceError),
    /// The wire to the world is broken.
    Wire(WireError),
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("the policy has another input or output than models/balance"),
            Self::Second => f.write_str("the second network has another input or output than models/gesture"),
            Self::App(error) => error.fmt(f),
            Self::Device(error) => error.fmt(f),
            Self::Wire(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ScenarioError {}

/// The networks `balance` and `gesture` as the app takes them; the second has a budget in each period.
///
/// # Errors
/// [`ScenarioError`] if a network is another one.
pub fn networks<'p, 's, O: Ops, S: Ops>(
    policy: Session<'p, O>,
    second: Session<'s, S>,
    budget: u64,
) -> Result<(Network<'p, O>, Classifier<'s, S>), ScenarioError> {
    let policy = Network::new(policy).ok_or(ScenarioError::Policy)?;
    let second = Classifier::new(second, budget).ok_or(ScenarioError::Second)?;
    Ok((policy, second))
}

impl Scenario {
    /// A scenario with these pushes; `None` if there are more than [`PUSHES`].
    pub fn new(seed: u64, periods: u32, budget: u64, pushes: &[Push]) -> Option<Self> {
        let mut all = [Push::default(); PUSHES];
        all.get_mut(..pushes.len())?.iter_mut().zip(pushes).for_each(|(to, from)| *to = *from);
        Some(Self { seed, periods, budget, count: pushes.len() as u32, pushes: all })
    }

    /// The run that it determines.
    pub fn setup(&self) -> Setup<'_> {
        let pushes = self.pushes.get(..self.count as usize).unwrap_or(&self.pushes);
        Setup { seed: self.seed, angle: ANGLE, periods: self.periods, pushes }
    }

    /// Runs it with the networks `balance` and `gesture`, and calls `observe` after each period.
    ///
    /// # Errors
    /// [`ScenarioError`] if a network is another one, or a device refuses.
    pub fn run<O: Ops, S: Ops>(
        &self,
        policy: Session<'_, O>,
        second: Session<'_, S>,
        observe: impl FnMut(&Record),
    ) -> Result<Summary, ScenarioError> {
        let (mut policy, mut second) = networks(policy, second, self.budget)?;
        run(&self.setup(), &mut policy, Some(&mut second), observe).map_err(ScenarioError::App)
    }

    /// It as bytes: seed, budget, periods and the number of pushes, then the pushes; little-endian.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let (head, pushes) = bytes.split_at_mut(24);
        let words = self.seed.to_le_bytes().into_iter().chain(self.budget.to_le_bytes());
        let words = words.chain(self.periods.to_le_bytes()).chain(self.count.to_le_bytes());
        head.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        for (bytes, push) in pushes.chunks_exact_mut(PUSH).zip(&self.pushes) {
            let words = [push.at_ms.to_le_bytes(), push.newtons.to_le_bytes(), push.ms.to_le_bytes()];
            bytes.iter_mut().zip(words.into_iter().flatten()).for_each(|(to, from)| *to = from);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) returned; `None` if it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (seed, rest) = bytes.split_first_chunk()?;
        let (budget, rest) = rest.split_first_chunk()?;
        let (periods, rest) = rest.split_first_chunk()?;
        let (count, mut rest) = rest.split_first_chunk()?;
        let mut pushes = [Push::default(); PUSHES];
        for push in &mut pushes {
            let (at_ms, after) = rest.split_first_chunk()?;
            let (newtons, after) = after.split_first_chunk()?;
            let (ms, after) = after.split_first_chunk()?;
            rest = after;
            *push = Push {
                at_ms: u32::from_le_bytes(*at_ms),
                newtons: f32::from_le_bytes(*newtons),
                ms: u32::from_le_bytes(*ms),
            };
        }
        let count = u32::from_le_bytes(*count);
        (rest.is_empty() && count as usize <= PUSHES).then_some(Self {
            seed: u64::from_le_bytes(*seed),
            periods: u32::from_le_bytes(*periods),
            budget: u64::from_le_bytes(*budget),
            count,
            pushes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_the_same_after_its_way_to_a_board() {
        let pushes = [Push { at_ms: 1, newtons: -2.5, ms: 3 }, Push { at_ms: 4, newtons: 5.0, ms: 6 }];
        let scenario = Scenario::new(u64::MAX - 1, 400, 20_000, &pushes).unwrap();
        let read = Scenario::from_bytes(&scenario.to_bytes()).unwrap();
        assert_eq!(read, scenario);
        assert_eq!(read.setup().pushes, pushes);
    }

    #[test]
    fn other_bytes_and_too_many_pushes_are_refused() {
        let mut bytes = Scenario::new(1, 2, 3, &[]).unwrap().to_bytes();
        assert_eq!(Scenario::from_bytes(&bytes[1..]), None);
        bytes[20] = PUSHES as u8 + 1;
        assert_eq!(Scenario::from_bytes(&bytes), None);
        assert_eq!(Scenario::new(1, 2, 3, &[Push::default(); PUSHES + 1]), None);
    }
}
