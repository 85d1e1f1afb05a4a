//! Tells which instruction set the kernels may use: rustc does not show the extensions of Arm's M profile to `cfg`.
//!
//! What the target does not say by itself stands in the compiler's flags, which name the core or the extension.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo:rustc-check-cfg=cfg(arm_dsp, arm_mve, arm_neon, riscv_v)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = Flags::of(&env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default());
    let (arm, riscv) = (target.starts_with("thumbv"), target.starts_with("riscv"));
    for (name, there) in [
        ("arm_dsp", arm && arm_dsp(&target, &flags)),
        ("arm_mve", arm && arm_mve(&flags)),
        ("arm_neon", target.starts_with("aarch64") && arm_neon()),
        ("riscv_v", riscv && riscv_v(&flags)),
    ] {
        if there {
            println!("cargo:rustc-cfg={name}");
        }
    }
}

/// Whether there is the DSP extension: every core of ARMv7E-M (Cortex-M4, M7) has it, of Armv8-M those that are named.
fn arm_dsp(target: &str, flags: &Flags) -> bool {
    let cores = ["cortex-m4", "cortex-m7", "cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85"];
    flags.feature("dsp").unwrap_or_else(|| target.starts_with("thumbv7em-") || cores.contains(&&*flags.cpu))
}

/// Whether there is the vector extension.
fn arm_mve(flags: &Flags) -> bool {
    flags.feature("mve").unwrap_or_else(|| ["cortex-m52", "cortex-m55", "cortex-m85"].contains(&&*flags.cpu))
}

/// Whether there is Advanced SIMD, which only a target without floating point lacks.
fn arm_neon() -> bool {
    env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|features| features.split(',').any(|name| name == "neon"))
}

/// Whether there is the vector extension, or that part of it which is enough.
fn riscv_v(flags: &Flags) -> bool {
    ["v", "zve32x", "zve32f", "zve64x", "zve64f", "zve64d"].iter().any(|name| flags.feature(name) == Some(true))
}

/// What the compiler's flags say of the core; of two that say the same, the later counts.
#[derive(Default)]
struct Flags {
    cpu: String,
    features: Vec<String>,
}

impl Flags {
    /// From the words that cargo passes, which it separates by a byte of its own.
    fn of(encoded: &str) -> Self {
        let mut flags = Self::default();
        let mut words = encoded.split('\x1f');
        while let Some(word) = words.next() {
            let option = match word {
                "-C" | "--codegen" => words.next(),
                _ => word.strip_prefix("-C").or_else(|| word.strip_prefix("--codegen=")),
            };
            match option.and_then(|option| option.split_once('=')) {
                Some(("target-cpu", cpu)) => flags.cpu = cpu.into(),
                Some(("target-feature", features)) => flags.features.extend(features.split(',').map(String::from)),
                _ => {}
            }
        }
        flags
    }

    /// Whether a feature is switched on or off; `None` where nothing is said of it.
    fn feature(&self, name: &str) -> Option<bool> {
        let said = |feature: &String| {
            let on = feature.starts_with('+');
            (feature.get(1..) == Some(name)).then_some(on)
        };
        self.features.iter().rev().find_map(said)
    }
}
