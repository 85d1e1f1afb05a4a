//! A balancing robot on two wheels: its physics, its simulated devices, and the app that balances it.
//!
//! The [`app`] is written once over `embedded-hal`: it reads an IMU over I2C and a wheel encoder, estimates the angle,
//! asks a [policy] for the motors' torque, and runs a second network in slices beside it ([`gesture`]). The same
//! code runs against hardware and against the [simulated devices](devices) of a [`world`], which integrates the
//! [`plant`] in fixed steps of simulated time, beside the app or at the other end of a [wire].
//!
//! Nothing depends on the machine: all arithmetic is IEEE 754 `f32` (or `f64` in [`lqr`]) without fused multiply-add,
//! other functions are those of `libm`, and all noise comes from a seed. That is so that a run
//! can have the same [digest](digest::Digest) on a host and on boards that run the whole loop themselves, by [`run`]: `cargo
//! xtask simulate balance --board microbit` compares them.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod app;
pub mod devices;
pub mod digest;
pub mod estimate;
pub mod gesture;
pub mod imu;
pub mod lqr;
pub mod noise;
pub mod plant;
pub mod policy;
pub mod push;
pub mod run;
pub mod scenario;
pub mod wire;
pub mod world;
