//! A linear-quadratic regulator, which the policy network imitates; its gains are computed from the plant.
//!
//! The plant is linearized at rest, its step of one control period is the exponential of its matrix, and the discrete
//! algebraic Riccati equation is solved by iteration (R. E. Kalman, "Contributions to the theory of optimal control",
//! 1960; G. F. Franklin, J. D. Powell, M. L. Workman, "Digital Control of Dynamic Systems", chapter 9).

use crate::estimate::{Estimate, PERIOD_US};
use crate::plant::Parameters;
use crate::policy::Policy;

/// Angle, rate of the angle, speed.
const STATES: usize = 3;

type Matrix = [[f64; STATES]; STATES];
type Vector = [f64; STATES];

/// Cost of a squared rad, rad/s and m/s, relative to [`TORQUE_COST`].
const STATE_COST: Vector = [20.0, 0.3, 10.0];
/// Cost of a squared N m.
const TORQUE_COST: f64 = 30.0;

/// The number of iterations, far beyond where the gains change no more.
const ITERATIONS: usize = 4_000;

/// The regulator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lqr {
    /// Torque in N m for a rad, a rad/s and a m/s.
    pub gains: [f32; STATES],
    /// The maximum torque in N m.
    pub max_torque: f32,
}

impl Lqr {
    /// Computes the gains for a robot.
    pub fn of(robot: &Parameters) -> Self {
        let (a, b) = discrete(&linear(robot));
        let gains = gains(&a, &b, &riccati(&a, &b)).map(|gain| gain as f32);
        Self { gains, max_torque: robot.max_torque }
    }

    /// Returns the torque in N m.
    pub const fn decide(&self, estimate: &Estimate) -> f32 {
        let [angle, rate, speed] = self.gains;
        let torque = angle * estimate.angle + rate * estimate.rate + speed * estimate.speed;
        torque.clamp(-self.max_torque, self.max_torque)
    }
}

impl Policy for Lqr {
    fn torque(&mut self, estimate: &Estimate) -> f32 {
        self.decide(estimate)
    }

    fn cost(&self) -> u64 {
        STATES as u64
    }
}

/// The derivative of the state at rest: by the state, and by the torque.
fn linear(robot: &Parameters) -> (Matrix, Vector) {
    let [mass, inertia, height, radius, friction, gravity] =
        [robot.body_mass, robot.body_inertia, robot.height, robot.wheel_radius, robot.friction, robot.gravity]
            .map(f64::from);
    let moment = mass * height;
    let (m11, m12, m22) = (f64::from(robot.moved_mass()), moment, inertia + moment * height);
    let determinant = m11 * m22 - m12 * m12;
    // Of the torque τ: the forces τ / r along the ground, -τ about the axle.
    let along = (m22 / radius + m12) / determinant;
    let about = -(m11 + m12 / radius) / determinant;
    // Of the angle: m g l about the axle.
    let (tip_along, tip_about) = (-m12 * moment * gravity / determinant, m11 * moment * gravity / determinant);
    // Friction is a torque of -c (v / r - rate).
    let (of_rate, of_speed) = (friction, -friction / radius);
    (
        [
            [0.0, 1.0, 0.0],
            [tip_about, about * of_rate, about * of_speed],
            [tip_along, along * of_rate, along * of_speed],
        ],
        [0.0, about, along],
    )
}

/// The step of a control period: the exponential series of the matrix, and its integral times `b`.
fn discrete((a, b): &(Matrix, Vector)) -> (Matrix, Vector) {
    let period = PERIOD_US as f64 / 1e6;
    let identity: Matrix =
        core::array::from_fn(|row| core::array::from_fn(|column| f64::from(u8::from(row == column))));
    let (mut power, mut integral) = (identity, [0.0; STATES]);
    let mut exponential: Matrix = [[0.0; STATES]; STATES];
    let mut factor = 1.0;
    for term in 1..=12_u8 {
        exponential = plus(&exponential, &scaled(&power, factor));
        factor *= period / f64::from(term);
        let step = applied(&power, b);
        for (sum, value) in integral.iter_mut().zip(step) {
            *sum += value * factor;
        }
        power = times(&power, a);
    }
    (exponential, integral)
}

/// Iterates the Riccati equation from the cost of the state: returns the matrix of the cost that is still to come.
fn riccati(a: &Matrix, b: &Vector) -> Matrix {
    (0..ITERATIONS).fold(state_cost(), |p, _| {
        let next = step(a, b, &p);
        // Rounding must not accumulate apart from symmetry, where it would grow.
        scaled(&plus(&next, &transposed(&next)), 0.5)
    })
}

