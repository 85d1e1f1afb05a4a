//! Tells which instruction set the kernels may use: rustc does not show the DSP extension of Arm's M profile to `cfg`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(arm_dsp)");
    // Every core of the ARMv7E-M architecture (Cortex-M4, M7) has it.
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv7em-")) {
        println!("cargo:rustc-cfg=arm_dsp");
    }
}
