//! `tealight report`: the page is whole and loads nothing, and its counts are those of direct runs.

use crate::common::{Folder, TEALIGHT, npy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use tealight::OwnedSession;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits");

/// The held-out digits of the golden vectors: class and input.
fn digits() -> Vec<(usize, Vec<u8>)> {
    let golden = std::fs::read(format!("{MODELS}/golden.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let cases = golden["cases"].as_array().unwrap().iter().map(|case| {
        let hex = case["input"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let input = (0..hex.len()).step_by(2).map(byte).collect();
        (case["label"].as_str().unwrap().parse().unwrap(), input)
    });
    cases.collect()
}

/// A folder with `net.safetensors`, the digits, and a subfolder of `inputs` for each class of `classes`.
fn labelled(classes: &[usize], digits: &[(usize, Vec<u8>)]) -> Folder {
    let folder = Folder::new();
    folder.write("net.safetensors", &std::fs::read(format!("{MODELS}/digits.safetensors")).unwrap());
    for (i, (class, (_, input))) in classes.iter().zip(digits).enumerate() {
        std::fs::create_dir_all(folder.path(&format!("inputs/{class}"))).unwrap();
        folder.write(&format!("inputs/{class}/{i:02}.bin"), input);
    }
    folder
}

/// The scores of each input, by a session of its own.
fn scores(model: &[u8], inputs: &[(usize, Vec<u8>)]) -> Vec<Vec<i8>> {
    let run = |(_, input): &(usize, Vec<u8>)| {
        let mut session = OwnedSession::from_bytes(model).unwrap();
        session.input(0).unwrap().copy_from_bytes(input).unwrap();
        session.run();
        session.output(0).unwrap().as_slice::<i8>().unwrap().to_vec()
    };
    inputs.iter().map(run).collect()
}

fn highest(scores: &[i8]) -> usize {
    (0..scores.len()).rev().max_by_key(|&i| scores[i]).unwrap()
}

/// Parses a page, and checks that it loads nothing and runs nothing.
fn with_page<T>(folder: &Folder, check: impl FnOnce(&roxmltree::Document<'_>) -> T) -> T {
    let html = String::from_utf8(folder.read("page.html")).unwrap();
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(&html, options).unwrap();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert!(!["script", "link", "img", "iframe", "object"].contains(&node.tag_name().name()), "{node:?}");
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!name.starts_with("on") && !["src", "href", "srcset"].contains(&name), "{attribute:?}");
            assert!(!attribute.value().contains("url("), "{attribute:?}");
        }
        let style = node.text().filter(|_| node.has_tag_name("style")).unwrap_or_default();
        assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
    }
    check(&document)
}

/// The texts of the cells of the tables below the heading `title`, row by row.
fn rows(document: &roxmltree::Document<'_>, title: &str) -> Vec<Vec<String>> {
    let heading = document
        .descendants()
        .find(|node| (node.has_tag_name("h2") || node.has_tag_name("h3")) && node.text() == Some(title))
        .unwrap_or_else(|| panic!("no heading `{title}`"));
    let table = heading.next_siblings().flat_map(|node| node.descendants()).find(|node| node.has_tag_name("tbody"));
    let text = |cell: roxmltree::Node<'_, '_>| {
        cell.descendants().filter_map(|node| node.text().filter(|_| node.is_text())).collect::<String>()
    };
    let cells = |row: roxmltree::Node<'_, '_>| row.children().filter(roxmltree::Node::is_element).map(text).collect();
    table.unwrap().children().filter(|row| row.has_tag_name("tr")).map(cells).collect()
}

const REPORT: [&str; 4] = ["report", "net.safetensors", "-o", "page.html"];

