//! Our own models: each compiled file is valid and gives the bytes of its golden vectors.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde::Deserialize;
use std::path::{Path, PathBuf};
use tealight::{Budget, Model, OwnedSession};
use tealight_tests::models::splitmix64;
use tealight_tests::{root, sha256};

#[derive(Deserialize)]
struct Golden {
    model: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    label: String,
    /// In hexadecimal.
    input: String,
    output: Vec<i8>,
}

impl Case {
    fn input(&self) -> Vec<u8> {
        let digits = self.input.as_bytes().chunks(2);
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }
}

/// The folders of `models` that hold golden vectors.
fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("models")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|folder| folder.join("golden.json").is_file()).collect()
}

fn open(folder: &Path) -> (String, Vec<u8>, Golden) {
    let name = folder.file_name().unwrap().to_str().unwrap().to_string();
    let file = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
    let golden = serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
    (name, file, golden)
}

#[test]
fn every_model_matches_its_golden_vectors() {
    let folders = folders();
    assert!(!folders.is_empty());
    let mut seed = 3;
    for folder in &folders {
        let (name, file, golden) = open(folder);
        assert_eq!(sha256(&file), golden.model, "{name}: its golden vectors are another file's");
        let mut session = OwnedSession::from_bytes(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(golden.cases.len() >= 10, "{name}");
        for (index, case) in golden.cases.iter().enumerate() {
            session.reset();
            session.input(0).unwrap().copy_from_bytes(&case.input()).unwrap();
            session.run();
            assert_eq!(session.output(0).unwrap().as_slice::<i8>().unwrap(), case.output, "{name}, case {index}");
            session.input(0).unwrap().copy_from_bytes(&case.input()).unwrap();
            while session.poll(Budget::macs(splitmix64(&mut seed) % 100_000)).is_pending() {}
            assert_eq!(
                session.output(0).unwrap().as_slice::<i8>().unwrap(),
                case.output,
                "{name}, case {index}, polled"
            );
        }
    }
}

#[test]
fn the_digits_are_small_and_right() {
    let (name, file, golden) = open(&root().join("models/digits"));
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.metadata("name"), Some(name.as_str()));
    assert!(file.len() < 60_000, "{} bytes", file.len());
    assert!(model.arena_len() < 16 * 1024, "{} bytes of arena", model.arena_len());
    for case in &golden.cases {
        let best = case.output.iter().enumerate().max_by_key(|(_, score)| **score).unwrap().0;
        assert_eq!(best.to_string(), case.label);
    }
}

#[test]
fn gesture_is_small_and_mostly_right() {
    let (name, file, golden) = open(&root().join("models/gesture"));
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.metadata("name"), Some(name.as_str()));
    assert!(file.len() < 40_000, "{} bytes", file.len());
    assert!(model.arena_len() < 4 * 1024, "{} bytes of arena", model.arena_len());
    let labels = model.metadata("labels").unwrap();
    assert!(golden.cases.iter().all(|case| labels.contains(&case.label)));
    let best = |case: &Case| case.output.iter().enumerate().max_by_key(|(_, score)| **score).unwrap().0;
    let position = |case: &Case| labels.find(&case.label).unwrap();
    // An exercise's number grows with its place among the labels.
    let mut places: Vec<usize> = golden.cases.iter().map(position).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 7, "golden vectors of every exercise");
    let right = golden.cases.iter().filter(|case| places[best(case)] == position(case)).count();
    // Nine of ten held-out windows are answered rightly.
    assert!(right * 10 >= golden.cases.len() * 8, "{right} of {}", golden.cases.len());
}

#[test]
fn balance_is_small_and_near_the_torque_that_it_imitates() {
    let (name, file, golden) = open(&root().join("models/balance"));
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.metadata("name"), Some(name.as_str()));
    assert!(file.len() < 8_000, "{} bytes", file.len());
    assert!(model.arena_len() < 256, "{} bytes of arena", model.arena_len());
    let output = model.value(model.output(0).unwrap());
    let mut saturated = 0;
    for case in &golden.cases {
        let wanted: f32 = case.label.trim_end_matches(" N m").parse().unwrap();
        let share = output.quantization.dequantize(case.output[0].into()).clamp(-1.0, 1.0);
        // The maximum torque is 0.4 N m; inputs and output are in 8 bits.
        assert!((share * 0.4 - wanted).abs() < 0.03, "{}: {share}", case.label);
        saturated += usize::from(wanted.abs() == 0.4);
    }
    assert!(saturated < golden.cases.len(), "a golden vector between the limits");
}

#[test]
fn anomaly_reconstructs_known_exercises_better_than_others() {
    let (name, file, golden) = open(&root().join("models/anomaly"));
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.metadata("name"), Some(name.as_str()));
    assert!(file.len() < 60_000, "{} bytes", file.len());
    assert!(model.arena_len() < 1024, "{} bytes of arena", model.arena_len());
    let [from, to] = [model.input(0).unwrap(), model.output(0).unwrap()].map(|index| model.value(index));
    let score = |case: &Case| -> f32 {
        let input = case.input();
        let pairs = input.iter().map(|byte| byte.cast_signed()).zip(case.output.iter().copied());
        pairs
            .map(|(a, b)| {
                let a = from.quantization.dequantize(a.into());
                let b = to.quantization.dequantize(b.into());
                (a - b) * (a - b) / input.len() as f32
            })
            .sum()
    };
    let of = |normal: bool| golden.cases.iter().filter(move |case| case.label.ends_with(": normal") == normal);
    let worst_known = of(true).map(score).fold(0.0, f32::max);
    assert!(of(true).count() >= 3 && of(false).count() >= 6);
    let found = of(false).filter(|case| score(case) > worst_known).count();
    // Nearly all pairs of held-out windows are in order.
    assert!(found * 10 >= of(false).count() * 8, "{found} of {}", of(false).count());
}

/// `continuation.json`: a text that a model continued, the likeliest character each time.
#[derive(Deserialize)]
struct Continuation {
    model: String,
    prompt: String,
    text: String,
    scores: String,
}

#[test]
fn charlm_continues_its_golden_text_with_the_same_scores() {
    let folder = root().join("models/charlm");
    let file = std::fs::read(folder.join("charlm.safetensors")).unwrap();
    let golden: Continuation =
        serde_json::from_slice(&std::fs::read(folder.join("continuation.json")).unwrap()).unwrap();
    assert_eq!(sha256(&file), golden.model, "its golden text is another file's");
    let model = Model::parse(&file).unwrap();
    let characters = model.constant_names().position(|name| name == "tokenizer.characters");
    let characters = std::str::from_utf8(model.constant(&model.value(characters.unwrap()))).unwrap();
    let characters: Vec<char> = characters.chars().collect();
    let number = |character| characters.iter().position(|&known| known == character).unwrap();

    let mut session = OwnedSession::from_bytes(&file).unwrap();
    let (mut text, mut scores, mut seed) = (golden.prompt.clone(), Vec::new(), 3);
    session.reset();
    for at in 0..golden.text.chars().count() - 1 {
        let character = text.chars().nth(at).unwrap();
        session.input(0).unwrap().copy_from(&[number(character) as i32]).unwrap();
        // In slices of any size, as a control loop runs it.
        while session.poll(Budget::macs(splitmix64(&mut seed) % 100_000)).is_pending() {}
        scores.extend_from_slice(session.output(0).unwrap().as_bytes());
        if at + 1 == text.chars().count() {
            text.push(characters[session.output(0).unwrap().argmax().unwrap().0]);
        }
    }
    assert_eq!(text, golden.text);
    assert_eq!(sha256(&scores), golden.scores);
}
