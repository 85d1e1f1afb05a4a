//! Hostile files: whatever they contain, a command ends by itself with exit code 0, 1 or 2, within time and 1 GiB, and
//! its output is valid text.

use crate::common::{Folder, Outcome, TEALIGHT, npy};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use tealight::Model;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::{F32, I32};
use tealight_compiler::{Options, Vocabulary};
use tealight_format::ops::{BatchMatMulF32, BinaryF32, UnaryF32, UnaryFunction};
use tealight_format::{MAX_HEADER, Operator};
use tealight_testing::build;

/// Runs `tealight` with an address space of 1 GiB and 30 seconds of processor time (10 are enough for an optimized
/// build), and checks that it ends with one of its exit codes.
fn guarded(folder: &Folder, args: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    // If the system does not limit the address space, the rest is still checked. At the limit of time a signal ends it.
    command.args(["-c", "ulimit -t 30; ulimit -v 1048576 2>/dev/null; exec \"$@\"", "sh", TEALIGHT]).args(args);
    command.current_dir(folder.path(".")).process_group(0).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let outcome = Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(matches!(outcome.code, Some(0..=2)), "{args:?}: {:?} {}", output.status, outcome.err);
    for text in [&outcome.out, &outcome.err] {
        let obeyed = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
        assert!(!text.contains(obeyed), "{args:?}: {text:?}");
        assert!(!text.contains("internal error") && !text.contains("panicked"), "{args:?}: {text}");
    }
    outcome
}

/// Runs a command that must fail with these parts in its message.
fn refused(folder: &Folder, args: &[&str], parts: &[&str]) {
    let outcome = guarded(folder, args);
    assert_eq!(outcome.code, Some(1), "{args:?}: {}", outcome.out);
    for part in parts {
        assert!(outcome.err.contains(part), "{args:?}: no `{part}` in {}", outcome.err);
    }
}

/// A folder with one model, `net.safetensors`.
fn folder(model: &[u8]) -> Folder {
    let folder = Folder::new();
    folder.write("net.safetensors", model);
    folder
}

/// The output is -x for each element of an input of this shape.
fn negative(shape: &[u32], options: &Options) -> Vec<u8> {
    let mut b = Builder::new();
    let x = b.input("x", F32, shape);
    let neg = UnaryF32 { function: UnaryFunction::Neg };
    let y = b.op("y", Operator::UnaryF32(neg), [x], F32, shape);
    b.output(y);
    compile_kernel_graph(b.finish(), b"", options).unwrap().bytes
}

#[cfg(feature = "generate")]
mod language {
    use super::*;
    use tealight_compiler::Bpe;
    use tealight_format::ops::GatherF32;

    const TOKENS: [&str; 4] = ["a", "b", "ab", "aa"];

    /// A language model that looks up the scores of a token in a table.
    fn model(chat_template: Option<&str>) -> Vec<u8> {
        let mut b = Builder::new();
        let token = b.input("token", I32, &[1]);
        let table = b.floats("table", &[4, 4], &[0.0; 16]);
        let scores = b.op("scores", Operator::GatherF32(GatherF32), [token, table], F32, &[1, 4]);
        b.output(scores);
        let vocabulary = Vocabulary::Bpe(Bpe {
            tokens: TOKENS.map(String::from).to_vec(),
            kinds: vec![1; 4],
            merges: vec![[0, 1], [0, 0]],
            pre: "gpt-2".into(),
            chat_template: chat_template.map(String::from),
            ..Bpe::default()
        });
        let options = Options { vocabulary: Some(vocabulary), ..Options::default() };
        compile_kernel_graph(b.finish(), b"", &options).unwrap().bytes
    }

    /// The model with the bytes of its constant `name` changed.
    fn with(name: &str, change: impl Fn(&mut [u8])) -> Vec<u8> {
        let mut bytes = model(None);
        let parsed = Model::parse(&bytes).unwrap();
        let index = parsed.constant_names().position(|constant| constant == name).unwrap();
        let constant = parsed.constant(&parsed.value(index));
        let at = constant.as_ptr() as usize - bytes.as_ptr() as usize;
        let range = at..at + constant.len();
        change(&mut bytes[range]);
        bytes
    }

