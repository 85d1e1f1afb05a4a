//! The loops of every instruction set that the processor has equal the portable ones.

#![cfg(feature = "compare-arch")]

use tealight_kernels::{compare_arch, instruction_set, use_at_most};

/// Those of x86-64, from the best on.
const NAMES: [&str; 4] = ["AVX-512 VNNI", "AVX-VNNI", "AVX2", "portable"];

#[test]
fn every_instruction_set_of_the_processor_returns_the_same() {
    assert!(!use_at_most("none"));
    let best = instruction_set();
    let names = if cfg!(target_arch = "x86_64") { &NAMES[..] } else { &[best] };
    for name in names {
        assert!(use_at_most(name));
        println!("{name}: {}", instruction_set());
        assert_eq!(compare_arch(1000), None, "{name}");
    }
    if let [.., least] = names {
        assert_eq!(instruction_set(), *least);
    }
    assert!(use_at_most(names[0]));
    assert_eq!(instruction_set(), best);
}