#[test]
fn the_confusion_matrix_is_that_of_direct_runs() {
    let digits = digits();
    // Two digits are in the folder of another class.
    let mut classes: Vec<usize> = digits.iter().map(|(class, _)| *class).collect();
    classes[0] = (classes[0] + 1) % 10;
    classes[5] = (classes[5] + 3) % 10;
    let folder = labelled(&classes, &digits);
    let scores = scores(&folder.read("net.safetensors"), &digits);
    let mut expected = BTreeMap::new();
    for (class, scores) in classes.iter().zip(&scores) {
        *expected.entry((*class, highest(scores))).or_insert(0usize) += 1;
    }
    let right: usize = expected.iter().filter(|((class, answer), _)| class == answer).map(|(_, count)| count).sum();
    assert!(right > 0 && right < digits.len());

    let report = folder.json(&[&REPORT[..], &["--inputs", "inputs"]].concat());
    let evaluation = &report["evaluation"];
    let pairs: Vec<Value> = expected
        .iter()
        .map(|((class, answer), count)| json!({"class": class, "answer": answer, "count": count}))
        .collect();
    assert_eq!(evaluation["confusion"], Value::Array(pairs));
    assert_eq!((&evaluation["files"], &evaluation["inferences"]), (&json!(12), &json!(12)));
    assert_eq!((&evaluation["correct"], &evaluation["classes"]), (&json!(right), &json!(10)));
    assert!((evaluation["accuracy"].as_f64().unwrap() - right as f64 / 12.0).abs() < 1e-12);

    // The margins, in the order of the list.
    let margin = |i: usize| {
        let others = (0..10).filter(|&k| k != classes[i]).map(|k| scores[i][k]).max().unwrap();
        f64::from(i16::from(scores[i][classes[i]]) - i16::from(others)) / 256.0
    };
    let mut margins: Vec<f64> = (0..digits.len()).map(margin).collect();
    margins.sort_by(f64::total_cmp);
    let worst: Vec<f64> =
        evaluation["worst"].as_array().unwrap().iter().map(|worst| worst["margin"].as_f64().unwrap()).collect();
    assert_eq!(worst, margins[..10]);

    with_page(&folder, |document| {
        let rows = rows(document, "Confusion matrix");
        assert_eq!(rows.len(), 10);
        for (class, row) in rows.iter().enumerate() {
            assert_eq!(row[0], class.to_string());
            for answer in 0..10 {
                let count = expected.get(&(class, answer)).map_or_else(String::new, ToString::to_string);
                assert_eq!(row[1 + answer], count, "class {class}, answer {answer}");
            }
        }
    });
    let text = folder.succeeds(&[&REPORT[..], &["--inputs", "inputs"]].concat());
    assert!(text.contains(&format!("right: {right} of 12 inputs in 12 files")), "{text}");
}

#[test]
fn without_subfolders_the_answers_are_counted() {
    let digits = digits();
    let folder = labelled(&[], &digits);
    std::fs::create_dir(folder.path("inputs")).unwrap();
    // One file holds several inputs.
    let elements: Vec<u8> = digits[..4].iter().flat_map(|(_, input)| input.clone()).collect();
    folder.write("inputs/a.npy", &npy("|i1", "(4, 28, 28, 1)", &elements));
    folder.write("inputs/b.bin", &digits[4].1);
    let pixels: Vec<u8> = digits[5].1.iter().map(|byte| byte ^ 0x80).collect();
    folder.write("inputs/c.pgm", &[b"P5 28 28 255\n", &pixels[..]].concat());
    let mut expected = BTreeMap::new();
    let scores = scores(&folder.read("net.safetensors"), &digits[..6]);
    scores.iter().for_each(|scores| *expected.entry(highest(scores)).or_insert(0usize) += 1);
    let evaluation = &folder.json(&[&REPORT[..], &["--inputs", "inputs"]].concat())["evaluation"];
    assert_eq!(evaluation["answers"], json!(expected));
    assert_eq!((&evaluation["files"], &evaluation["inferences"]), (&json!(3), &json!(6)));
    assert!(evaluation["correct"].is_null() && evaluation["accuracy"].is_null());
    with_page(&folder, |document| {
        let rows = rows(document, "How often each class is the answer");
        let counts: Vec<usize> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
        let expected: Vec<usize> = (0..10).map(|class| expected.get(&class).copied().unwrap_or(0)).collect();
        assert_eq!(counts, expected);
    });
}

#[test]
fn the_data_are_those_of_inspect_and_each_layer_has_a_row() {
    let folder = labelled(&[], &[]);
    let report = folder.json(&REPORT);
    let inspected = folder.json(&["inspect", "net.safetensors"]);
    for (key, value) in inspected.as_object().unwrap() {
        assert_eq!(&report[key], value, "{key}");
    }
    assert!(report["boards"].as_array().unwrap().len() >= 23);
    // The sum of the layers is the figure of the board.
    let of_layers = report["prediction"]["layers"].as_array().unwrap();
    let sum: u64 = of_layers.iter().map(|layer| layer["instructions"].as_u64().unwrap()).sum();
    let id = &report["prediction"]["board"];
    let board = report["boards"].as_array().unwrap().iter().find(|board| board["id"] == *id).unwrap();
    assert_eq!(board["instructions"], sum);
    with_page(&folder, |document| {
        let rows = rows(document, "Layers");
        let layers = report["layers"].as_array().unwrap();
        assert_eq!(rows.len(), layers.len());
        assert_eq!(&rows[0][1..4], ["conv1", "Conv2d", "1×14×14×16"].map(String::from));
        let blocks = document.descendants().filter(|node| node.has_tag_name("rect")).count();
        assert_eq!(blocks, report["memory"].as_array().unwrap().len());
    });
    let args = [&REPORT[..], &["--board", "nrf52840-dk"]].concat();
    let report = folder.json(&args);
    assert_eq!((&report["boards"][0]["id"], &report["boards"][1]), (&json!("nrf52840-dk"), &Value::Null));
    assert_eq!(report["prediction"]["board"], "nrf52840-dk");
}