    #[test]
    fn rejects_a_template_over_its_limits() {
        let in_turns = |step: &str| {
            format!("{{% set ns = namespace(x='xxxxxxxx') %}}{{% for i in range(60) %}}{step}{{% endfor %}}")
        };
        let chain = |start: &str, link: &str, end: &str| {
            format!("{start}{}{end}", link.repeat((65_536 - start.len() - end.len()) / link.len()))
        };
        for template in [
            in_turns("{% set ns.x = ns.x ~ ns.x %}"),
            in_turns("{% set ns.x = ns.x + ns.x %}"),
            in_turns("{% set ns.x = ns.x * 10000 %}") + "{{ ns.x|length }}",
            in_turns("{% set ns.x = ns.x|replace('x', ns.x) %}"),
            in_turns("{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}"),
            in_turns("{% set ns.x = [ns.x, ns.x] %}") + "{{ ns.x }}",
            in_turns("{% set ns.x = [ns.x, ns.x] %}") + "{{ ns.x|string|length }}",
            "{{ (range(100000)|list * 1000000)|list }}".into(),
            "{{ (range(10) * 10000000000)|sum }}".into(),
            "{{ '%0999999999d'|format(1) }}".into(),
            "{{ 'a\nb'|indent(4000000000) }}".into(),
            "{% for i in range(100000) %}{{ range(100000)|list }}{% endfor %}".into(),
            "{% for i in range(100000) %}{% for i in range(100000) %}{% endfor %}{% endfor %}".into(),
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(),
            "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}".into(),
            chain("{{a", "[:]", "}}"),
            chain("{{", "-", "x}}"),
            chain("{%set ", "(", "=1%}"),
            "x".repeat(65_537),
        ] {
            let folder = folder(&model(Some(&template)));
            let args = ["generate", "net.safetensors", "--chat", "-p", "ab", "-n", "2"];
            refused(&folder, &args, &["the model's chat template failed", "leave out --chat"]);
        }
    }

    #[test]
    fn renders_a_common_template() {
        let template = "{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t ~ m.content %}{% endfor %}\
                        {% macro both(x) %}{{ x }}{{ x }}{% endmacro %}{{ both(ns.t) }}";
        let folder = folder(&model(Some(template)));
        let report = folder.json(&["generate", "net.safetensors", "--chat", "-p", "ab", "-n", "2"]);
        assert_eq!(report["prompt_tokens"], serde_json::json!([2, 2]));
    }

    #[test]
    fn rejects_an_inconsistent_tokenizer_and_names_the_part() {
        let args = ["generate", "net.safetensors", "-p", "abaa", "-n", "2"];
        assert_eq!(folder(&with("tokenizer.merges", |_| {})).run(&args).code, Some(0));
        for (name, file) in [
            ("tokenizer.merges", with("tokenizer.merges", |merges| merges[0] = 1)),
            ("tokenizer.merges", with("tokenizer.merges", |merges| merges[4] = 4)),
            ("tokenizer.merges", with("tokenizer.merges", |merges| merges.fill(0xff))),
            ("tokenizer.tokens", with("tokenizer.tokens", |tokens| tokens[0] = 0)),
            ("tokenizer.tokens", with("tokenizer.tokens", |tokens| tokens[0] = b'b')),
            ("tokenizer.tokens", with("tokenizer.tokens", |tokens| tokens[0] = 0xff)),
            ("tokenizer.tokens", with("tokenizer.tokens", |tokens| *tokens.last_mut().unwrap() = b'x')),
            ("tokenizer.tokens", with("tokenizer.tokens", |tokens| tokens.fill(0))),
            ("tokenizer.kinds", with("tokenizer.kinds", |kinds| kinds[1] = 0)),
            ("tokenizer.kinds", with("tokenizer.kinds", |kinds| kinds[3] = 200)),
        ] {
            refused(&folder(&file), &args, &["the model's tokenizer is damaged", name]);
        }
    }

    #[test]
    fn a_token_that_costs_too_much_is_refused_with_the_option() {
        let folder = folder(&model(None));
        let args = ["generate", "net.safetensors", "-p", "ab", "--max-work", "1"];
        refused(&folder, &args, &["--max-work", "units of about a multiply-accumulate"]);
    }
}

