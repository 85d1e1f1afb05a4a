//! A simulated BMI160, Bosch's IMU, as its I2C registers show it (data sheet BST-BMI160-DS000, section 2.11).
//!
//! Offsets, noise and delay are assumed values of the order of the data sheet's.
//!
//! It measures in its own period, of the output data rate; what is read is the sample before the last, which stands for
//! the delay of the chip's filters. Samples have an offset that the seed determines, noise, and 16 bits.

use crate::noise::Random;
use crate::plant::{Parameters, State};

/// The address of the chip on the bus, with SDO low.
pub const ADDRESS: u8 = 0x68;

/// Registers of the data sheet's register map.
pub mod register {
    /// The chip's identification.
    pub const CHIP_ID: u8 = 0x00;
    /// The power modes.
    pub const PMU_STATUS: u8 = 0x03;
    /// The first of the gyroscope's six bytes, followed by the accelerometer's.
    pub const GYR_X: u8 = 0x0C;
    /// The accelerometer's output data rate and bandwidth.
    pub const ACC_CONF: u8 = 0x40;
    /// The accelerometer's range.
    pub const ACC_RANGE: u8 = 0x41;
    /// The gyroscope's output data rate and bandwidth.
    pub const GYR_CONF: u8 = 0x42;
    /// The gyroscope's range.
    pub const GYR_RANGE: u8 = 0x43;
    /// Commands.
    pub const CMD: u8 = 0x7E;
}

/// The value of [`register::CHIP_ID`].
const ID: u8 = 0xD1;

/// Noise of the gyroscope in °/s: 0.007 °/s/√Hz over the bandwidth of 280 Hz at 800 samples a second.
const GYRO_NOISE: f32 = 0.12;
/// Maximum offset of the gyroscope in °/s.
const GYRO_OFFSET: f32 = 3.0;
/// Noise of the accelerometer in g: 180 µg/√Hz over the same bandwidth.
const ACCEL_NOISE: f32 = 0.003;
/// Maximum offset of the accelerometer in g, after the chip's offset compensation.
const ACCEL_OFFSET: f32 = 0.01;

/// Degrees in a radian.
const DEGREES: f32 = 57.295_78;

/// The chip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Imu {
    accel_on: bool,
    gyro_on: bool,
    accel_conf: u8,
    accel_range: u8,
    gyro_conf: u8,
    gyro_range: u8,
    /// Offsets in units of the axes: three of the gyroscope, three of the accelerometer.
    offsets: [f32; 6],
    /// The sample that can be read: rotation along x, y, z, then acceleration.
    ready: [i16; 6],
    /// The sample that the next one makes readable.
    pending: [i16; 6],
    /// Microseconds of the next sample.
    next: u64,
    /// The register that is written or read next over the bus.
    register: u8,
}

impl Imu {
    /// Creates the chip as it is after power-on, with offsets drawn from `random`.
    pub fn new(random: &mut Random) -> Self {
        let mut offset = |most: f32| random.between(-most, most);
        let offsets = [GYRO_OFFSET, GYRO_OFFSET, GYRO_OFFSET, ACCEL_OFFSET, ACCEL_OFFSET, ACCEL_OFFSET];
        Self {
            accel_on: false,
            gyro_on: false,
            accel_conf: 0x28,
            accel_range: 0x03,
            gyro_conf: 0x28,
            gyro_range: 0x00,
            offsets: offsets.map(&mut offset),
            ready: [0; 6],
            pending: [0; 6],
            next: 0,
            register: 0,
        }
    }

    /// Takes the bytes of a write on the bus: a register, and the values of it and of those that follow.
    pub fn receive(&mut self, bytes: &[u8]) {
        let Some((first, values)) = bytes.split_first() else { return };
        self.register = *first;
        for value in values {
            self.write(self.register, *value);
            self.register = self.register.wrapping_add(1);
        }
    }