#[test]
fn names_of_a_file_stay_texts() {
    let hostile = "<script>alert(1)</script>\"'&";
    let (folder, _) = Folder::golden("softmax.000");
    let shape = folder.json(&["inspect", "net.tflite"])["outputs"][0]["shape"].clone();
    let scores = shape.as_array().unwrap().last().unwrap().as_u64().unwrap() as usize;
    folder.write("labels.txt", format!("{hostile}\n").repeat(scores).as_bytes());
    let compile = ["compile", "net.tflite", "-o", "net.safetensors", "--labels", "labels.txt", "--name", hostile];
    folder.succeeds(&compile);
    std::fs::create_dir(folder.path("<b>")).unwrap();
    std::fs::rename(folder.path("0.bin"), folder.path("<b>/<i>&.bin")).unwrap();
    folder.succeeds(&[&REPORT[..], &["--inputs", "<b>"]].concat());
    with_page(&folder, |document| {
        let texts: Vec<_> = document.descendants().filter_map(|node| node.text().filter(|_| node.is_text())).collect();
        assert!(texts.contains(&hostile), "{texts:?}");
        assert!(texts.contains(&"<i>&.bin"), "{texts:?}");
        assert!(texts.iter().any(|text| text.starts_with("Labels: <script>")), "{texts:?}");
    });

    // A layer's name, in the model file itself.
    let model = std::fs::read(format!("{MODELS}/digits.safetensors")).unwrap();
    let text = model.windows(16).position(|window| window == b"\"conv1.channels\"").unwrap();
    let mut changed = model;
    changed[text..text + 16].copy_from_slice(b"\"<script>.x&y<z\"");
    folder.write("net.safetensors", &changed);
    let report = folder.json(&REPORT);
    assert_eq!(report["layers"][0]["inputs"][2]["name"], "<script>.x&y<z");
    let mut both = changed;
    let text = both.windows(15).position(|window| window == b"\"conv1.weights\"").unwrap();
    both[text..text + 15].copy_from_slice(b"\"<script>.ywww\"");
    folder.write("net.safetensors", &both);
    folder.succeeds(&REPORT);
    with_page(&folder, |document| assert_eq!(rows(document, "Layers")[0][1], "<script>"));
}

/// A folder with a float network, the same quantized by its calibration data, and these data in a folder.
fn quantized() -> Folder {
    let folder = Folder::new();
    let cases = format!("{}/tests/cases/calibration", env!("CARGO_MANIFEST_DIR"));
    folder.write("net.tflite", &std::fs::read(format!("{cases}/plain.tflite")).unwrap());
    std::fs::create_dir(folder.path("inputs")).unwrap();
    folder.write("inputs/all.npy", &std::fs::read(format!("{cases}/inputs.npy")).unwrap());
    let quantize = ["--calibrate", "inputs/all.npy", "--io", "float", "--name", "net"];
    folder.succeeds(&[&["compile", "net.tflite", "-o", "net.safetensors"], &quantize[..]].concat());
    folder
}

const FLOAT: [&str; 4] = ["--inputs", "inputs", "--float", "net.tflite"];