#[test]
fn escapes_the_text_of_a_file_in_reports_and_messages() {
    const HOSTILE: &str = "\x1b]0;owned\x07\u{9b}2J\u{202e}\n\r";
    // A header contains no escaped characters, so a name can only contain characters that need no escape in JSON.
    let name = Some("x\u{9b}2J\u{202e}".to_string());
    let options = Options { name, labels: vec![HOSTILE.into(); 3], ..Options::default() };
    let folder = folder(&negative(&[1, 3], &options));
    folder.write("0.bin", &[0; 12]);
    let board = format!("id = {HOSTILE:?}\nname = 'x'\ncore = {HOSTILE:?}\nstack = 0\n");
    let board = board.replace("\\u{", "\\U{").replace("{1b}", "0000001b").replace("{7}", "00000007");
    let board = board.replace("\\U{9b}", "\\u009b").replace("\\U{202e}", "\\u202e");
    folder.write("b.toml", (board + "[memory.flash]\nlength = 9\n[memory.ram]\nlength = 9\n").as_bytes());
    folder.write("x.npy", &npy("\x1b[2J", "(1, 3)", &[0; 12]));
    for (args, parts) in [
        (
            &["inspect", "net.safetensors", "--board", "b.toml"][..],
            &["x\\u{9b}2J\\u{202e}: ", "\\u{1b}]0;owned", "labels"][..],
        ),
        (&["inspect", "net.safetensors", "--json"], &["\\u001b]0;owned\\u0007\\u009b2J\\u202e\\n\\r"]),
        (&["run", "net.safetensors", "-i", "0.bin"], &["\\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{202e}\\n\\r"]),
        (&["run", "net.safetensors", "-i", "0.bin", "--json"], &["\\u001b]0;owned\\u0007\\u009b2J"]),
        (&["run", "net.safetensors", "-i", "x.npy"], &["found type '\\u{1b}[2J'"]),
        (&["run", "net.safetensors", "-i", "\x1b[2J"], &["cannot read `\\u{1b}[2J`"]),
    ] {
        let outcome = guarded(&folder, args);
        let said = outcome.out.clone() + &outcome.err;
        assert!(parts.iter().all(|part| said.contains(part)), "{args:?}: {said}");
        if args.contains(&"--json") {
            let report: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
            let label = report["labels"].get(0).or_else(|| report["results"][0][0][0].get("label"));
            assert_eq!(label.unwrap(), HOSTILE);
        }
    }
}

#[test]
fn a_model_that_asks_for_too_much_memory_is_inspected_and_not_run() {
    // Tensors of 200 MB in a file of a kilobyte.
    let (mut b, shape) = (Builder::new(), [50_000_000]);
    let inputs = [(); 4].map(|()| b.input("x", F32, &shape));
    let add = Operator::AddF32(BinaryF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] });
    let sum = inputs.into_iter().reduce(|sum, x| b.op("sum", add, [sum, x], F32, &shape)).unwrap();
    b.output(sum);
    let folder = folder(&compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap().bytes);
    folder.write("0.bin", &[0; 4]);
    let run = ["run", "net.safetensors", "-i", "0.bin", "-i", "0.bin", "-i", "0.bin", "-i", "0.bin"];
    refused(&folder, &run, &["1,000,000,000 B for its arena", "536,870,912 B", "--max-memory 1000000000"]);
    assert_eq!(guarded(&folder, &["inspect", "net.safetensors"]).code, Some(0));
    // With the option, the command continues to the input, which does not fit.
    refused(&folder, &[&run[..], &["--max-memory", "1G"]].concat(), &["200,000,000 B"]);
    for size in ["1.5G", "x", "-1"] {
        assert_eq!(guarded(&folder, &[&run[..], &["--max-memory", size]].concat()).code, Some(2));
    }
}

#[test]
fn a_model_that_asks_for_too_much_work_is_refused_with_the_option() {
    let mut b = Builder::new();
    let x = b.input("x", F32, &[4096, 4096]);
    let product = Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a: false, transpose_b: false });
    let y = b.op("y", product, [x, x], F32, &[4096, 4096]);
    b.output(y);
    let folder = folder(&compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap().bytes);
    folder.write("0.bin", &[0; 4]);
    let run = ["run", "net.safetensors", "-i", "0.bin"];
    refused(&folder, &run, &["412,518,", "8,000,000,000 of --max-work", "give --max-work 412"]);
    refused(&folder, &[&run[..], &["--max-work", "420G"]].concat(), &["67,108,864 B"]);
    assert_eq!(guarded(&folder, &[&run[..], &["--max-work", "1GiB"]].concat()).code, Some(2));
}

#[test]
fn a_large_output_is_not_listed_in_memory() {
    let folder = folder(&negative(&[10_000_000], &Options::default()));
    folder.write("0.bin", &[0; 40_000_000]);
    let report = folder.json(&["run", "net.safetensors", "-i", "0.bin", "--top", "4"]);
    let indices: Vec<_> = report["results"][0][0].as_array().unwrap().iter().map(|s| s["index"].clone()).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    assert_eq!(guarded(&folder, &["run", "net.safetensors", "-i", "0.bin"]).code, Some(0));
}

#[test]
fn a_model_of_thousands_of_operators_is_inspected_in_time() {
    const COUNT: u16 = 3000;
    let mut parts = build::Parts { inputs: 1, outputs: vec![COUNT], ..build::Parts::default() };
    for i in 0..=COUNT {
        let place = 16 * u32::from(i % 2);
        parts.values.push(build::arena(&[3], place, (i.saturating_sub(1), i)));
    }
    for i in 0..COUNT {
        parts.op(Operator::Copy(tealight_format::ops::Copy), &[Some(i)], i + 1, None);
    }
    let folder = folder(&parts.file());
    let text = guarded(&folder, &["inspect", "net.safetensors"]).out;
    assert!(text.contains("3,000 operators") && text.lines().count() > 3000, "{text}");
    let report = folder.json(&["inspect", "net.safetensors"]);
    assert_eq!(report["layers"].as_array().unwrap().len(), 3000);
    assert_eq!(report["totals"]["live_bytes"], 32);
}

