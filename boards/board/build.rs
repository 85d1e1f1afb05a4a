//! Tells Armv8-M and Armv6-M from other Cortex-M, which Rust's own `cfg` does not; hands the linker the script of aarch64,
//! which no crate has.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(armv6m, armv8m)");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    if target.starts_with("thumbv8m.main") {
        println!("cargo:rustc-cfg=armv8m");
    }
    if target.starts_with("thumbv6m") {
        println!("cargo:rustc-cfg=armv6m");
    }
    println!("cargo:rerun-if-changed=link-aarch64.x");
    if target.starts_with("aarch64-unknown-none") {
        let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
        fs::copy("link-aarch64.x", out.join("link.x")).expect("OUT_DIR is writable");
        println!("cargo:rustc-link-search={}", out.display());
    }
}
