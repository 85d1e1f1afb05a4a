//! The devices of a simulated [`World`], as `embedded-hal` sees them. Each holds a reference to the world, as a driver
//! holds a peripheral.

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
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice { address } => write!(f, "no simulated device has the I2C address {address:#04x}"),
            Self::Busy => f.write_str("the simulated world is in use: let go of its borrow before a device is used"),
        }
    }
}

impl core::error::Error for DeviceError {}

impl i2c::Error for DeviceError {
    fn kind(&self) -> i2c::ErrorKind {
        match self {
            Self::NoDevice { .. } => i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address),
            Self::Busy => i2c::ErrorKind::Other,
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

/// Calls a function with the world.
fn with<'p, T>(world: &RefCell<World<'p>>, act: impl FnOnce(&mut World<'p>) -> T) -> Result<T, DeviceError> {
    match world.try_borrow_mut() {
        Ok(mut world) => Ok(act(&mut world)),
        Err(_) => Err(DeviceError::Busy),
    }
}

/// The I2C bus, with the IMU alone on it.
#[derive(Debug)]
pub struct Bus<'w, 'p> {
    world: &'w RefCell<World<'p>>,
    /// The register that is written or read next.
    register: u8,
}

/// The PWM of both motors.
#[derive(Debug)]
pub struct Motors<'w, 'p>(&'w RefCell<World<'p>>);

/// The pin that chooses the motors' direction: high is forward.
#[derive(Debug)]
pub struct Direction<'w, 'p>(&'w RefCell<World<'p>>);

/// The pin that is high while the loop works.
#[derive(Debug)]
pub struct Pin<'w, 'p>(&'w RefCell<World<'p>>);

/// The wheel encoder.
#[derive(Debug)]
pub struct Wheel<'w, 'p>(&'w RefCell<World<'p>>);

/// A delay, in simulated time.
#[derive(Debug)]
pub struct Delay<'w, 'p>(&'w RefCell<World<'p>>);

/// All devices of a world.
#[derive(Debug)]
pub struct Devices<'w, 'p> {
    /// The I2C bus.
    pub bus: Bus<'w, 'p>,
    /// The PWM of both motors.
    pub motors: Motors<'w, 'p>,
    /// The motors' direction.
    pub direction: Direction<'w, 'p>,
    /// The pin that shows the loop's period.
    pub pin: Pin<'w, 'p>,
    /// The wheel encoder.
    pub wheel: Wheel<'w, 'p>,
    /// A delay.
    pub delay: Delay<'w, 'p>,
}

impl<'w, 'p> Devices<'w, 'p> {
    /// Returns those of a world.
    pub const fn of(world: &'w RefCell<World<'p>>) -> Self {
        Self {
            bus: Bus { world, register: 0 },
            motors: Motors(world),
            direction: Direction(world),
            pin: Pin(world),
            wheel: Wheel(world),
            delay: Delay(world),
        }
    }
}

impl i2c::ErrorType for Bus<'_, '_> {
    type Error = DeviceError;
}

impl I2c for Bus<'_, '_> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), DeviceError> {
        let register = &mut self.register;
        with(self.world, |world| {
            if address != ADDRESS {
                world.transfer(1);
                return Err(DeviceError::NoDevice { address });
            }
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => {
                        world.transfer(1 + bytes.len() as u64);
                        let Some((first, values)) = bytes.split_first() else { continue };
                        *register = *first;
                        for value in values {
                            world.imu().write(*register, *value);
                            *register = register.wrapping_add(1);
                        }
                    }
                    Operation::Read(bytes) => {
                        world.transfer(1 + bytes.len() as u64);
                        for byte in bytes.iter_mut() {
                            *byte = world.imu().read(*register);
                            *register = register.wrapping_add(1);
                        }
                    }
                }
            }
            Ok(())
        })?
    }
}

impl pwm::ErrorType for Motors<'_, '_> {
    type Error = DeviceError;
}

/// The steps of the PWM: a timer at 64 MHz makes 20 kHz of them.
const MAX_DUTY: u16 = 3_200;

impl SetDutyCycle for Motors<'_, '_> {
    fn max_duty_cycle(&self) -> u16 {
        MAX_DUTY
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), DeviceError> {
        let duty = f32::from(duty.min(MAX_DUTY)) / f32::from(MAX_DUTY);
        with(self.0, |world| world.set_duty(duty))
    }
}

impl digital::ErrorType for Direction<'_, '_> {
    type Error = DeviceError;
}

impl OutputPin for Direction<'_, '_> {
    fn set_low(&mut self) -> Result<(), DeviceError> {
        with(self.0, |world| world.set_forward(false))
    }

    fn set_high(&mut self) -> Result<(), DeviceError> {
        with(self.0, |world| world.set_forward(true))
    }
}

impl digital::ErrorType for Pin<'_, '_> {
    type Error = DeviceError;
}

impl OutputPin for Pin<'_, '_> {
    fn set_low(&mut self) -> Result<(), DeviceError> {
        with(self.0, |world| world.set_pin(false))
    }

    fn set_high(&mut self) -> Result<(), DeviceError> {
        with(self.0, |world| world.set_pin(true))
    }
}

impl Encoder for Wheel<'_, '_> {
    fn counts(&mut self) -> u16 {
        // Without the world there is no wheel that turns.
        with(self.0, |world| world.counts()).unwrap_or(0)
    }
}

impl DelayNs for Delay<'_, '_> {
    fn delay_ns(&mut self, ns: u32) {
        // A delay cannot fail; one during a borrow would be an error of the simulation, in which no time passes.
        let _ = with(self.0, |world| world.pass(u64::from(ns).div_ceil(1000)));
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
