//! The core for whose instructions weights are laid out.

/// The core for which [`Options::target`](crate::Options::target) lays out weights. A file runs on every core with the same
/// bits, whatever its target is; on others it may take more instructions.
///
/// ```
/// use tealight_compiler::Target;
///
/// assert_eq!(Target::of_core("cortex-m33"), Some(Target::ArmDsp));
/// assert_eq!(Target::of_core("Cortex-M0+"), Some(Target::Any));
/// assert_eq!(Target::of_core("Z80"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// No core in particular: rows lie one after another.
    #[default]
    Any,
    /// Cortex-M with the DSP extension, which multiply two 16-bit numbers at a time: rows of fully connected int8 layers lie
    /// in pairs, where their numbers of outputs and inputs are multiples of 4 and 8.
    ArmDsp,
}

/// The cores with a layout of their own.
const WITH_DSP: &[&str] = &["Cortex-M4", "Cortex-M4F", "Cortex-M7", "Cortex-M33", "Cortex-M35P"];

/// Others, for which rows lie one after another.
const OTHERS: &[&str] = &[
    "Cortex-M0",
    "Cortex-M0+",
    "Cortex-M3",
    "Cortex-M23",
    "Cortex-M52",
    "Cortex-M55",
    "Cortex-M85",
    "Cortex-A7",
    "Cortex-A53",
    "Cortex-A72",
    "Cortex-A76",
    "RV32IMC",
    "RV32IMAC",
    "RV32IMAC+V",
    "RV64GC",
    "RV64GC+V",
    "x86-64",
];

impl Target {
    /// Returns the target of a core by its name, in letters of any case; `None` if it is not known.
    pub fn of_core(name: &str) -> Option<Self> {
        let is_in = |list: &[&str]| list.iter().any(|core| core.eq_ignore_ascii_case(name));
        if is_in(WITH_DSP) {
            Some(Self::ArmDsp)
        } else if is_in(OTHERS) {
            Some(Self::Any)
        } else {
            None
        }
    }

    /// Returns the names of all cores that are known.
    pub fn cores() -> impl Iterator<Item = &'static str> {
        WITH_DSP.iter().chain(OTHERS).copied()
    }
}
