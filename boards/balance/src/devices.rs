//! The devices of a simulated [`World`], as `embedded-hal` sees them. Each holds a reference to the world, or to what
//! stands for it, as a driver holds a peripheral.

use crate::app::Encoder;
use crate::imu::ADDRESS;
use crate::world::World;
use core::cell::RefCell;
use core::fmt;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{self, OutputPin};
use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource, Operation};
use embedded_hal::pwm::{self, SetDutyCycle};

/// The reason why a simulated device refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// No device of the bus has this address.
    NoDevice {
        /// The address.
        address: u8,
    },
    /// The world is borrowed elsewhere.
    Busy,
    /// The wire to the world is broken.
    Wire,
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice { address } => write!(f, "no simulated device has the I2C address {address:#04x}"),
            Self::Busy => f.write_str("the simulated world is in use: let go of its borrow before a device is used"),
            Self::Wire => f.write_str("the wire to the simulated world is broken"),
        }
    }
}

impl core::error::Error for DeviceError {}

impl i2c::Error for DeviceError {
    fn kind(&self) -> i2c::ErrorKind {
        match self {
            Self::NoDevice { .. } => i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address),
            Self::Busy | Self::Wire => i2c::ErrorKind::Other,
        }
    }
}

impl digital::Error for DeviceError {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

impl pwm::Error for DeviceError {
    fn kind(&self) -> pwm::ErrorKind {
        pwm::ErrorKind::Other
    }
}

/// What the devices are connected to: a [`World`], or the [far end of a wire](crate::wire::Remote) to one.
pub trait Hardware {
    /// Transfers on the I2C bus, as [`I2c::transaction`] does.
    ///
    /// # Errors
    /// [`DeviceError`] if no device has the address, or the hardware does not answer.
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), DeviceError>;

    /// Sets the duty of the motors, in steps of [`MAX_DUTY`].
    ///
    /// # Errors
    /// [`DeviceError`] if the hardware does not answer.
    fn duty(&mut self, steps: u16) -> Result<(), DeviceError>;

    /// Sets the motors' direction.
    ///
    /// # Errors
    /// As for [`duty`](Self::duty).
    fn direction(&mut self, forward: bool) -> Result<(), DeviceError>;

    /// Sets the pin that is high while the loop works.
    ///
    /// # Errors
    /// As for [`duty`](Self::duty).
    fn show(&mut self, high: bool) -> Result<(), DeviceError>;

    /// Returns the encoder's count, which wraps at 2¹⁶.
    ///
    /// # Errors
    /// As for [`duty`](Self::duty).
    fn wheel(&mut self) -> Result<u16, DeviceError>;

    /// Lets microseconds pass.
    ///
    /// # Errors
    /// As for [`duty`](Self::duty).
    fn delay(&mut self, micros: u32) -> Result<(), DeviceError>;

    /// Lets the time pass that computation of a cost takes.
    ///
    /// # Errors
    /// As for [`duty`](Self::duty).
    fn computed(&mut self, cost: u64) -> Result<(), DeviceError>;
}

/// Calls a function with the hardware.
pub(crate) fn with<H, T>(
    hardware: &RefCell<H>,
    act: impl FnOnce(&mut H) -> Result<T, DeviceError>,
) -> Result<T, DeviceError> {
    act(&mut *hardware.try_borrow_mut().map_err(|_| DeviceError::Busy)?)
}

/// The I2C bus, with the IMU alone on it.
#[derive(Debug)]
pub struct Bus<'h, H>(&'h RefCell<H>);

/// The PWM of both motors.
#[derive(Debug)]
pub struct Motors<'h, H>(&'h RefCell<H>);

/// The pin that chooses the motors' direction: high is forward.
#[derive(Debug)]
pub struct Direction<'h, H>(&'h RefCell<H>);

/// The pin that is high while the loop works.
#[derive(Debug)]
pub struct Pin<'h, H>(&'h RefCell<H>);

/// The wheel encoder.
#[derive(Debug)]
pub struct Wheel<'h, H>(&'h RefCell<H>);

/// A delay, in simulated time.
#[derive(Debug)]
pub struct Delay<'h, H>(&'h RefCell<H>);

/// All devices.
#[derive(Debug)]
pub struct Devices<'h, H> {
    /// The I2C bus.
    pub bus: Bus<'h, H>,
    /// The PWM of both motors.
    pub motors: Motors<'h, H>,
    /// The motors' direction.
    pub direction: Direction<'h, H>,
    /// The pin that shows the loop's period.
    pub pin: Pin<'h, H>,
    /// The wheel encoder.
    pub wheel: Wheel<'h, H>,
    /// A delay.
    pub delay: Delay<'h, H>,
}

impl<'h, H: Hardware> Devices<'h, H> {
    /// Returns those of a world, or of what stands for it.
    pub const fn of(hardware: &'h RefCell<H>) -> Self {
        Self {
            bus: Bus(hardware),
            motors: Motors(hardware),
            direction: Direction(hardware),
            pin: Pin(hardware),
            wheel: Wheel(hardware),
            delay: Delay(hardware),
        }
    }
}

