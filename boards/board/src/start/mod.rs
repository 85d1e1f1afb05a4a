//! The start-up code of the cores for which no crate of the field has any that serves.

mod aarch64;
