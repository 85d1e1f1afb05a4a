//! Nearly valid files, TensorFlow Lite's of every operator and GGUF's. A file that compiles is a model that runs, and
//! the error for any other is not an internal one. `tests/fuzz` does the same with a fuzzer.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use tealight_compiler::gguf::{GgufOptions, compile_gguf};
use tealight_compiler::{CompileError, Compiled, Options, compile_tflite};
use tealight_testing::exercise::{Limits, Outcome, exercise};
use tealight_testing::random::Choices;
use tealight_testing::rng::Rng;
use tealight_testing::{gguf_random, tflite_random};

const LIMITS: Limits = Limits { arena: 1 << 20, cost: 1_000_000 };

/// Runs a test on the bytes that determine a file, and those that determine its inputs. They are the same each time, so
/// the builder always reaches the same cases; the fuzzer tries others.
fn for_choices(cases: u32, test: impl Fn(&[u8], &[u8]) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let bytes = (prop::collection::vec(any::<u8>(), 0..600), prop::collection::vec(any::<u8>(), 0..100));
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    TestRunner::new_with_rng(config, rng).run(&bytes, |(choices, rest)| test(&choices, &rest)).unwrap();
}

/// Returns whether the file was compiled. If so, it parses and runs; otherwise the error is not an internal one.
fn check(compiled: Result<Compiled, CompileError>, rest: &[u8]) -> Result<bool, TestCaseError> {
    match compiled {
        Ok(compiled) => {
            let outcome = exercise(&compiled.bytes, LIMITS, &mut Choices::new(rest));
            prop_assert_ne!(outcome, Outcome::Refused, "the compiled file is refused");
            Ok(true)
        }
        Err(CompileError::Internal(what)) => Err(TestCaseError::fail(what)),
        Err(_) => Ok(false),
    }
}

#[test]
fn a_compiled_file_always_parses_and_runs() {
    const CASES: u32 = 4000;
    let counts = RefCell::new(BTreeMap::<i32, [u32; 2]>::new());
    for_choices(CASES, |choices, rest| {
        let (file, code) = tflite_random::file(&mut Choices::new(choices));
        let taken = check(compile_tflite(&file, &Options::default()), rest)?;
        counts.borrow_mut().entry(code).or_default()[usize::from(!taken)] += 1;
        Ok(())
    });
    let counts = counts.borrow();
    // The builder must keep reaching all of them.
    for code in tflite_random::CODES {
        let [taken, refused] = counts.get(&code).copied().unwrap_or_default();
        let enough = refused > 3 && (taken > 3 || tflite_random::UNKNOWN.contains(&code));
        assert!(enough, "{code}: {taken} taken, {refused} refused");
    }
}

#[test]
fn a_compiled_language_model_always_parses_and_runs() {
    let counts = RefCell::new([0; 2]);
    for_choices(60, |choices, rest| {
        let file = gguf_random::file(&mut Choices::new(choices));
        let taken = check(compile_gguf(&file, &GgufOptions::default(), &Options::default()), rest)?;
        counts.borrow_mut()[usize::from(!taken)] += 1;
        Ok(())
    });
    let [taken, refused] = counts.take();
    assert!(taken > 10 && refused > 5, "{taken} taken, {refused} refused");
}

/// Small language models that the fuzzer starts from. `TEALIGHT_BLESS=1` writes them again.
#[test]
fn the_gguf_seeds_of_the_fuzzer_compile() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds_gguf"));
    let compiles = |file: &[u8]| compile_gguf(file, &GgufOptions::default(), &Options::default()).is_ok();
    if std::env::var_os("TEALIGHT_BLESS").is_some() {
        let mut random = Rng(1);
        let files = std::iter::repeat_with(|| {
            let choices: Vec<u8> = (0..600).map(|_| random.index(256) as u8).collect();
            gguf_random::file(&mut Choices::new(&choices))
        });
        let small = files.take(120).filter(|file| file.len() < 6000 && compiles(file));
        let with_template = |file: &Vec<u8>| file.windows(13).any(|bytes| bytes == b"chat_template");
        let (with, without): (Vec<_>, Vec<_>) = small.partition(with_template);
        for (i, file) in with.iter().take(2).chain(without.iter().take(2)).enumerate() {
            std::fs::write(folder.join(format!("{i}.gguf")), file).unwrap();
        }
    }
    let paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 4);
    for path in paths {
        let compiles = compiles(&std::fs::read(&path).unwrap());
        assert!(compiles, "{} does not compile: make it anew with TEALIGHT_BLESS=1", path.display());
    }
}
