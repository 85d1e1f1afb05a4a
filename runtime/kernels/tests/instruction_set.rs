//! The build script reads the core's extensions from the compiler's flags, however they are written.

#[path = "../build/instruction_set.rs"]
mod instruction_set;

use instruction_set::{Flags, InstructionSet};

const M33: &str = "thumbv8m.main-none-eabihf";

fn of(target: &str, words: &[&str]) -> Result<InstructionSet, &'static str> {
    InstructionSet::of(target, &Flags::of(&words.join("\x1f")))
}

fn found(target: &str, words: &[&str]) -> InstructionSet {
    of(target, words).expect("the flags are taken")
}

#[test]
fn a_target_without_flags_has_what_all_its_cores_have() {
    let none = InstructionSet::default();
    for target in ["riscv64gc-unknown-none-elf", "riscv32imafc-unknown-none-elf", "x86_64-unknown-linux-gnu"] {
        assert_eq!(found(target, &[]), none, "{target}");
    }
    let soft = InstructionSet { soft_f32: true, ..none };
    for target in
        ["thumbv6m-none-eabi", "thumbv7m-none-eabi", "thumbv8m.main-none-eabi", "riscv32imac-unknown-none-elf"]
    {
        assert_eq!(found(target, &[]), soft, "{target}");
    }
    assert_eq!(found("riscv32imac-unknown-none-elf", &["-Ctarget-feature=+f"]), none);
    assert_eq!(found(M33, &[]), InstructionSet { arm_vfp: true, ..none });
    assert_eq!(found("thumbv7em-none-eabi", &[]), InstructionSet { arm_dsp: true, ..soft });
    assert_eq!(found("thumbv7em-none-eabihf", &[]), InstructionSet { arm_dsp: true, arm_vfp: true, ..none });
}

#[test]
fn a_core_is_found_in_every_spelling_of_the_flag() {
    for words in [
        &["-Ctarget-cpu=cortex-m33"][..],
        &["-C", "target-cpu=cortex-m33"],
        &["--codegen=target-cpu=cortex-m33"],
        &["--codegen", "target-cpu=cortex-m33"],
        &["-Ctarget-cpu=cortex-m3", "-Copt-level=3", "-Ctarget-cpu=cortex-m33"],
        &["-Ctarget-feature=+fp16,+dsp"],
    ] {
        assert!(found(M33, words).arm_dsp, "{words:?}");
    }
    assert!(!found(M33, &["-Ctarget-cpu=cortex-m33", "-Ctarget-feature=-dsp"]).arm_dsp);
    assert!(!found("thumbv7em-none-eabi", &["-Ctarget-feature=-dsp"]).arm_dsp);
}

#[test]
fn mve_with_f32_vectors_is_refused() {
    let core = "-Ctarget-cpu=cortex-m55";
    assert!(of(M33, &[core]).unwrap_err().contains("-mve.fp"));
    assert!(of(M33, &["-Ctarget-feature=+mve.fp"]).is_err());
    let both = InstructionSet { arm_dsp: true, arm_mve: true, arm_vfp: true, riscv_v: false, soft_f32: false };
    assert_eq!(found(M33, &[core, "-Ctarget-feature=-mve.fp"]), both);
    assert!(!found(M33, &[core, "-Ctarget-feature=-mve"]).arm_mve);
}

#[test]
fn vector_extensions_of_risc_v_are_found_by_their_names() {
    for features in ["+v", "+zba,+zve32x", "+zve64x"] {
        let flag = format!("-Ctarget-feature={features}");
        assert!(found("riscv32imac-unknown-none-elf", &[&flag]).riscv_v, "{flag}");
    }
    assert!(!found("riscv32imac-unknown-none-elf", &["-Ctarget-feature=+zba,-v"]).riscv_v);
    assert!(!found(M33, &["-Ctarget-feature=+v"]).riscv_v);
}
