//! The simulated world: the robot, its devices and its clock.
//!
//! Time advances only by what takes time: bytes on the bus, computation, waiting. The plant follows in whole steps of
//! [`STEP_US`], with what the motors are set to at that moment.

use crate::imu::Imu;
use crate::noise::Random;
use crate::plant::{Parameters, ROBOT, STEP_US, State};
use crate::push::{Push, force_at};

/// Counts of the wheel encoder in a turn of the wheel.
pub const COUNTS: f32 = 4096.0;

/// The cost that the simulated processor computes in a microsecond: about that of a Cortex-M4 at 168 MHz, which takes two
/// instructions for a unit.
pub const COST_PER_US: u64 = 80;

/// Nanoseconds of a bit on the I2C bus, at 400 kHz.
const BIT_NS: u64 = 2_500;

/// What the pin that shows the loop's period has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodPin {
    /// Whether it is high: the loop works.
    pub is_high: bool,
    /// Microseconds of its last rise.
    pub rose_at: u64,
    /// Microseconds between its last two rises; 0 before the second.
    pub period: u32,
    /// Microseconds that it was high the last time.
    pub busy: u32,
}

/// The world.
#[derive(Clone, Copy, Debug)]
pub struct World<'p> {
    robot: Parameters,
    state: State,
    imu: Imu,
    random: Random,
    pushes: &'p [Push],
    /// A push that was not foreseen.
    hand: Push,
    /// Microseconds since power-on.
    now: u64,
    /// Microseconds up to which the plant is integrated.
    integrated: u64,
    /// Microseconds of the release; until then the robot is held in its first state.
    released: Option<u64>,
    /// The duty of the motors, from 0 to 1.
    duty: f32,
    forward: bool,
    pin: PeriodPin,
}

impl<'p> World<'p> {
    /// Creates a world in which the robot is held at an angle in rad. The seed determines offsets and noise.
    pub fn new(seed: u64, angle: f32, pushes: &'p [Push]) -> Self {
        let mut random = Random::new(seed);
        Self {
            robot: ROBOT,
            state: State { angle, ..State::default() },
            imu: Imu::new(&mut random),
            random,
            pushes,
            hand: Push::default(),
            now: 0,
            integrated: 0,
            released: None,
            duty: 0.0,
            forward: true,
            pin: PeriodPin::default(),
        }
    }

    /// The state of the robot.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Microseconds since power-on.
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// What the pin has shown.
    pub const fn pin(&self) -> PeriodPin {
        self.pin
    }

    /// Returns the torque of the motors in N m.
    pub fn torque(&self) -> f32 {
        let torque = self.duty * self.robot.max_torque;
        if self.forward { torque } else { -torque }
    }

    /// Returns the force in N that acts on the robot now.
    pub fn force(&self) -> f32 {
        let Some(released) = self.released else { return 0.0 };
        let micros = self.integrated.saturating_sub(released);
        // In the order of a script to which the hand's pushes are added.
        force_at(core::slice::from_ref(&self.hand), micros, force_at(self.pushes, micros, 0.0))
    }

    /// Pushes the robot with a force in N for a number of milliseconds, from the next millisecond on. Returns the push as it
    /// stands in a script; `None` while the last one acts, or before the release.
    pub fn push(&mut self, newtons: f32, ms: u32) -> Option<Push> {
        let since = self.now.saturating_sub(self.released?) / 1000;
        let at_ms = u32::try_from(since).ok()?.checked_add(1)?;
        if at_ms < self.hand.at_ms.saturating_add(self.hand.ms) {
            return None;
        }
        self.hand = Push { at_ms, newtons, ms };
        Some(self.hand)
    }

    /// Lets go of the robot.
    pub const fn release(&mut self) {
        self.released = Some(self.now);
    }

    /// Lets microseconds pass.
    pub fn pass(&mut self, micros: u64) {
        self.now = self.now.saturating_add(micros);
        while self.integrated.saturating_add(STEP_US) <= self.now {
            if self.released.is_some() {
                self.state = self.state.after_step(&self.robot, self.torque(), self.force());
            }
            self.integrated += STEP_US;
            self.imu.advance(self.integrated, &self.robot, &self.state, &mut self.random);
        }
    }

    /// Lets time pass until `micros`; returns false if that time is over already.
    pub fn wait_until(&mut self, micros: u64) -> bool {
        let in_time = self.now <= micros;
        self.pass(micros.saturating_sub(self.now));
        in_time
    }