#[test]
fn rejects_names_and_labels_that_exceed_the_header() {
    let (folder, _) = Folder::golden("softmax.000");
    folder.write("labels.txt", "a label\n".repeat(600_000).as_bytes());
    let compile = ["compile", "net.tflite", "-o", "x.safetensors"];
    refused(&folder, &[&compile[..], &["--labels", "labels.txt"]].concat(), &["labels", "600000"]);
    assert!(!folder.path("x.safetensors").exists());

    let long = "x".repeat(MAX_HEADER as usize);
    let mut b = Builder::new();
    let x = b.input(&long, F32, &[1]);
    let neg = UnaryF32 { function: UnaryFunction::Neg };
    let y = b.op("y", Operator::UnaryF32(neg), [x], F32, &[1]);
    b.output(y);
    let many = Options { labels: vec!["a label".into(); MAX_HEADER as usize / 8], ..Options::default() };
    for options in [Options::default(), many] {
        let error = compile_kernel_graph(b.clone().finish(), b"", &options).err().unwrap().to_string();
        assert!(error.contains("too large") && error.len() < 1000, "{error}");
    }
}

#[test]
fn rejects_arrays_with_absurd_headers_at_once() {
    let folder = folder(&negative(&[2, 3], &Options::default()));
    let header = |version: u8, text: &str| {
        let len = (text.len() as u32).to_le_bytes();
        let len = if version == 1 { &len[..2] } else { &len };
        [b"\x93NUMPY", &[version, 0][..], len, text.as_bytes()].concat()
    };
    let dictionary = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {shape}, }}");
    for (version, text) in [
        (1, "{'descr': ".to_string() + &"(".repeat(60_000)),
        (1, "{".repeat(60_000)),
        (2, "{'descr': ".to_string() + &"[".repeat(5_000_000)),
        (2, format!("{{'descr': '{}', 'fortran_order': True, 'shape': (2, 3), }}", "\x1b".repeat(5_000_000))),
        (3, dictionary(&format!("({})", "2, ".repeat(1_000_000)))),
        (1, dictionary("(18446744073709551615, 18446744073709551615, 3)")),
        (1, dictionary("(18446744073709551616, 3)")),
        (1, dictionary("(0, 2, 3)")),
        (1, dictionary("(2, 0)")),
        (1, dictionary("(6148914691236517206, 2, 3)")),
        (9, dictionary("(2, 3)")),
    ] {
        folder.write("x.npy", &[header(version, &text), vec![0; 24]].concat());
        refused(&folder, &["run", "net.safetensors", "-i", "x.npy"], &["x.npy"]);
    }
    for bytes in [&b"\x93NUMPY\x02\x00\xff\xff\xff\xff"[..], b"\x93NUMPY\x03\x00\xff\xff\xff\xff{", b"\x93NUMPY", b""] {
        folder.write("x.npy", bytes);
        refused(&folder, &["run", "net.safetensors", "-i", "x.npy"], &["x.npy"]);
    }
    let trailing = [header(1, &dictionary("(2, 3)")), vec![0; 25]].concat();
    folder.write("x.npy", &trailing);
    refused(&folder, &["run", "net.safetensors", "-i", "x.npy"], &["does not match the 25 B"]);
}

#[test]
fn an_array_in_fortran_order_gives_what_the_same_in_c_order_gives() {
    let folder = folder(&negative(&[2, 3], &Options::default()));
    let elements = |order: [usize; 12]| order.iter().flat_map(|i| (*i as f32).to_le_bytes()).collect::<Vec<u8>>();
    let fortran = |file: Vec<u8>| String::from_utf8_lossy(&file[10..128]).replace("False", "True ").into_bytes();
    let in_order = npy("<f4", "(2, 2, 3)", &elements([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    let across = npy("<f4", "(2, 2, 3)", &elements([0, 6, 3, 9, 1, 7, 4, 10, 2, 8, 5, 11]));
    let across = [&across[..10], &fortran(across.clone()), &across[128..]].concat();
    folder.write("c.npy", &in_order);
    folder.write("f.npy", &across);
    for name in ["c", "f"] {
        let (input, output) = (format!("{name}.npy"), format!("{name}.bin"));
        folder.succeeds(&["run", "net.safetensors", "-i", &input, "-o", &output]);
    }
    assert_eq!(folder.read("c.bin"), folder.read("f.bin"));
    let output: Vec<u8> = (0..12u8).flat_map(|i| (-f32::from(i)).to_le_bytes()).collect();
    assert_eq!(folder.read("c.bin"), output);
}