#[test]
fn a_model_is_compared_with_its_float_network() {
    let folder = quantized();
    let args = [&REPORT[..], &FLOAT].concat();
    let report = folder.json(&args);
    let float = &report["float"];
    assert_eq!((&float["compiled_from_source"], &float["same_file"]), (&json!(true), &json!(true)), "{float}");
    // What compiling reported, and the ratio of the outputs of direct runs.
    let again = ["compile", "net.tflite", "-o", "again.safetensors", "--calibrate", "inputs/all.npy", "--io", "float"];
    assert_eq!(folder.json(&again)["quantization"], float["quantization"]);
    folder.succeeds(&["compile", "net.tflite", "-o", "float.safetensors"]);
    let outputs = |model: &str| -> Vec<f64> {
        folder.succeeds(&["run", model, "--input", "inputs/all.npy", "--output", "out.bin"]);
        folder.read("out.bin").as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
    };
    let (wanted, found) = (outputs("float.safetensors"), outputs("net.safetensors"));
    let signal: f64 = wanted.iter().map(|x| x * x).sum();
    let noise: f64 = wanted.iter().zip(&found).map(|(x, y)| (x - y).powi(2)).sum();
    let snr = 10.0 * (signal / noise).log10();
    assert!((float["snr_db"].as_f64().unwrap() - snr).abs() < 1e-3, "{snr}: {float}");
    let layers = float["quantization"]["layers"].as_array().unwrap().len();
    with_page(&folder, |document| {
        assert_eq!(rows(document, "Compared with the float network").len(), layers);
    });
    assert!(folder.succeeds(&args).contains(&format!("signal to noise of output 0: {snr:.1} dB")));
}

#[test]
fn a_file_that_other_inputs_gave_is_not_taken_for_this_one() {
    let folder = quantized();
    let inputs = folder.read("inputs/all.npy");
    let half: Vec<u8> =
        inputs[128..].as_chunks().0.iter().flat_map(|b| (0.5 * f32::from_le_bytes(*b)).to_le_bytes()).collect();
    folder.write("inputs/all.npy", &[&inputs[..128], &half].concat());
    let report = folder.json(&[&REPORT[..], &FLOAT].concat());
    assert_eq!(report["float"]["same_file"], false);
    // The range of the file is twice as wide as these inputs need: one bit is lost.
    let own = report["float"]["snr_db"].as_f64().unwrap();
    let again = report["float"]["quantization"]["snr_db"].as_f64().unwrap();
    assert!(again > own + 2.0, "{own} {again}");
    let page = String::from_utf8(folder.read("page.html")).unwrap();
    assert!(page.contains("which gave another file"), "{page}");
    // Without the float network, the page says how to compare.
    folder.succeeds(&REPORT);
    let page = String::from_utf8(folder.read("page.html")).unwrap();
    assert!(page.contains("--float SOURCE.tflite measures it"), "{page}");
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_page() {
    let digits = digits();
    let folder = labelled(&[11], &digits);
    let with = |more: &[&'static str]| [&REPORT[..], more].concat();
    folder.fails(&with(&["--inputs", "inputs"]), &["inputs/11", "class number from 0 to 9"]);
    folder.fails(&with(&["--inputs", "none"]), &["`none` is not a folder"]);
    folder.fails(&with(&["--board", "toaster"]), &["toaster"]);
    folder.fails(&["report", "none", "-o", "page.html"], &["`none`", "No such file"]);
    folder.fails(&["report", "net.safetensors", "-o", "net.safetensors"], &["is also an input"]);
    folder.fails(&["report", "net.safetensors", "-o", "none/page.html"], &["the folder does not exist"]);
    std::fs::remove_dir_all(folder.path("inputs")).unwrap();
    std::fs::create_dir(folder.path("inputs")).unwrap();
    folder.fails(&with(&["--inputs", "inputs"]), &["no .npy, .bin"]);
    folder.write("inputs/a.bin", &[0; 785]);
    folder.fails(&with(&["--inputs", "inputs"]), &["inputs/a.bin", "785 B"]);
    folder.fails(&["report", "net.safetensors", "-o", "inputs/a.bin", "--inputs", "inputs"], &["is also an input"]);
    folder.write("inputs/a.bin", &digits[0].1);
    folder.fails(&with(&["--inputs", "inputs", "--max-work", "1k"]), &["--max-work"]);
    folder.write("net.tflite", &quantized().read("net.tflite"));
    folder.fails(&with(&FLOAT), &["cannot compare with", "net.tflite", "which takes 784 and returns 10"]);
    folder.write("net.tflite", b"not a network");
    folder.fails(&with(&FLOAT), &["cannot compare with", "net.tflite"]);
    for usage in
        [&["report", "net.safetensors"][..], &with(&["--float", "net.tflite"]), &with(&["--front-end", "picture"])]
    {
        folder.program_fails(Command::new(TEALIGHT).args(usage), 2, &["required"]);
    }
    let (folder, _) = Folder::compiled("add.000");
    std::fs::create_dir(folder.path("inputs")).unwrap();
    folder.fails(&with(&["--inputs", "inputs"]), &["one input", "it has 2 inputs"]);
}