    /// Lets the time pass that computation of a cost takes.
    pub fn compute(&mut self, cost: u64) {
        self.pass(cost / COST_PER_US);
    }

    /// Lets the time pass that bytes take on the bus: nine bits each.
    pub(crate) fn transfer(&mut self, bytes: u64) {
        self.pass(bytes * 9 * BIT_NS / 1000);
    }

    pub(crate) const fn imu(&mut self) -> &mut Imu {
        &mut self.imu
    }

    /// Returns the encoder's count, which wraps at 2¹⁶: the angle between wheels and body in whole counts.
    pub(crate) fn counts(&self) -> u16 {
        let turned = self.state.position / self.robot.wheel_radius - self.state.angle;
        let counts = libm::floorf(turned / core::f32::consts::TAU * COUNTS);
        (counts as i32) as u16
    }

    pub(crate) const fn set_duty(&mut self, duty: f32) {
        self.duty = duty;
    }

    pub(crate) const fn set_forward(&mut self, forward: bool) {
        self.forward = forward;
    }

    pub(crate) fn set_pin(&mut self, high: bool) {
        let since = u32::try_from(self.now.saturating_sub(self.pin.rose_at)).unwrap_or(u32::MAX);
        match (self.pin.is_high, high) {
            (false, true) => {
                // Nothing has risen before.
                self.pin.period = if self.pin.rose_at == 0 { 0 } else { since };
                self.pin.rose_at = self.now;
            }
            (true, false) => self.pin.busy = since,
            _ => {}
        }
        self.pin.is_high = high;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_robot_is_held_until_it_is_released_and_then_falls() {
        let mut world = World::new(1, 0.1, &[]);
        world.pass(1_000_000);
        assert_eq!((world.state().angle, world.now()), (0.1, 1_000_000));
        world.release();
        world.pass(2_000_000);
        assert!(world.state().fallen);
    }

    #[test]
    fn a_push_begins_at_its_time_from_the_release() {
        let pushes = [Push { at_ms: 10, newtons: 5.0, ms: 10 }];
        let mut world = World::new(1, 0.0, &pushes);
        world.pass(100_000);
        world.release();
        world.pass(10_000);
        assert_eq!((world.state().rate, world.force()), (0.0, 5.0));
        world.pass(10_000);
        assert!(world.state().rate > 0.0 && world.force() == 0.0);
    }

    #[test]
    fn a_push_by_hand_acts_as_the_same_in_a_script_and_none_begins_while_it_acts() {
        let script = [Push { at_ms: 5, newtons: 1.5, ms: 20 }, Push { at_ms: 8, newtons: 0.7, ms: 10 }];
        let pushed = |script: &[Push], hand: bool| {
            let mut world = World::new(1, 0.05, script);
            assert_eq!(world.push(1.0, 1), None, "it is held");
            world.release();
            world.pass(7_900);
            if hand {
                assert_eq!(world.push(0.7, 10), Some(script_of_hand()));
                assert_eq!(world.push(0.7, 10), None);
            }
            world.pass(9_000);
            if hand {
                assert_eq!(world.push(9.0, 10), None, "the first acts until 18 ms");
            }
            world.pass(40_000);
            *world.state()
        };
        const fn script_of_hand() -> Push {
            Push { at_ms: 8, newtons: 0.7, ms: 10 }
        }
        assert_eq!(script[1], script_of_hand());
        assert_eq!(pushed(&script, false), pushed(&script[..1], true));
        assert_ne!(pushed(&script, false), pushed(&script[..1], false));
    }

    #[test]
    fn time_that_is_over_cannot_be_waited_for() {
        let mut world = World::new(1, 0.0, &[]);
        world.compute(COST_PER_US * 300);
        assert_eq!(world.now(), 300);
        assert!(world.wait_until(300) && !world.wait_until(299));
        assert!(world.wait_until(5000));
        assert_eq!(world.now(), 5000);
    }

    #[test]
    fn the_pin_measures_periods_and_work() {
        let mut world = World::new(1, 0.0, &[]);
        world.pass(100);
        for _ in 0..2 {
            world.set_pin(true);
            world.pass(700);
            world.set_pin(false);
            world.pass(4300);
        }
        assert_eq!((world.pin().period, world.pin().busy), (5000, 700));
    }
}
