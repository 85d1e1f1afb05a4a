//! The physics of the robot: an inverted pendulum on wheels, in the vertical plane of its motion.
//!
//! Two generalized coordinates: the position `x` of the axle and the angle θ of the body from upright, positive when it
//! leans forward. With the body's mass m, its inertia I about its center of mass, which is l above the axle; the mass of
//! the wheels and their inertia, together M = m + m_w + I_w / r² at the radius r; and the torque τ between body and
//! wheels, Lagrange's equations are
//!
//! ```text
//! M x″ + m l cos θ θ″ = τ / r + m l sin θ θ′² + F
//! m l cos θ x″ + (I + m l²) θ″ = m g l sin θ − τ + F h cos θ
//! ```
//!
//! for a push with the horizontal force F at the height h of the body. They are those of F. Grasser, A. D'Arrigo, S. Colombi,
//! A. Rufer, "JOE: A mobile, inverted pendulum", IEEE Transactions on Industrial Electronics 49(1), 2002, for motion in
//! a straight line. τ is the motors' torque less viscous friction, which is in proportion to the speed between wheel and
//! body. The step is that of the semi-implicit Euler method: velocities first, then positions by the new velocities.

/// The length of an integration step in microseconds.
pub const STEP_US: u64 = 500;

/// The length of an integration step in seconds.
const STEP: f32 = 0.0005;

/// The angle in radians at which the robot has fallen: its body touches the ground.
pub const FALLEN: f32 = 1.0;

/// The dimensions of a robot, in SI units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Mass of the body in kg.
    pub body_mass: f32,
    /// Inertia of the body about its center of mass in kg m².
    pub body_inertia: f32,
    /// Height of the center of mass above the axle in m.
    pub height: f32,
    /// Mass of both wheels in kg.
    pub wheel_mass: f32,
    /// Inertia of both wheels about the axle in kg m².
    pub wheel_inertia: f32,
    /// Radius of a wheel in m.
    pub wheel_radius: f32,
    /// Height above the axle at which pushes act in m.
    pub push_height: f32,
    /// Height of the IMU above the axle in m.
    pub imu_height: f32,
    /// Viscous friction of both motors and their gears in N m s.
    pub friction: f32,
    /// Torque of both motors at full duty in N m.
    pub max_torque: f32,
    /// Acceleration of gravity in m/s².
    pub gravity: f32,
}

/// The robot of this crate: about a kilogram, and 25 cm high.
pub const ROBOT: Parameters = Parameters {
    body_mass: 0.9,
    body_inertia: 0.004,
    height: 0.1,
    wheel_mass: 0.1,
    wheel_inertia: 0.000_08,
    wheel_radius: 0.04,
    push_height: 0.2,
    imu_height: 0.05,
    friction: 0.001,
    max_torque: 0.4,
    gravity: 9.81,
};

impl Parameters {
    /// The mass that a force at the axle accelerates: body, wheels, and the wheels' inertia at their radius.
    pub const fn moved_mass(&self) -> f32 {
        self.body_mass + self.wheel_mass + self.wheel_inertia / (self.wheel_radius * self.wheel_radius)
    }
}

/// The state of the robot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// Position of the axle in m.
    pub position: f32,
    /// Speed of the axle in m/s.
    pub speed: f32,
    /// Angle of the body from upright in rad, positive forward.
    pub angle: f32,
    /// Rate of the angle in rad/s.
    pub rate: f32,
    /// Acceleration of the axle in the last step in m/s².
    pub acceleration: f32,
    /// Acceleration of the angle in the last step in rad/s².
    pub angular_acceleration: f32,
    /// Whether the body has touched the ground; from then on the robot lies still.
    pub fallen: bool,
}

impl State {
    /// Returns the accelerations of the axle in m/s² and of the angle in rad/s², for the motors' torque in N m and a
    /// push in N.
    pub fn accelerations(&self, robot: &Parameters, torque: f32, force: f32) -> [f32; 2] {
        let (sin, cos) = (libm::sinf(self.angle), libm::cosf(self.angle));
        let moment = robot.body_mass * robot.height;
        let wheel_rate = self.speed / robot.wheel_radius - self.rate;
        let torque = torque - robot.friction * wheel_rate;
        let (m11, m12) = (robot.moved_mass(), moment * cos);
        let m22 = robot.body_inertia + moment * robot.height;
        let along = torque / robot.wheel_radius + moment * sin * self.rate * self.rate + force;
        let about = moment * robot.gravity * sin - torque + force * robot.push_height * cos;
        let determinant = m11 * m22 - m12 * m12;
        [(m22 * along - m12 * about) / determinant, (m11 * about - m12 * along) / determinant]
    }

    /// Returns the state after a step of [`STEP_US`] with the motors' torque in N m and a push in N.
    pub fn after_step(self, robot: &Parameters, torque: f32, force: f32) -> Self {
        if self.fallen {
            return self;
        }
        let [acceleration, angular_acceleration] = self.accelerations(robot, torque, force);
        let (speed, rate) = (self.speed + STEP * acceleration, self.rate + STEP * angular_acceleration);
        let (position, angle) = (self.position + STEP * speed, self.angle + STEP * rate);
        if angle.abs() < FALLEN {
            return Self { position, speed, angle, rate, acceleration, angular_acceleration, fallen: false };
        }
        Self { position, angle, fallen: true, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinetic and potential energy in J.
    fn energy(robot: &Parameters, state: &State) -> f32 {
        let moment = robot.body_mass * robot.height;
        let inertia = robot.body_inertia + moment * robot.height;
        let cos = libm::cosf(state.angle);
        let moving = 0.5 * robot.moved_mass() * state.speed * state.speed;
        let turning = 0.5 * inertia * state.rate * state.rate + moment * cos * state.speed * state.rate;
        moving + turning + moment * robot.gravity * cos
    }

    #[test]
    fn without_friction_and_torque_energy_is_conserved_until_the_fall() {
        let robot = Parameters { friction: 0.0, ..ROBOT };
        let mut state = State { angle: 0.05, ..State::default() };
        let at_start = energy(&robot, &state);
        let mut steps = 0;
        while !state.fallen {
            assert!((energy(&robot, &state) - at_start).abs() < 0.002, "{state:?}");
            state = state.after_step(&robot, 0.0, 0.0);
            steps += 1;
            assert!(steps < 20_000, "an inverted pendulum falls");
        }
        assert_eq!(state.after_step(&robot, 1.0, 1.0), state);
    }

    #[test]
    fn upright_is_an_equilibrium_and_torque_drives_forward_and_leans_back() {
        let state = State::default();
        assert_eq!(state.after_step(&ROBOT, 0.0, 0.0), state);
        let [along, about] = state.accelerations(&ROBOT, 0.1, 0.0);
        assert!(along > 0.0 && about < 0.0);
        let [along, about] = state.accelerations(&ROBOT, 0.0, 1.0);
        assert!(about > 0.0, "a push at the top tips it: {along} {about}");
    }

    #[test]
    fn a_torque_on_a_robot_without_gravity_keeps_the_momentum_that_friction_at_the_ground_gives() {
        // The only external force along the ground is that of the wheels: τ / r less what turns them.
        let robot = Parameters { friction: 0.0, gravity: 0.0, ..ROBOT };
        let [along, about] = State::default().accelerations(&robot, 0.1, 0.0);
        let body = robot.body_mass * (along + robot.height * about);
        let wheels = robot.wheel_mass * along + robot.wheel_inertia / (robot.wheel_radius * robot.wheel_radius) * along;
        assert!((body + wheels - 0.1 / robot.wheel_radius).abs() < 1e-4);
    }
}
