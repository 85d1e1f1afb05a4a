//! Tells the kernels which instruction set they may use, by `cfg`s of their own: rustc shows few extensions to `cfg`.

#[path = "build/instruction_set.rs"]
mod instruction_set;

use instruction_set::{Flags, InstructionSet};
use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build/instruction_set.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo:rustc-check-cfg=cfg(arm_dsp, arm_mve, riscv_v)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = Flags::of(&env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default());
    match InstructionSet::of(&target, &flags) {
        Ok(InstructionSet { arm_dsp, arm_mve, riscv_v }) => {
            for (name, there) in [("arm_dsp", arm_dsp), ("arm_mve", arm_mve), ("riscv_v", riscv_v)] {
                if there {
                    println!("cargo:rustc-cfg={name}");
                }
            }
        }
        Err(refusal) => println!("cargo::error={refusal}"),
    }
}
