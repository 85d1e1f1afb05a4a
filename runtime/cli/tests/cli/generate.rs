//! `tealight generate`: text from a tiny model with random weights, and the cases that it refuses.

use crate::common::{Folder, TEALIGHT};
use std::process::{Command, Stdio};
use support::{F32, Llama, TOKENS, TRAINED};
use tealight_testing::gguf as support;

/// A folder with the model as `net.gguf` and, with a context of 12, as `net.safetensors`.
fn folder(change: impl Fn(&mut support::File)) -> Folder {
    let folder = Folder::new();
    let mut llama = Llama::new(31, F32, F32, true);
    change(&mut llama.file);
    folder.write("net.gguf", &llama.bytes());
    folder.succeeds(&["compile", "net.gguf", "-o", "net.safetensors", "--context", "12"]);
    folder
}

/// A folder with a model that has no end token.
fn endless() -> Folder {
    folder(|file| file.metadata.retain(|(key, _, _)| key != "tokenizer.ggml.eos_token_id"))
}

#[test]
fn the_text_goes_to_standard_output_and_the_speed_to_standard_error() {
    let folder = endless();
    let report = folder.json(&["generate", "net.safetensors", "-p", "hello", "-n", "6"]);
    assert_eq!(report["prompt_tokens"], serde_json::json!([14]));
    assert_eq!(report["tokens"].as_array().unwrap().len(), 6);
    assert_eq!((report["stop"].as_str(), report["context"].as_u64()), (Some("max_tokens"), Some(12)));
    assert!(report["answer_rate"].as_f64().unwrap() > 0.0);

    let outcome = folder.run(&["generate", "net.safetensors", "-p", "hello", "-n", "6"]);
    assert_eq!(outcome.out, report["text"].as_str().unwrap().to_string() + "\n");
    for part in ["prompt: 1 token,", "answer: 6 tokens,", "--max-tokens", "peak memory"] {
        assert!(outcome.err.contains(part), "no `{part}` in {}", outcome.err);
    }
    // The text is the vocabulary's text of the tokens; control tokens have none.
    let word = |token: &serde_json::Value| TOKENS[token.as_u64().unwrap() as usize];
    let text: String =
        report["tokens"].as_array().unwrap().iter().map(word).filter(|word| !word.starts_with('<')).collect();
    let plain = text.replace('Ġ', " ").replace('Ċ', "\n");
    assert!(text.contains('Ã') || report["text"] == plain, "{report}");
}

#[test]
fn a_gguf_file_gives_what_its_compiled_file_gives() {
    let folder = endless();
    let of = |model: &str| folder.json(&["generate", model, "-p", "a b", "-n", "8"])["tokens"].clone();
    assert_eq!(of("net.gguf"), of("net.safetensors"));
}

#[test]
fn any_number_of_threads_gives_the_same_text() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/charlm/charlm.safetensors");
    let of = |threads: &str| {
        Folder::new().json(&["generate", model, "-p", "The sea ", "-n", "24", "--threads", threads])["text"].clone()
    };
    let expected = of("1");
    for threads in ["2", "3"] {
        assert_eq!(of(threads), expected, "{threads} threads");
    }
}

#[test]
fn a_prompt_in_batches_gives_the_same_text_on_any_number_of_threads() {
    let folder = endless();
    let of = |model: &str, threads: &str| {
        let prompt = "hello hello hello a b";
        folder.json(&["generate", model, "-p", prompt, "-n", "4", "--threads", threads])
    };
    folder.succeeds(&["compile", "net.gguf", "-o", "one.safetensors", "--context", "24", "--batch", "1"]);
    let expected = of("one.safetensors", "1");
    assert!(expected["prompt_tokens"].as_array().unwrap().len() > 5, "{expected}");
    for batch in ["2", "3", "24"] {
        folder.succeeds(&["compile", "net.gguf", "-o", "many.safetensors", "--context", "24", "--batch", batch]);
        for threads in ["1", "3"] {
            let found = of("many.safetensors", threads);
            assert_eq!(found["tokens"], expected["tokens"], "batches of {batch}, {threads} threads");
        }
    }
    let refused = folder.run(&["compile", "net.gguf", "-o", "no.safetensors", "--context", "24", "--batch", "25"]);
    assert!(refused.err.contains("from 1 to 24"), "{}", refused.err);
}

#[test]
fn a_full_context_ends_the_text() {
    let folder = endless();
    let report = folder.json(&["generate", "net.safetensors", "-p", "aaaaaaa", "-n", "100"]);
    assert_eq!(report["stop"], "context");
    // 7 positions for the prompt, 5 for the part of the answer that was read; the last token is not read.
    assert_eq!(report["tokens"].as_array().unwrap().len(), 6);
    let outcome = folder.run(&["generate", "net.safetensors", "-p", "aaaaaaa", "-n", "100"]);
    assert!(outcome.err.contains("the context is full"), "{}", outcome.err);
    let report = folder.json(&["generate", "net.gguf", "-p", "aaaaaaa", "-n", "100"]);
    assert_eq!(report["tokens"].as_array().unwrap().len(), TRAINED as usize - 7 + 1);
}