    /// Fills the bytes of a read on the bus, with registers from that of the last write on.
    pub fn send(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.read(self.register);
            self.register = self.register.wrapping_add(1);
        }
    }

    /// Writes a register; one that the simulation does not have is ignored.
    pub const fn write(&mut self, register: u8, value: u8) {
        match register {
            register::ACC_CONF => self.accel_conf = value,
            register::ACC_RANGE => self.accel_range = value,
            register::GYR_CONF => self.gyro_conf = value,
            register::GYR_RANGE => self.gyro_range = value,
            register::CMD => match value {
                0x10 => self.accel_on = false,
                0x11 => self.accel_on = true,
                0x14 => self.gyro_on = false,
                0x15 => self.gyro_on = true,
                _ => {}
            },
            _ => {}
        }
    }

    /// Reads a register; one that the simulation does not have is 0.
    pub fn read(&self, register: u8) -> u8 {
        match register {
            register::CHIP_ID => ID,
            register::PMU_STATUS => (u8::from(self.accel_on) << 4) | (u8::from(self.gyro_on) << 2),
            register::ACC_CONF => self.accel_conf,
            register::ACC_RANGE => self.accel_range,
            register::GYR_CONF => self.gyro_conf,
            register::GYR_RANGE => self.gyro_range,
            register::GYR_X..0x18 => {
                let byte = usize::from(register - register::GYR_X);
                let value = self.ready.get(byte / 2).copied().unwrap_or(0).to_le_bytes();
                value.get(byte % 2).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Samples if it is time to, for the robot's present state.
    pub fn advance(&mut self, micros: u64, robot: &Parameters, state: &State, random: &mut Random) {
        if micros < self.next {
            return;
        }
        self.next += period(self.gyro_conf);
        let [along, up] = specific_force(robot, state);
        let degrees = state.rate * DEGREES;
        let truth = [0.0, degrees, 0.0, along, 0.0, up];
        let (gyro, accel) = (gyro_scale(self.gyro_range), accel_scale(self.accel_range));
        let mut sample = [0; 6];
        for (axis, (value, (truth, offset))) in sample.iter_mut().zip(truth.into_iter().zip(self.offsets)).enumerate() {
            let (is_on, noise, scale) = match axis {
                0..3 => (self.gyro_on, GYRO_NOISE, gyro),
                _ => (self.accel_on, ACCEL_NOISE, accel),
            };
            let measured = truth + offset + noise * random.normal();
            *value = if is_on { libm::roundf(measured * scale) as i16 } else { 0 };
        }
        (self.ready, self.pending) = (self.pending, sample);
    }
}

/// Returns the microseconds between two samples for an output data rate of 100 Hz × 2^(rate - 8).
fn period(conf: u8) -> u64 {
    match conf & 0x0F {
        rate @ 8..=12 => 10_000 >> (rate - 8),
        rate => 10_000 << (8_u8.saturating_sub(rate)),
    }
}

/// Returns the units of the gyroscope in a °/s (data sheet, register `GYR_RANGE`).
fn gyro_scale(range: u8) -> f32 {
    match range & 0x07 {
        0 => 16.4,
        1 => 32.8,
        2 => 65.6,
        3 => 131.2,
        _ => 262.4,
    }
}

/// Returns the units of the accelerometer in a g (data sheet, register `ACC_RANGE`).
fn accel_scale(range: u8) -> f32 {
    match range & 0x0F {
        0x05 => 8192.0,
        0x08 => 4096.0,
        0x0C => 2048.0,
        _ => 16_384.0,
    }
}

/// Returns what an accelerometer on the body measures in g: along the body's forward axis, and along its upward axis.
fn specific_force(robot: &Parameters, state: &State) -> [f32; 2] {
    let (sin, cos) = (libm::sinf(state.angle), libm::cosf(state.angle));
    let (turning, centripetal) = (state.angular_acceleration, state.rate * state.rate);
    let along = state.acceleration + robot.imu_height * (turning * cos - centripetal * sin);
    let up = robot.gravity - robot.imu_height * (turning * sin + centripetal * cos);
    [along * cos - up * sin, along * sin + up * cos].map(|force| force / robot.gravity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::ROBOT;

    fn word(imu: &Imu, register: u8) -> i16 {
        i16::from_le_bytes([imu.read(register), imu.read(register + 1)])
    }

    #[test]
    fn it_measures_once_it_is_switched_on_and_a_sample_later() {
        let mut random = Random::new(7);
        let mut imu = Imu::new(&mut random);
        let state = State { angle: 0.5, rate: 1.0, ..State::default() };
        imu.write(register::GYR_CONF, 0x2B);
        for micros in (0..10_000).step_by(500) {
            imu.advance(micros, &ROBOT, &state, &mut random);
        }
        assert_eq!((word(&imu, 0x0E), word(&imu, 0x12), imu.read(register::PMU_STATUS)), (0, 0, 0));
        imu.write(register::CMD, 0x11);
        imu.write(register::CMD, 0x15);
        assert_eq!(imu.read(register::PMU_STATUS), 0b01_0100);
        imu.advance(10_000, &ROBOT, &state, &mut random);
        assert_eq!(word(&imu, 0x0E), 0, "the sample is not readable yet");
        imu.advance(11_000, &ROBOT, &state, &mut random);
        imu.advance(11_500, &ROBOT, &state, &mut random);
        let degrees = f32::from(word(&imu, 0x0E)) / 16.4;
        assert!((degrees - DEGREES).abs() < GYRO_OFFSET + 4.0 * GYRO_NOISE, "{degrees}");
        // At rest it measures the reaction to gravity, less what the rotation takes from it.
        let [along, up] = [0x12, 0x16].map(|register| f32::from(word(&imu, register)) / 16_384.0);
        assert!((libm::atan2f(-along, up) - 0.5).abs() < 0.05, "{along} {up}");
    }

    #[test]
    fn the_output_data_rate_is_that_of_the_data_sheet() {
        assert_eq!([0x28, 0x29, 0x2B, 0x2C].map(period), [10_000, 5_000, 1_250, 625]);
        assert_eq!(period(0x26), 40_000);
    }
}
