//! The app that balances the robot, over the traits of `embedded-hal`.
//!
//! The IMU is a BMI160, by the driver crate `bmi160`. The encoder is a free-running 16-bit counter, which timers of
//! microcontrollers have as a peripheral and `embedded-hal` has no trait for: [`Encoder`].

use crate::estimate::{Estimate, Filter, PERIOD, Reading, angle_of_gravity};
use crate::gesture::{Classifier, Slice};
use crate::imu::{ADDRESS, register};
use crate::plant::ROBOT;
use crate::policy::Policy;
use bmi160::interface::I2cInterface;
use bmi160::{
    AccelerometerPowerMode, AccelerometerRange, Bmi160, GyroscopePowerMode, GyroscopeRange, SensorSelector, SlaveAddr,
};
use core::fmt;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_hal::i2c::I2c;
use embedded_hal::pwm::SetDutyCycle;
use tealight::Ops;

/// Output data rate of 800 Hz, normal filter (data sheet, registers `ACC_CONF` and `GYR_CONF`).
const RATE_800_HZ: u8 = 0x2B;

/// Readings that the gyroscope's offset is the mean of.
const CALIBRATION: u8 = 64;

/// Radians in a degree.
const RADIANS: f32 = 0.017_453_292;

/// A wheel encoder.
pub trait Encoder {
    /// Returns the count, which wraps at 2¹⁶ and increases when the wheels turn forward relative to the body.
    fn counts(&mut self) -> u16;
}

/// The reason why a period could not be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppError {
    /// The IMU did not answer on the bus.
    Imu,
    /// The chip at the IMU's address is another one.
    OtherChip {
        /// Its identification.
        id: u8,
    },
    /// The motors' PWM or direction could not be set.
    Motors,
    /// The pin that shows the period could not be set.
    Pin,
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imu => f.write_str("the IMU does not answer: check its wires and its address, 0x68"),
            Self::OtherChip { id } => write!(f, "the chip at address 0x68 has the identification {id:#04x}, no BMI160"),
            Self::Motors => f.write_str("the motors cannot be set: check their PWM and direction pin"),
            Self::Pin => f.write_str("the pin that shows the period cannot be set"),
        }
    }
}

impl core::error::Error for AppError {}

/// What the app is connected to.
#[derive(Debug)]
pub struct Parts<I, E, M, D, P> {
    /// The bus of the IMU.
    pub bus: I,
    /// The encoder of the wheels.
    pub encoder: E,
    /// The PWM of both motors.
    pub motors: M,
    /// The pin that chooses the motors' direction: high is forward.
    pub direction: D,
    /// The pin that is high while the loop works.
    pub pin: P,
}

/// The app.
#[derive(Debug)]
pub struct App<I, E, M, D, P> {
    imu: Bmi160<I2cInterface<I>>,
    encoder: E,
    motors: M,
    direction: D,
    pin: P,
    filter: Filter,
    /// The gyroscope's offsets in rad/s.
    offsets: [f32; 3],
    counts: u16,
}

/// What a period has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Period {
    /// The estimate of the robot's state.
    pub estimate: Estimate,
    /// The torque that was set in N m.
    pub torque: f32,
    /// The slice of the second network.
    pub slice: Slice,
}

impl<I: I2c, E: Encoder, M: SetDutyCycle, D: OutputPin, P: OutputPin> App<I, E, M, D, P> {
    /// Starts the IMU and measures the gyroscope's offset, while the robot is held still at a small angle.
    ///
    /// # Errors
    /// [`AppError`] if a device does not answer.
    pub fn start(parts: Parts<I, E, M, D, P>, delay: &mut impl DelayNs) -> Result<Self, AppError> {
        let Parts { mut bus, mut encoder, motors, direction, pin } = parts;
        // The driver has no function for the output data rate.
        for conf in [register::ACC_CONF, register::GYR_CONF] {
            bus.write(ADDRESS, &[conf, RATE_800_HZ]).map_err(|_| AppError::Imu)?;
        }
        let imu = started(bus, delay)?;
        let counts = encoder.counts();
        let filter = Filter::new(0.0);
        let mut app = Self { imu, encoder, motors, direction, pin, filter, offsets: [0.0; 3], counts };
        app.set_torque(0.0)?;
        app.calibrate(delay)?;
        Ok(app)
    }

