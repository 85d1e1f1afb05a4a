//! Nearly valid TensorFlow Lite files of every operator: what is compiled is a model that runs, and what is not is refused
//! for a reason that is not the compiler's own. `tests/fuzz` does the same with a fuzzer.
#![allow(clippy::unwrap_used)]

#[path = "../../format/tests/build/mod.rs"]
mod build;
#[path = "../../core/tests/support/exercise.rs"]
mod exercise;
#[path = "../../format/tests/build/random.rs"]
mod random;
#[path = "support/tflite_random.rs"]
mod tflite_random;

use exercise::{Limits, Outcome, exercise};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use random::Choices;
use std::cell::RefCell;
use std::collections::BTreeMap;
use tealight_compiler::{CompileError, Options, compile_tflite};

const LIMITS: Limits = Limits { arena: 1 << 20, cost: 1_000_000 };

#[test]
fn a_compiled_file_always_parses_and_runs() {
    const CASES: u32 = 2000;
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let bytes = (prop::collection::vec(any::<u8>(), 0..600), prop::collection::vec(any::<u8>(), 0..100));
    let counts = RefCell::new(BTreeMap::<i32, [u32; 2]>::new());
    TestRunner::new(config)
        .run(&bytes, |(choices, rest)| {
            let (file, code) = tflite_random::file(&mut Choices::new(&choices));
            let mut counts = counts.borrow_mut();
            let [taken, refused] = counts.entry(code).or_default();
            match compile_tflite(&file, &Options::default()) {
                Ok(compiled) => {
                    *taken += 1;
                    let outcome = exercise(&compiled.bytes, LIMITS, &mut Choices::new(&rest));
                    prop_assert_ne!(outcome, Outcome::Refused, "the compiled file is refused");
                }
                Err(CompileError::Internal(what)) => prop_assert!(false, "{what}"),
                Err(error) => {
                    *refused += 1;
                    if std::env::var_os("TEALIGHT_SHOW").is_some() {
                        println!("{code}: {error}");
                    }
                }
            }
            Ok(())
        })
        .unwrap();
    let counts = counts.borrow();
    println!("{counts:?}");
    // The builder must keep reaching all of them.
    for code in tflite_random::CODES {
        let [taken, refused] = counts.get(&code).copied().unwrap_or_default();
        let enough = refused > 3 && (taken > 3 || tflite_random::UNKNOWN.contains(&code));
        assert!(enough, "{code}: {taken} taken, {refused} refused");
    }
}
