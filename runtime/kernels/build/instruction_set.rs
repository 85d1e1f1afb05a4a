//! Finds the core's extensions from the target and the compiler's flags, which name the core
//! (`-C target-cpu=cortex-m55`) or its extensions (`-C target-feature=+v`).

/// Extensions that kernels are written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstructionSet {
    /// DSP of Arm's M profile.
    pub(crate) arm_dsp: bool,
    /// MVE of Arm's M profile, without floating-point vectors.
    pub(crate) arm_mve: bool,
    /// The floating-point unit of Arm's M profile, with single precision at least.
    pub(crate) arm_vfp: bool,
    /// RISC-V's V, or a subset that is sufficient for the kernels.
    pub(crate) riscv_v: bool,
    /// `f32` without a floating-point unit.
    pub(crate) soft_f32: bool,
}

impl InstructionSet {
    /// Returns the core's extensions, or the reason why the flags are refused.
    pub(crate) fn of(target: &str, flags: &Flags) -> Result<Self, &'static str> {
        if target.starts_with("riscv") {
            let vectors = ["v", "zve32x", "zve32f", "zve64x", "zve64f", "zve64d"];
            let riscv_v = vectors.iter().any(|name| flags.feature(name) == Some(true));
            // As `riscv32imafc` or `riscv64gc`. Of these extensions, rustc exposes none as a `cfg`.
            let base = target.split('-').next().unwrap_or_default().trim_start_matches("riscv");
            let soft_f32 = !base.contains(['f', 'g']) && flags.feature("f") != Some(true);
            return Ok(Self { riscv_v, soft_f32, ..Self::default() });
        }
        if !target.starts_with("thumbv") {
            return Ok(Self::default());
        }
        let of_core = |cores: &[&str]| cores.contains(&&*flags.cpu);
        let with_mve = || of_core(&["cortex-m52", "cortex-m55", "cortex-m85"]);
        // Every ARMv7E-M core has it; Armv8-M cores that have it are listed.
        let with_dsp = || target.starts_with("thumbv7em-") || with_mve() || of_core(&["cortex-m33", "cortex-m35p"]);
        let f32_vectors = flags.feature("mve.fp");
        let arm_mve = flags.feature("mve").unwrap_or_else(with_mve) || f32_vectors == Some(true);
        if arm_mve && f32_vectors != Some(false) {
            return Err(
                "MVE's f32 vectors flush subnormal numbers to zero, so float kernels would return other bits than \
                 elsewhere: add `-C target-feature=-mve.fp` to the flags that name the core",
            );
        }
        let arm_dsp = flags.feature("dsp").unwrap_or_else(with_dsp);
        // Functions take and return numbers in its registers.
        let arm_vfp = target.ends_with("-eabihf");
        Ok(Self { arm_dsp, arm_mve, arm_vfp, riscv_v: false, soft_f32: !arm_vfp })
    }
}

/// The compiler's flags about the core. If a flag is repeated, the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    cpu: String,
    features: Vec<String>,
}

impl Flags {
    /// Parses the flags that cargo passes, which are separated by a special byte.
    pub(crate) fn of(encoded: &str) -> Self {
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

    /// Whether a feature is enabled or disabled; `None` if the flags do not mention it.
    fn feature(&self, name: &str) -> Option<bool> {
        let said = |feature: &String| (feature.get(1..) == Some(name)).then(|| feature.starts_with('+'));
        self.features.iter().rev().find_map(said)
    }
}
