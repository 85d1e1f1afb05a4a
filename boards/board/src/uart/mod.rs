//! Serial ports, for boards with a serial console.

#[cfg(target_arch = "arm")]
pub mod cmsdk;
