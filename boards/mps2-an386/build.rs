//! Hands the linker its memory map, and looks for the model and the input that the image embeds.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("memory.x"), include_bytes!("memory.x")).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rerun-if-changed=memory.x");

    println!("cargo:rerun-if-env-changed=TEALIGHT_MODEL");
    if env::var_os("TEALIGHT_MODEL").is_none() {
        println!("cargo::error=TEALIGHT_MODEL must name a compiled model; `cargo xtask run` sets it");
    }
    println!("cargo:rerun-if-env-changed=TEALIGHT_INPUT");
    println!("cargo::rustc-check-cfg=cfg(embedded_input)");
    if env::var_os("TEALIGHT_INPUT").is_some() {
        println!("cargo:rustc-cfg=embedded_input");
    }
}
