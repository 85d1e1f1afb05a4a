//! The container, beside the `safetensors` crate. What we take, it takes, with the same tensors. What it writes of
//! tensors that keep our rules, we take; of others, we refuse it as the rule says that they break.

#![no_main]
#![allow(clippy::unwrap_used)] // a failed unwrap is a finding

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, HashMap};
use tealight::{Model, ModelError};
use tealight_format::HeaderFault;
use tealight_fuzz::build::with_header;
use tealight_fuzz::random::{self, Choices};
use tealight_fuzz::split;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else { return };
    match how % 4 {
        // The length of an aligned header begins with one of these.
        0 => ours(data),
        1 => {
            // A file of ours, with its header's text changed.
            let (mut rest, mut plan) = split(rest);
            let mut file = random::plan(&mut plan).file();
            let header = file.len().min(8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize);
            for _ in 0..rest.below(4) {
                let at = rest.below(header as u32) as usize;
                file[at] = if rest.one_in(2) { rest.pick(b"{}[]:,\" 0123456789\\eE.-+_") } else { rest.byte() };
            }
            ours(&file);
        }
        _ => theirs(&mut Choices::new(rest)),
    }
});

/// What we take, the crate takes, with the same tensors.
fn ours(file: &[u8]) {
    let Ok(model) = Model::parse(file) else { return };
    let theirs = SafeTensors::deserialize(file).unwrap();
    assert_eq!(theirs.len(), model.constant_count() + 1);
    assert_eq!(model.constant_names().count(), model.constant_count());
    for (i, name) in model.constant_names().enumerate() {
        let (value, tensor) = (model.value(i), theirs.tensor(name).unwrap());
        let bytes = model.constant(&value);
        assert_eq!(format!("{:?}", tensor.dtype()), value.dtype.stored().name());
        let (same, padding) = tensor.data().split_at(bytes.len());
        assert!(same == bytes && padding.len() < 16, "{name}");
        assert_eq!(same.as_ptr(), bytes.as_ptr());
    }
    let (_, header) = SafeTensors::read_metadata(file).unwrap();
    for (key, value) in header.metadata().iter().flatten() {
        // Ours are as they stand in the file, without escapes undone.
        if [key, value].iter().all(|text| !text.contains(|c: char| c.is_control() || "\"\\/".contains(c))) {
            assert_eq!(model.metadata(key), Some(value.as_str()), "{key}");
        }
    }
}

/// What the crate writes, we refuse as a container only for what the format's page names.
fn theirs(choose: &mut Choices<'_>) {
    const TYPES: [Dtype; 4] = [Dtype::U8, Dtype::I8, Dtype::BF16, Dtype::F64];
    let dtype = if choose.one_in(8) { choose.pick(&TYPES) } else { Dtype::U8 };
    // One type, so that the crate's order is that of the names, and `plan` comes first.
    let mut tensors = BTreeMap::from([("plan".to_string(), 64)]);
    for _ in 0..choose.between(0, 6) {
        let name: String = (0..choose.between(0, 4)).map(|_| choose.pick(&NAMES)).collect();
        let name = "q".to_string() + &name;
        let count = if choose.one_in(8) { choose.below(40) } else { 16 * choose.between(1, 3) as u32 } as usize;
        tensors.insert(name, count);
    }
    let bytes = vec![0u8; 8 * 64];
    let of = |count: usize| TensorView::new(dtype, vec![count], &bytes[..count * dtype.bitsize() / 8]).unwrap();
    let views: Vec<(&str, TensorView<'_>)> = tensors.iter().map(|(name, &count)| (name.as_str(), of(count))).collect();
    let metadata = choose.one_in(2).then(|| HashMap::from([("a".to_string(), "b é\n\"".to_string())]));
    let written = safetensors::serialize(views, metadata).unwrap();
    // It aligns to 8; we, to 16.
    let len = 8 + u64::from_le_bytes(written[..8].try_into().unwrap()) as usize;
    let file = with_header(std::str::from_utf8(&written[8..len]).unwrap(), &written[len..]);
    SafeTensors::deserialize(&file).unwrap();

    let mut reasons = Vec::new();
    if matches!(dtype, Dtype::BF16 | Dtype::F64) {
        reasons.push(HeaderFault::Type);
    }
    for (name, &count) in &tensors {
        if name.contains(|c: char| c < ' ' || "\"\\".contains(c)) {
            reasons.push(HeaderFault::Name);
        }
        match count * dtype.bitsize() / 8 {
            0 => reasons.push(HeaderFault::Offsets),
            len if len % 16 > 0 => reasons.push(HeaderFault::Alignment),
            _ => {}
        }
    }
    match Model::parse(&file) {
        Err(ModelError::Header { fault, .. }) => assert!(reasons.contains(&fault), "{fault:?}, not {reasons:?}"),
        // The plan, which is none, may be looked at first.
        Err(_) => {}
        Ok(_) => panic!("a plan of zeros is taken"),
    }
}

const NAMES: [&str; 12] = ["a", "B", "0", ".", "/", "é", "世", "\"", "\\", "\n", "{", "\u{7f}"];
