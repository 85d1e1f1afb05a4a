//! Our f32 outputs have the bits that were written down: on this target, whichever it is.
//!
//! `TEALIGHT_BLESS=1` writes them down anew, which a change of a kernel's order of sums needs.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::BTreeMap;
use tealight::OwnedSession;
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::digests::{Cases, Digests};
use tealight_tests::models::goldens;
use tealight_tests::ops::{cases, files};
use tealight_tests::sha256;

/// The digest of all outputs of one run after another.
fn digest<'a>(tflite: &[u8], runs: impl Iterator<Item = &'a [Vec<u8>]>) -> String {
    let compiled = compile_tflite(tflite, &Options::default()).unwrap();
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    let mut outputs = Vec::new();
    for inputs in runs {
        for (i, input) in inputs.iter().enumerate() {
            session.input(i).unwrap().copy_from_bytes(input).unwrap();
        }
        session.run();
        for i in 0..session.model().output_count() {
            outputs.extend_from_slice(session.output(i).unwrap().as_bytes());
        }
    }
    sha256(&outputs)
}

/// Writes `found` down, or compares it.
fn settle(part: fn(&mut Digests) -> &mut BTreeMap<String, Cases>, found: BTreeMap<String, Cases>) {
    let mut digests = Digests::read().unwrap_or_default();
    let known = part(&mut digests);
    if std::env::var_os("TEALIGHT_BLESS").is_some() {
        *known = found;
        digests.write().unwrap();
    } else {
        assert_eq!(&found, known, "f32 outputs have other bits than tests/golden/f32.json says");
    }
}

#[test]
fn f32_operators_match_the_recorded_bits() {
    let found: BTreeMap<String, Cases> = files()
        .into_iter()
        .filter(|file| file.ends_with("_f32"))
        .map(|file| {
            let digests = cases(&file)
                .into_iter()
                .map(|(name, case)| (name, digest(&case.model, case.steps.iter().map(|step| &step.inputs[..]))))
                .collect();
            (file, digests)
        })
        .collect();
    assert!(found.len() >= 12, "only {} files", found.len());
    settle(|digests| &mut digests.operators, found);
}

#[test]
#[ignore = "needs the third-party models: `cargo xtask test` fetches them (or `cargo xtask fetch`, then `--ignored`)"]
fn f32_networks_match_the_recorded_bits() {
    let mut found = BTreeMap::new();
    for (id, golden) in goldens().unwrap().iter().filter(|(_, golden)| golden.float) {
        let path = golden.path(id).unwrap_or_else(|| panic!("{id} is not in the cache: run `cargo xtask fetch`"));
        let tflite = std::fs::read(path).unwrap();
        let digests = golden.cases.keys().map(|name| {
            let inputs = [golden.input(name).unwrap()];
            (name.clone(), digest(&tflite, [&inputs[..]].into_iter()))
        });
        found.insert(id.clone(), digests.collect());
    }
    assert!(found.len() >= 3, "only {} networks", found.len());
    settle(|digests| &mut digests.models, found);
}