#[test]
fn the_model_ends_its_text_itself() {
    let endless = endless();
    let tokens = endless.json(&["generate", "net.safetensors", "-p", "ab", "-n", "9"])["tokens"].clone();
    let fourth = tokens[3].as_u64().unwrap() as u32;
    let first = tokens.as_array().unwrap().iter().position(|token| *token == fourth).unwrap();
    // The same model, with its fourth token as the end token.
    let folder = folder(|file| file.u32("tokenizer.ggml.eos_token_id", fourth));
    let report = folder.json(&["generate", "net.safetensors", "-p", "ab", "-n", "9"]);
    assert_eq!(report["stop"], "end");
    assert_eq!(report["tokens"].as_array().unwrap()[..], tokens.as_array().unwrap()[..first]);
}

#[test]
fn a_seed_chooses_and_repeats() {
    let folder = endless();
    let of = |seed: &str| {
        let how = ["--temperature", "3", "--top-k", "9", "--top-p", "0.95", "--seed", seed];
        folder.json(&[&["generate", "net.safetensors", "-p", "a", "-n", "10"], &how[..]].concat())["tokens"].clone()
    };
    assert_eq!(of("1"), of("1"));
    assert_ne!(of("1"), of("2"));
}

#[test]
fn formats_a_question_with_the_models_template() {
    let folder = endless();
    // `b` for the user, then what the user says, then `a` for the assistant.
    let plain = folder.json(&["generate", "net.safetensors", "-p", "bhelloa", "-n", "1"]);
    let chat = folder.json(&["generate", "net.safetensors", "-p", "hello", "-n", "1", "--chat"]);
    assert_eq!(plain["prompt_tokens"], chat["prompt_tokens"]);
}

#[test]
fn the_prompt_may_come_from_standard_input() {
    let folder = endless();
    let expected = folder.json(&["generate", "net.safetensors", "-p", "he ab", "-n", "3"]);
    folder.write("prompt.txt", b"he ab");
    let mut command = Command::new(TEALIGHT);
    command.args(["generate", "net.safetensors", "-p", "-", "-n", "3", "--json"]);
    command.stdin(std::fs::File::open(folder.path("prompt.txt")).unwrap());
    let outcome = folder.run_program(&mut command);
    let report: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(report["tokens"], expected["tokens"]);
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let folder = endless();
    let mut command = Command::new(TEALIGHT);
    command.args(["generate", "net.gguf", "-p", "a"]).current_dir(folder.path("."));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}

#[test]
fn rejects_options_that_do_not_fit_with_the_reason() {
    let folder = endless();
    folder.fails(&["generate", "net.safetensors", "-p", ""], &["the prompt is empty"]);
    folder.fails(&["generate", "net.safetensors", "-p", "-x"], &["no tokens for", "\"-x\""]);
    let long = "a".repeat(13);
    folder.fails(&["generate", "net.safetensors", "-p", &long], &["13 tokens", "12 positions", "--context"]);
    folder.fails(&["generate", "none.safetensors", "-p", "a"], &["none.safetensors"]);
    folder.fails(&["compile", "net.gguf", "-o", "x.safetensors", "--context", "49"], &["49 positions", "at most 48"]);

    let (other, _) = Folder::compiled("conv2d.000");
    other.fails(&["generate", "net.safetensors", "-p", "a"], &["no tokenizer", ".gguf"]);

    let silent = self::folder(|file| file.metadata.retain(|(key, _, _)| key != "tokenizer.chat_template"));
    silent.fails(&["generate", "net.safetensors", "-p", "a", "--chat"], &["no chat template", "leave out --chat"]);
}

#[test]
fn wrong_options_are_usage_errors() {
    let folder = endless();
    let (other, _) = Folder::golden("conv2d.000");
    for (folder, args, parts) in [
        (&folder, &["generate", "net.safetensors", "-p", "a", "--temperature=-1"][..], &["0 or more"][..]),
        (&folder, &["generate", "net.safetensors", "-p", "a", "--top-p", "1.5"], &["at most 1"]),
        (&folder, &["generate", "net.safetensors", "-p", "a", "-n", "0"], &["--max-tokens"]),
        (&folder, &["generate", "net.safetensors"], &["--prompt"]),
        (&folder, &["compile", "net.gguf", "-o", "x", "--quantize", "q8_0"], &["stay as they are"]),
        (&other, &["compile", "net.tflite", "-o", "x", "--context", "9"], &["only a language model"]),
    ] {
        folder.program_fails(Command::new(TEALIGHT).args(args), 2, parts);
    }
}