impl Hardware for World<'_> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), DeviceError> {
        if address != ADDRESS {
            self.transfer(1);
            return Err(DeviceError::NoDevice { address });
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    self.transfer(1 + bytes.len() as u64);
                    self.imu().receive(bytes);
                }
                Operation::Read(bytes) => {
                    self.transfer(1 + bytes.len() as u64);
                    self.imu().send(bytes);
                }
            }
        }
        Ok(())
    }

    fn duty(&mut self, steps: u16) -> Result<(), DeviceError> {
        self.set_duty(f32::from(steps.min(MAX_DUTY)) / f32::from(MAX_DUTY));
        Ok(())
    }

    fn direction(&mut self, forward: bool) -> Result<(), DeviceError> {
        self.set_forward(forward);
        Ok(())
    }

    fn show(&mut self, high: bool) -> Result<(), DeviceError> {
        self.set_pin(high);
        Ok(())
    }

    fn wheel(&mut self) -> Result<u16, DeviceError> {
        Ok(self.counts())
    }

    fn delay(&mut self, micros: u32) -> Result<(), DeviceError> {
        self.pass(u64::from(micros));
        Ok(())
    }

    fn computed(&mut self, cost: u64) -> Result<(), DeviceError> {
        self.compute(cost);
        Ok(())
    }
}

impl<H> i2c::ErrorType for Bus<'_, H> {
    type Error = DeviceError;
}

impl<H: Hardware> I2c for Bus<'_, H> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), DeviceError> {
        with(self.0, |hardware| hardware.transaction(address, operations))
    }
}

impl<H> pwm::ErrorType for Motors<'_, H> {
    type Error = DeviceError;
}

/// The steps of the PWM: a timer at 64 MHz makes 20 kHz of them.
pub const MAX_DUTY: u16 = 3_200;

impl<H: Hardware> SetDutyCycle for Motors<'_, H> {
    fn max_duty_cycle(&self) -> u16 {
        MAX_DUTY
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), DeviceError> {
        with(self.0, |hardware| hardware.duty(duty))
    }
}

impl<H> digital::ErrorType for Direction<'_, H> {
    type Error = DeviceError;
}

impl<H: Hardware> OutputPin for Direction<'_, H> {
    fn set_low(&mut self) -> Result<(), DeviceError> {
        with(self.0, |hardware| hardware.direction(false))
    }

    fn set_high(&mut self) -> Result<(), DeviceError> {
        with(self.0, |hardware| hardware.direction(true))
    }
}

impl<H> digital::ErrorType for Pin<'_, H> {
    type Error = DeviceError;
}

impl<H: Hardware> OutputPin for Pin<'_, H> {
    fn set_low(&mut self) -> Result<(), DeviceError> {
        with(self.0, |hardware| hardware.show(false))
    }

    fn set_high(&mut self) -> Result<(), DeviceError> {
        with(self.0, |hardware| hardware.show(true))
    }
}

impl<H: Hardware> Encoder for Wheel<'_, H> {
    fn counts(&mut self) -> u16 {
        // Without the hardware there is no wheel that turns.
        with(self.0, Hardware::wheel).unwrap_or(0)
    }
}

impl<H: Hardware> DelayNs for Delay<'_, H> {
    fn delay_ns(&mut self, ns: u32) {
        // A delay cannot fail. One during a borrow would be an error of the simulation, in which no time passes; hardware
        // that does not answer refuses all that follows.
        let _ = with(self.0, |hardware| hardware.delay(ns.div_ceil(1000)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_read_back_over_the_bus_and_takes_its_time() {
        let world = RefCell::new(World::new(1, 0.0, &[]));
        let mut bus = Devices::of(&world).bus;
        bus.write(ADDRESS, &[0x41, 0x05]).unwrap();
        let mut read = [0; 2];
        bus.write_read(ADDRESS, &[0x40], &mut read).unwrap();
        assert_eq!(read, [0x28, 0x05]);
        // Three, two and three bytes of nine bits.
        assert_eq!(world.borrow().now(), 67 + 45 + 67);
        assert_eq!(bus.read(0x10, &mut read), Err(DeviceError::NoDevice { address: 0x10 }));
    }

    #[test]
    fn the_motors_turn_by_duty_and_direction() {
        let world = RefCell::new(World::new(1, 0.0, &[]));
        let mut devices = Devices::of(&world);
        devices.motors.set_duty_cycle(MAX_DUTY / 2).unwrap();
        assert_eq!(world.borrow().torque(), 0.2);
        devices.direction.set_low().unwrap();
        assert_eq!(world.borrow().torque(), -0.2);
        let _held = world.borrow();
        assert_eq!(devices.motors.set_duty_cycle(0), Err(DeviceError::Busy));
    }
}
