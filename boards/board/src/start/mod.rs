//! The start-up code of the cores for which no published crate has a suitable one.

mod aarch64;