/// One iteration: Q + Aᵀ P A - Aᵀ P b bᵀ P A / (R + bᵀ P b).
fn step(a: &Matrix, b: &Vector, p: &Matrix) -> Matrix {
    let at = transposed(a);
    let pb = applied(p, b);
    let weight = TORQUE_COST + dot(b, &pb);
    // bᵀ P A, as P is symmetric.
    let bpa = applied(&at, &pb);
    let gain: Matrix = bpa.map(|row| bpa.map(|column| -row * column / weight));
    plus(&plus(&state_cost(), &times(&at, &times(p, a))), &gain)
}

/// The gains that the matrix of the iteration gives: the torque is their product with the state.
fn gains(a: &Matrix, b: &Vector, p: &Matrix) -> Vector {
    let pb = applied(p, b);
    let weight = TORQUE_COST + dot(b, &pb);
    applied(&transposed(a), &pb).map(|value| -value / weight)
}

fn state_cost() -> Matrix {
    core::array::from_fn(|row| core::array::from_fn(|column| if row == column { STATE_COST[row] } else { 0.0 }))
}

fn times(a: &Matrix, b: &Matrix) -> Matrix {
    let b = transposed(b);
    a.map(|row| b.map(|column| dot(&row, &column)))
}

fn transposed(a: &Matrix) -> Matrix {
    core::array::from_fn(|row| a.map(|of| of[row]))
}

fn plus(a: &Matrix, b: &Matrix) -> Matrix {
    core::array::from_fn(|row| core::array::from_fn(|column| a[row][column] + b[row][column]))
}

fn scaled(a: &Matrix, factor: f64) -> Matrix {
    a.map(|row| row.map(|value| value * factor))
}

fn applied(a: &Matrix, x: &Vector) -> Vector {
    a.map(|row| dot(&row, x))
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::{ROBOT, State};

    #[test]
    fn the_linear_plant_is_the_derivative_of_the_plant() {
        let (a, b) = linear(&ROBOT);
        let derivative = |state: State, torque: f32, size: f32| {
            let [along, about] = state.accelerations(&ROBOT, torque, 0.0);
            [about / size, along / size].map(f64::from)
        };
        let of_angle = derivative(State { angle: 1e-3, ..State::default() }, 0.0, 1e-3);
        let of_rate = derivative(State { rate: 0.1, ..State::default() }, 0.0, 0.1);
        let of_speed = derivative(State { speed: 0.1, ..State::default() }, 0.0, 0.1);
        let of_torque = derivative(State::default(), 0.1, 0.1);
        for (column, found) in [of_angle, of_rate, of_speed].into_iter().enumerate() {
            for (row, found) in found.into_iter().enumerate() {
                let expected = a[row + 1][column];
                assert!((found - expected).abs() < 1e-3 * (1.0 + expected.abs()), "{row} {column}: {found} {expected}");
            }
        }
        assert!((of_torque[0] - b[1]).abs() < 1e-2 && (of_torque[1] - b[2]).abs() < 1e-2);
    }

    #[test]
    fn the_gains_solve_the_riccati_equation_and_make_the_plant_stable() {
        let (a, b) = discrete(&linear(&ROBOT));
        let gains = gains(&a, &b, &riccati(&a, &b));
        let p = riccati(&a, &b);
        let error = plus(&step(&a, &b, &p), &scaled(&p, -1.0));
        assert!(error.iter().flatten().all(|error| error.abs() < 1e-6 * p[0][0]), "{error:?}");
        let mut state = [0.1, 0.0, 0.0];
        for _ in 0..2_000 {
            let torque = dot(&gains, &state);
            state = applied(&a, &state);
            state.iter_mut().zip(b).for_each(|(state, b)| *state += b * torque);
        }
        assert!(state.iter().all(|value| value.abs() < 1e-4), "{state:?}");
    }

    #[test]
    fn the_robot_leans_into_its_motion_and_the_torque_is_limited() {
        let mut lqr = Lqr::of(&ROBOT);
        assert!(lqr.gains.iter().all(|gain| *gain > 0.0), "{:?}", lqr.gains);
        assert_eq!(lqr.torque(&Estimate { angle: 1.0, ..Estimate::default() }), ROBOT.max_torque);
        assert_eq!(lqr.torque(&Estimate { angle: -1.0, ..Estimate::default() }), -ROBOT.max_torque);
    }
}
