#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod element;
mod normalization;
pub mod picture;
pub mod selftest;
pub mod series;
mod text;

pub use element::Element;
pub use normalization::{MAX_CHANNELS, Normalization, PerChannel};
pub use text::DeclarationError;
