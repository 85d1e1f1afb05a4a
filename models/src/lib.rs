//! models

pub mod array;
pub mod layers;
pub mod progress;
pub mod random;

#[path = "../digits/mod.rs"]
pub mod digits;