    /// Takes the mean of readings at rest: the gyroscope's offset, and the angle at which the robot is held.
    fn calibrate(&mut self, delay: &mut impl DelayNs) -> Result<(), AppError> {
        let (mut offsets, mut angle) = ([0.0; 3], 0.0);
        let share = 1.0 / f32::from(CALIBRATION);
        for _ in 0..CALIBRATION {
            delay.delay_us((PERIOD * 1e6) as u32);
            let reading = self.reading()?;
            offsets.iter_mut().zip(reading.rotation).for_each(|(sum, value)| *sum += share * value);
            angle += share * angle_of_gravity(reading.acceleration);
        }
        self.offsets = offsets;
        self.filter = Filter::new(angle);
        Ok(())
    }

    /// Runs a control period: reads the sensors, decides and sets the torque, and then runs a slice of the second
    /// network. Calls `computed` with the cost of each computation, which only a simulated clock needs.
    ///
    /// # Errors
    /// [`AppError`] if a device does not answer.
    pub fn period<O: Ops>(
        &mut self,
        policy: &mut impl Policy,
        second: Option<&mut Classifier<'_, O>>,
        mut computed: impl FnMut(u64),
    ) -> Result<Period, AppError> {
        self.pin.set_high().map_err(|_| AppError::Pin)?;
        let (estimate, reading) = self.sense()?;
        let torque = policy.torque(&estimate);
        computed(policy.cost());
        self.set_torque(torque)?;
        let mut slice = Slice::default();
        if let Some(second) = second {
            second.take(&reading);
            slice = second.poll();
            computed(slice.cost);
        }
        self.pin.set_low().map_err(|_| AppError::Pin)?;
        Ok(Period { estimate, torque, slice })
    }

    /// Reads the sensors and updates the estimate.
    ///
    /// # Errors
    /// [`AppError::Imu`] if the IMU does not answer.
    pub fn sense(&mut self) -> Result<(Estimate, Reading), AppError> {
        let reading = self.reading()?;
        Ok((self.filter.update(&reading), reading))
    }

    /// Sets the motors' torque in N m: direction and duty.
    ///
    /// # Errors
    /// [`AppError::Motors`] if a pin or the PWM refuses.
    pub fn set_torque(&mut self, torque: f32) -> Result<(), AppError> {
        self.direction.set_state((torque >= 0.0).into()).map_err(|_| AppError::Motors)?;
        let share = (torque.abs() / ROBOT.max_torque).min(1.0);
        let duty = share * f32::from(self.motors.max_duty_cycle());
        self.motors.set_duty_cycle(libm::roundf(duty) as u16).map_err(|_| AppError::Motors)
    }

    /// Stops the motors and returns what the app was connected to.
    ///
    /// # Errors
    /// [`AppError::Motors`] if a pin or the PWM refuses.
    pub fn stop(mut self) -> Result<Parts<I, E, M, D, P>, AppError> {
        self.set_torque(0.0)?;
        let Self { imu, encoder, motors, direction, pin, .. } = self;
        Ok(Parts { bus: imu.destroy(), encoder, motors, direction, pin })
    }

    fn reading(&mut self) -> Result<Reading, AppError> {
        let data = self.imu.data_scaled(SensorSelector::new().accel().gyro()).map_err(|_| AppError::Imu)?;
        let (Some(accel), Some(gyro)) = (data.accel, data.gyro) else { return Err(AppError::Imu) };
        let mut rotation = [gyro.x, gyro.y, gyro.z];
        for (value, offset) in rotation.iter_mut().zip(self.offsets) {
            *value = *value * RADIANS - offset;
        }
        let counts = self.encoder.counts();
        let turned = counts.wrapping_sub(self.counts).cast_signed();
        self.counts = counts;
        Ok(Reading { acceleration: [accel.x, accel.y, accel.z], rotation, counts: turned })
    }
}

/// Switches both sensors on, with ranges that a fall does not exceed.
fn started<I: I2c>(bus: I, delay: &mut impl DelayNs) -> Result<Bmi160<I2cInterface<I>>, AppError> {
    let mut imu = Bmi160::new_with_i2c(bus, SlaveAddr::default());
    let id = imu.chip_id().map_err(|_| AppError::Imu)?;
    if id != 0xD1 {
        return Err(AppError::OtherChip { id });
    }
    imu.set_accel_power_mode(AccelerometerPowerMode::Normal).map_err(|_| AppError::Imu)?;
    delay.delay_ms(4);
    imu.set_gyro_power_mode(GyroscopePowerMode::Normal).map_err(|_| AppError::Imu)?;
    // The longest start-up time of the gyroscope (data sheet, section 1.2).
    delay.delay_ms(80);
    imu.set_accel_range(AccelerometerRange::G4).map_err(|_| AppError::Imu)?;
    imu.set_gyro_range(GyroscopeRange::Scale500).map_err(|_| AppError::Imu)?;
    Ok(imu)
}
