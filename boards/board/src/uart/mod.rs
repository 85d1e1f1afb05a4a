//! Serial ports, for boards whose console is one.

#[cfg(target_arch = "arm")]
pub mod cmsdk;
