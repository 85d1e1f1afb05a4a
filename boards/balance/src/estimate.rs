//! The estimate of the robot's state from its sensors: a complementary filter.
//!
//! The gyroscope is integrated, which is exact for a while and drifts; the accelerometer's direction of gravity does not
//! drift, but shakes with every acceleration. The angle follows the first quickly and the second slowly (S. Colton, "The
//! Balance Filter", MIT, 2007). The wheels' speed is the encoder's difference, low-pass filtered.

use crate::plant::{Parameters, ROBOT};
use crate::world::COUNTS;

/// The control period in microseconds.
pub const PERIOD_US: u64 = 5_000;

/// The control period in seconds.
pub const PERIOD: f32 = 0.005;

/// The share of the accelerometer's angle in each period: a time constant of one second.
const GRAVITY: f32 = 0.005;

/// The share of a new speed in the filtered one.
const NEW_SPEED: f32 = 0.4;

/// What the policy knows of the robot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Angle of the body in rad, positive forward.
    pub angle: f32,
    /// Rate of the angle in rad/s.
    pub rate: f32,
    /// Speed of the axle in m/s.
    pub speed: f32,
}

/// What the sensors measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Acceleration along x, y, z in g.
    pub acceleration: [f32; 3],
    /// Rotation around x, y, z in rad/s, less the offset.
    pub rotation: [f32; 3],
    /// The encoder's counts since the last reading.
    pub counts: i16,
}

/// The filter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Filter {
    estimate: Estimate,
}

/// Returns the angle in rad that the direction of gravity shows.
pub fn angle_of_gravity(acceleration: [f32; 3]) -> f32 {
    let [along, _, up] = acceleration;
    libm::atan2f(-along, up)
}

impl Filter {
    /// Creates a filter for a robot that is held at an angle in rad.
    pub const fn new(angle: f32) -> Self {
        Self { estimate: Estimate { angle, rate: 0.0, speed: 0.0 } }
    }

    /// Takes the readings of a period of [`PERIOD_US`], and returns the estimate.
    pub fn update(&mut self, reading: &Reading) -> Estimate {
        let Estimate { angle, speed, .. } = self.estimate;
        let [_, rate, _] = reading.rotation;
        let turned = angle + rate * PERIOD;
        let angle = turned + GRAVITY * (angle_of_gravity(reading.acceleration) - turned);
        let measured = speed_of(&ROBOT, reading.counts, rate);
        let speed = speed + NEW_SPEED * (measured - speed);
        self.estimate = Estimate { angle, rate, speed };
        self.estimate
    }
}

/// Returns the speed of the axle in m/s: the encoder counts the wheels' rotation relative to the body.
fn speed_of(robot: &Parameters, counts: i16, rate: f32) -> f32 {
    let relative = f32::from(counts) * (core::f32::consts::TAU / COUNTS) / PERIOD;
    (relative + rate) * robot.wheel_radius
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_angle_follows_the_gyroscope_at_once_and_gravity_in_a_second() {
        let mut filter = Filter::new(0.0);
        let turning = Reading { rotation: [0.0, 2.0, 0.0], acceleration: [0.0, 0.0, 1.0], counts: 0 };
        for _ in 0..20 {
            filter.update(&turning);
        }
        let angle = filter.update(&Reading { acceleration: [0.0, 0.0, 1.0], ..Reading::default() }).angle;
        assert!((angle - 0.2).abs() < 0.02, "{angle}");
        let mut left = 0.0;
        for _ in 0..200 {
            left = filter.update(&Reading { acceleration: [0.0, 0.0, 1.0], ..Reading::default() }).angle;
        }
        // e⁻¹ of it.
        assert!((left / angle - 0.37).abs() < 0.02, "{left}");
    }

    #[test]
    fn a_wheel_that_turns_with_the_body_does_not_move_the_robot() {
        // The body turns by 1 rad/s around a wheel that stands.
        let counts = (-PERIOD / core::f32::consts::TAU * COUNTS) as i16;
        assert!(speed_of(&ROBOT, counts, 1.0).abs() < 0.01);
        assert!((speed_of(&ROBOT, 326, 0.0) - 4.0).abs() < 0.01);
    }
}
