//! Sets `cfg`s for the instruction sets that the kernels may use, because rustc exposes few extensions as `cfg`.

#[path = "build/instruction_set.rs"]
mod instruction_set;

use instruction_set::{Flags, InstructionSet};
use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build/instruction_set.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!(
        "cargo:rustc-check-cfg=cfg(arm_dsp, arm_mve, arm_neon, arm_v6m, arm_v7m, arm_v8m, arm_vfp, byte_maxima, riscv_m, riscv_v, soft_f32, x86_64_vectors)"
    );
    let target = env::var("TARGET").unwrap_or_default();
    let flags = Flags::of(&env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default());
    // Cargo reports the target feature `neon`; among aarch64 targets, only those without floating point lack it.
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let has = |feature| features.split(',').any(|name| name == feature);
    let arm_neon = target.starts_with("aarch64") && has("neon");
    // Targets of operating systems have SSE2, and with it the conventions for passing vectors. Miri has no CPUID.
    let x86_64_vectors = target.starts_with("x86_64") && has("sse2") && env::var_os("CARGO_CFG_MIRI").is_none();
    match InstructionSet::of(&target, &flags) {
        Ok(InstructionSet { arm_dsp, arm_mve, arm_vfp, riscv_v, soft_f32 }) => {
            let mainline = ["thumbv7m-", "thumbv8m.main-"].iter().any(|name| target.starts_with(name));
            let baseline = ["thumbv6m-", "thumbv8m.base-"].iter().any(|name| target.starts_with(name));
            let extensions = [
                ("arm_dsp", arm_dsp),
                ("arm_mve", arm_mve),
                ("arm_neon", arm_neon),
                ("arm_v6m", baseline),
                ("arm_v8m", target.starts_with("thumbv8m.main-")),
                ("arm_v7m", mainline && !arm_dsp && !arm_mve),
                ("arm_vfp", arm_vfp),
                // Maxima of several bytes in one instruction.
                ("byte_maxima", arm_dsp || arm_mve || arm_neon || riscv_v || x86_64_vectors),
                ("riscv_m", target.starts_with("riscv") && has("m") && !riscv_v),
                ("riscv_v", riscv_v),
                ("soft_f32", soft_f32),
                ("x86_64_vectors", x86_64_vectors),
            ];
            for (name, there) in extensions {
                if there {
                    println!("cargo:rustc-cfg={name}");
                }
            }
        }
        Err(refusal) => println!("cargo::error={refusal}"),
    }
}
