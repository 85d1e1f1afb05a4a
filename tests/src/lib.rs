//! What the conformance tests share: the golden files that the oracle made, and a host session to run models in.
//!
//! `tests/oracle` holds the scripts that made `tests/golden` with TensorFlow Lite Micro's reference kernels.
//!
//! ```
//! // The inputs of whole models are made by rule, the same in Python and here.
//! assert_eq!(tealight_tests::models::raw_bytes("ramp", 3), Some(vec![11, 48, 85]));
//! ```

pub mod digests;
pub mod heavy;
pub mod language;
pub mod models;
pub mod ops;
pub mod tolerance;

use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// The repository's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// SHA-256 of `bytes`, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Pages whose Rust code is compiled and run with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/src/firmware.md")]
mod firmware_page {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/src/compiling.md")]
mod compiling_page {}
