//! Tells the architectures of Cortex-M apart, which Rust's own `cfg` does not.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(armv7m)");
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv7")) {
        println!("cargo:rustc-cfg=armv7m");
    }
}
