//! Tests that time and memory of compiling are bounded by the file's size, whatever the file states.
//!
//! Peaks of memory are measured. Where time is the subject, a fault would do thousands of times the right amount of
//! work, and the test would not end.
#![allow(clippy::unwrap_used)]

use peak_alloc::PeakAlloc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tealight_compiler::builder::compile_kernel_graph;
use tealight_compiler::gguf::{GgufOptions, compile_gguf};
use tealight_compiler::graph::Graph;
use tealight_compiler::{BlockType, CompileError, Compiled, Options, compile_tflite, import_tflite};
use tealight_format::Model;
use tealight_testing::gguf::{self, Llama};
use tealight_testing::llama::{Sizes, Stored, graph};
use tealight_testing::tflite::{
    self, ADD, CONCATENATION, CUSTOM, DEPTHWISE_CONV_2D, F32, FULLY_CONNECTED, File, GATHER, I8, NONE, RELU,
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Held by each test, so that memory allocated by others is not measured.
static MEASURING: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processor time of this thread; where the system does not have it, the time of the clock.
fn processor_time() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    }
    #[cfg(not(unix))]
    {
        static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }
}

/// Runs `work`, which must allocate at most `most` MiB at a time in addition to what is allocated, and take at most a
/// minute of this thread's processor time, however busy the machine is.
fn within<T>(most: f32, work: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let (before, start) = (MEMORY.current_usage_as_mb(), processor_time());
    let result = work();
    let (took, time) = (MEMORY.peak_usage_as_mb() - before, processor_time() - start);
    println!("{took:.1} MiB, {:.2} s", time.as_secs_f32());
    assert!(took <= most, "it took {took} MiB, more than {most}");
    assert!(time < Duration::from_secs(60), "it took {time:?}");
    result
}

fn compile(file: &[u8]) -> Result<Compiled, CompileError> {
    compile_tflite(file, &Options::default())
}

/// A file of a million bytes with `count` buffers, each a range that starts at byte `16 + start(k)`, and a chain of ADD
/// that reads them all.
fn ranges(count: i32, start: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut file = File::default();
    let x = file.tensor("x", I8, &[1_000_000], NONE);
    file.inputs.push(x);
    let mut y = x;
    file.buffer(&vec![1; 1_200_000]);
    for k in 0..count {
        let buffer = file.range(16 + start(k as u64), 1_000_000);
        let (w, sum) = (file.tensor("w", I8, &[1_000_000], buffer), file.tensor("sum", I8, &[1_000_000], NONE));
        file.node(ADD, &[y, w], &[sum], None);
        y = sum;
    }
    file.outputs.push(y);
    file.bytes()
}

#[test]
fn buffers_that_name_the_same_bytes_share_them_in_memory_and_in_the_file() {
    let _alone = alone();
    let file = ranges(200, |_| 0);
    let compiled = within(64.0, || compile(&file)).unwrap();
    assert!(compiled.bytes.len() < 1_100_000, "{}", compiled.bytes.len());
    assert_eq!(Model::parse(&compiled.bytes).unwrap().op_count(), 200);
    // As many as a graph can list; they are only read.
    let file = ranges(60_000, |_| 0);
    let graph: Graph = within(150.0, || import_tflite(&file)).unwrap();
    let held: usize = graph.tensors.iter().filter_map(|tensor| tensor.bytes()).map(<[u8]>::len).sum();
    assert_eq!(held, 60_000_000_000);
}

#[test]
fn constants_that_are_many_times_the_file_are_refused_with_the_tensor_and_both_sizes() {
    let _alone = alone();
    let file = ranges(100, |k| k);
    let error = within(64.0, || compile(&file)).unwrap_err();
    let CompileError::Memory { what, needed: 68_000_000, limit: 67_108_864 } = &error else { panic!("{error}") };
    assert_eq!(what, "the constants up to `w`");
    assert!(error.to_string().contains("--max-memory"), "{error}");
    // With a higher limit they are accepted.
    let options = Options { max_memory: Some(1 << 30), ..Options::default() };
    let compiled = compile_tflite(&file, &options).unwrap();
    assert_eq!(compiled.report.weights_bytes, 100_000_000);
}

#[test]
fn a_limit_is_what_constants_may_take_to_the_byte() {
    let _alone = alone();
    let options = |max_memory| Options { max_memory: Some(max_memory), ..Options::default() };
    let file = ranges(1, |_| 0);
    compile_tflite(&file, &options(1_000_000)).unwrap();
    assert!(matches!(compile_tflite(&file, &options(999_999)), Err(CompileError::Memory { .. })));
}

#[test]
fn rejects_too_many_tensors_before_allocating_them() {
    let _alone = alone();
    let mut file = File::default();
    let table = file.table("x", F32, &[1], NONE);
    file.tensors = vec![table; 300_000];
    // A larger file may list more.
    file.buffer(&vec![0; 8_000_000]);
    let file = file.bytes();
    let error = within(16.0, || compile(&file)).unwrap_err().to_string();
    assert!(error.contains("300000 tensors; at most 262144"), "{error}");
}

#[test]
fn does_not_copy_a_name_of_a_megabyte_for_every_node() {
    let _alone = alone();
    let name = "n".repeat(1 << 20);
    let mut file = File::default();
    let (bytes, mut y) = (file.buffer(&[1; 16]), file.tensor("x", I8, &[1, 4], NONE));
    file.inputs.push(y);
    let w = file.tensor(&name, I8, &[4, 4], bytes);
    for _ in 0..300 {
        let next = file.tensor("y", I8, &[1, 4], NONE);
        file.node(FULLY_CONNECTED, &[y, w], &[next], None);
        y = next;
    }
    file.outputs.push(y);
    let file = file.bytes();
    within(64.0, || compile(&file)).unwrap();

    let mut file = File::default();
    let x = file.tensor("x", I8, &[1], NONE);
    file.inputs.push(x);
    for _ in 0..20_000 {
        let y = file.tensor("y", I8, &[1], NONE);
        file.custom_node(CUSTOM, &name, &[x], &[y], None);
        file.outputs.push(y);
    }
    let file = file.bytes();
    let error = within(64.0, || compile(&file)).unwrap_err().to_string();
    assert!(error.contains("CUSTOM nnnn"), "{}", error.len());
}

#[test]
fn weights_that_many_layers_share_are_stored_in_another_type_once() {
    let _alone = alone();
    let chain = |last: f32| {
        let mut file = File::default();
        let weights: Vec<u8> =
            (0..250_000).flat_map(|k| if k == 249_999 { last } else { 0.5f32 }.to_le_bytes()).collect();
        let (bytes, mut y) = (file.buffer(&weights), file.tensor("x", F32, &[1, 500], NONE));
        file.inputs.push(y);
        for _ in 0..300 {
            let (w, next) = (file.tensor("w", F32, &[500, 500], bytes), file.tensor("y", F32, &[1, 500], NONE));
            file.node(FULLY_CONNECTED, &[y, w], &[next], None);
            y = next;
        }
        file.outputs.push(y);
        file.bytes()
    };
    let options = Options { f16: true, ..Options::default() };
    for (last, bytes) in [(0.5, 500_000), (1e9, 1_000_000)] {
        let file = chain(last);
        assert_eq!(within(32.0, || compile_tflite(&file, &options)).unwrap().report.weights_bytes, bytes);
    }
}

#[test]
fn weights_that_many_layers_share_are_summed_once() {
    let _alone = alone();
    let mut file = File::default();
    let (bytes, mut y) = (file.buffer(&vec![1; 1_000_000]), file.tensor("x", I8, &[1, 1000], NONE));
    file.inputs.push(y);
    let w = file.tensor("w", I8, &[1000, 1000], bytes);
    // Each layer has 12 kB of channels. If the weights were read again for every layer, it would take minutes.
    for _ in 0..5000 {
        let next = file.tensor("y", I8, &[1, 1000], NONE);
        file.node(FULLY_CONNECTED, &[y, w], &[next], None);
        y = next;
    }
    file.outputs.push(y);
    let file = file.bytes();
    let compiled = within(256.0, || compile(&file)).unwrap();
    // One table of channels: all layers have the same scales.
    assert_eq!(compiled.report.weights_bytes, 1_000_000 + 12_000);
}

#[test]
fn tables_of_channels_are_counted() {
    let _alone = alone();
    // As many channels as weights: each layer's table is twelve times the weights.
    let mut file = File::default();
    let (bytes, mut y) = (file.buffer(&vec![0; 100_000]), file.tensor("x", I8, &[1, 1, 1, 100_000], NONE));
    file.inputs.push(y);
    let w = file.tensor("w", I8, &[1, 1, 1, 100_000], bytes);
    for _ in 0..1000 {
        let next = file.tensor("y", I8, &[1, 1, 1, 100_000], NONE);
        // VALID padding, strides and dilations 1.
        file.node(DEPTHWISE_CONV_2D, &[y, w], &[next], Some((2, &[1, 1, 1, 0, 0, 1, 1])));
        y = next;
    }
    file.outputs.push(y);
    let file = file.bytes();
    let options = Options { max_memory: Some(7_000_000), ..Options::default() };
    let error = within(20.0, || compile_tflite(&file, &options)).unwrap_err().to_string();
    assert!(error.contains("the constants up to `w.channels` would take 72000"), "{error}");
}

#[test]
fn gathering_nothing_many_times_ends() {
    let _alone = alone();
    let mut file = File::default();
    let indices: Vec<u8> = [0i32; 1000].iter().flat_map(|index| index.to_le_bytes()).collect();
    let (empty, indices) = (file.buffer(&[]), file.buffer(&indices));
    let x = file.tensor("x", I8, &[i32::MAX, 1, 0], empty);
    let indices = file.tensor("indices", tflite::I32, &[1000], indices);
    let y = file.tensor("y", I8, &[i32::MAX, 1000, 0], NONE);
    file.node(GATHER, &[x, indices], &[y], Some((23, &[1])));
    let z = file.tensor("z", I8, &[i32::MAX, 2000, 0], NONE);
    file.node(CONCATENATION, &[y, y], &[z], Some((10, &[1])));
    let [from, to] = ["from", "to"].map(|name| file.tensor(name, I8, &[1], NONE));
    file.node(RELU, &[from], &[to], None);
    (file.inputs, file.outputs) = (vec![from], vec![z, to]);
    let file = file.bytes();
    // A session cannot return a tensor without elements, so the output is removed.
    let compiled = within(16.0, || compile(&file)).unwrap();
    assert_eq!(
        compiled.report.notes,
        [format!("output `z` int8[{}, 2000, 0] has no elements, and is left out", i32::MAX)]
    );
}

/// A chain of RELU, or as many in parallel.
fn relus(count: i32, beside: bool) -> Vec<u8> {
    let mut file = File::default();
    let x = file.tensor("x", F32, &[4], NONE);
    file.inputs.push(x);
    let (table, mut last) = (file.table("y", F32, &[4], NONE), x);
    for _ in 0..count {
        let y = file.listed_tensor(table);
        file.node(RELU, &[if beside { x } else { last }], &[y], None);
        last = y;
        if beside {
            file.outputs.push(y);
        }
    }
    if !beside {
        file.outputs.push(last);
    }
    file.bytes()
}

#[test]
fn compiles_long_chains_up_to_the_maximum_of_operators() {
    let _alone = alone();
    let file = relus(1500, false);
    let compiled = within(64.0, || compile(&file)).unwrap();
    // In place: one buffer, and one row.
    assert!(compiled.report.arena_len <= 32, "{}", compiled.report.arena_len);
    let error = within(300.0, || compile(&relus(65_535, false))).unwrap_err().to_string();
    assert!(error.contains("65535 operators; a model file holds up to 65534"), "{error}");
}

#[test]
fn plans_branches_and_rejects_too_many() {
    let _alone = alone();
    let file = relus(60, true);
    assert_eq!(within(64.0, || compile(&file)).unwrap().report.arena_len, 61 * 16);
    let error = within(200.0, || compile(&relus(10_000, true))).unwrap_err().to_string();
    assert!(error.contains("10001 tensors are live at once") && error.contains("up to 256"), "{error}");
}

#[test]
fn an_output_that_is_listed_very_often_is_refused() {
    let _alone = alone();
    let mut file = File::default();
    let (x, y) = (file.tensor("x", F32, &[4], NONE), file.tensor("y", F32, &[4], NONE));
    file.node(RELU, &[x], &[y], None);
    (file.inputs, file.outputs) = (vec![x], vec![y; 100_000]);
    let file = file.bytes();
    let error = within(200.0, || compile(&file)).unwrap_err().to_string();
    assert!(error.contains("a model file holds up to 65534"), "{error}");
}

/// A `llama` file with only its metadata.
fn bare(sizes: &[(&str, u32)]) -> gguf::File {
    let mut file = Llama::new(1, gguf::F32, gguf::F32, false).file;
    file.tensors.clear();
    sizes.iter().for_each(|(key, value)| file.u32(&format!("llama.{key}"), *value));
    file
}

fn refused(file: &gguf::File, context: Option<u32>) -> String {
    let bytes = file.bytes();
    within(4.0, || compile_gguf(&bytes, &GgufOptions { context, batch: None }, &Options::default()))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_context_is_checked_before_anything_is_made_for_it() {
    let _alone = alone();
    let mut file = Llama::new(1, gguf::F32, gguf::F32, false).file;
    file.u32("llama.context_length", u32::MAX);
    // Keys and values of two heads of 16 elements.
    for context in [u32::MAX, 4_000_000] {
        let error = refused(&file, Some(context));
        let bytes = u64::from(context) * 256;
        assert!(error.contains(&format!("{context} positions takes {bytes} bytes")), "{error}");
        assert!(error.contains("up to 1048575 positions"), "{error}");
    }
    // All layers together exceed the limit.
    let file = bare(&[("block_count", 60_000), ("context_length", u32::MAX)]);
    assert!(refused(&file, None).contains("up to 279 positions"), "{}", refused(&file, None));
    // The largest head, without a byte of it in the file.
    let widest = [("embedding_length", 65_534), ("attention.head_count", 1), ("attention.head_count_kv", 1)];
    let mut file = bare(&[&widest[..], &[("rope.dimension_count", 65_534), ("context_length", 500)]].concat());
    assert!(refused(&file, None).contains("`token_embd.weight` is missing"));
    file.u32("llama.context_length", u32::MAX);
    assert!(refused(&file, None).contains("a context of 1024 positions"));
}

#[test]
fn rope_tables_are_counted() {
    let _alone = alone();
    let mut file = bare(&[("embedding_length", 2048), ("attention.head_count", 1), ("attention.head_count_kv", 1)]);
    file.u32("llama.rope.dimension_count", 2048);
    file.u32("llama.context_length", 16_000);
    let embedding = gguf::Tensor {
        name: "token_embd.weight".into(),
        shape: vec![gguf::TOKENS.len() as u64, 2048],
        kind: 0,
        bytes: vec![0; 4 * 2048 * gguf::TOKENS.len()],
    };
    file.tensors.push(embedding);
    let error = refused(&file, Some(16_000));
    assert!(error.contains("rope tables for 16000 positions of 2048 elements would take 131072000 bytes"), "{error}");
}

#[test]
fn counts_are_checked_against_the_remaining_bytes() {
    let _alone = alone();
    let counts = |tensors: u64, entries: u64, rest: &[u8]| {
        let head = [&b"GGUF"[..], &3u32.to_le_bytes(), &tensors.to_le_bytes(), &entries.to_le_bytes()].concat();
        let bytes = [&head[..], rest].concat();
        within(4.0, || compile_gguf(&bytes, &GgufOptions::default(), &Options::default())).unwrap_err().to_string()
    };
    for (tensors, entries, what) in [
        (u64::MAX, 0, "18446744073709551615 tensors"),
        (4, 0, "4 tensors"),
        (0, 1 << 60, "1152921504606846976 metadata"),
    ] {
        let error = counts(tensors, entries, &[0; 100]);
        assert!(error.contains("damaged at byte 24") && error.contains(what), "{error}");
    }
    // A list `a` of bytes, strings, lists.
    for (kind, count) in [(0u32, 1u64 << 62), (8, 1 << 60), (9, 9), (4, 26), (12, 13)] {
        let list = [&1u64.to_le_bytes()[..], b"a", &9u32.to_le_bytes(), &kind.to_le_bytes(), &count.to_le_bytes()];
        let error = counts(0, 1, &[&list.concat()[..], &[0; 100]].concat());
        assert!(error.contains(&format!("{count} items of a list")), "{error}");
    }
}

#[test]
fn long_lists_are_read_without_a_copy_of_every_item() {
    let _alone = alone();
    let mut file = bare(&[]);
    let kinds = [&0u32.to_le_bytes()[..], &8_000_000u64.to_le_bytes(), &vec![1; 8_000_000]].concat();
    file.entry("tokenizer.ggml.token_type", 9, kinds);
    let bytes = file.bytes();
    let error = within(32.0, || compile_gguf(&bytes, &GgufOptions::default(), &Options::default())).unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[test]
fn tensors_that_name_the_same_bytes_share_them() {
    let _alone = alone();
    // Forty layers of seven matrices of 512 x 512 in f32, all of them the same megabyte.
    let mut file = bare(&[
        ("block_count", 40),
        ("embedding_length", 512),
        ("feed_forward_length", 512),
        ("attention.head_count", 8),
        ("attention.head_count_kv", 8),
        ("rope.dimension_count", 64),
    ]);
    let mut add = |name: &str, shape: &[u64], bytes: Vec<u8>| {
        let (name, shape) = (format!("{name}.weight"), shape.to_vec());
        file.tensors.push(gguf::Tensor { name, shape, kind: 0, bytes });
    };
    add("token_embd", &[gguf::TOKENS.len() as u64, 512], vec![0; 2048 * gguf::TOKENS.len()]);
    add("output_norm", &[512], vec![0; 2048]);
    for layer in 0..40 {
        for name in ["attn_norm", "ffn_norm"] {
            add(&format!("blk.{layer}.{name}"), &[512], Vec::new());
        }
        for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] {
            add(&format!("blk.{layer}.{name}"), &[512, 512], Vec::new());
        }
    }
    // Tensors without their own bytes all begin at the same offset, that of this last megabyte.
    let bytes = [file.bytes(), vec![0; 1 << 20]].concat();
    let compiled = within(32.0, || compile_gguf(&bytes, &GgufOptions::default(), &Options::default())).unwrap();
    assert!(compiled.bytes.len() < 2_000_000, "{}", compiled.bytes.len());
}

#[test]
fn rejects_invalid_hyperparameters() {
    let _alone = alone();
    let norm = "llama.attention.layer_norm_rms_epsilon";
    let base = "llama.rope.freq_base";
    for (key, value) in [
        (norm, f32::NAN),
        (norm, -1e-5),
        (norm, f32::INFINITY),
        (norm, 2.0),
        (base, f32::NAN),
        (base, 0.0),
        (base, -10_000.0),
        (base, f32::INFINITY),
        (base, 1e30),
        ("llama.rope.scaling.factor", f32::NAN),
        ("llama.rope.scaling.factor", 8.0),
        ("llama.rope.scale_linear", 0.5),
    ] {
        let mut file = Llama::new(1, gguf::F32, gguf::F32, false).file;
        file.f32(key, value);
        let error = refused(&file, None);
        assert!(error.contains(key), "{value}: {error}");
        // In double precision too.
        file.entry(key, 12, f64::from(value).to_le_bytes().to_vec());
        assert!(refused(&file, None).contains(key), "{value}");
    }
    // A factor of 1 changes nothing.
    let mut file = Llama::new(1, gguf::F32, gguf::F32, false).file;
    file.f32("llama.rope.scaling.factor", 1.0);
    compile_gguf(&file.bytes(), &GgufOptions::default(), &Options::default()).unwrap();
}

#[test]
fn compiles_a_language_model_of_thirty_layers() {
    let _alone = alone();
    // The sizes of a model with 135 million weights.
    let sizes = Sizes { vocabulary: 49152, layers: 30, heads: 9, kv_heads: 3, depth: 64, hidden: 1536, capacity: 512 };
    let graph = graph(sizes, Stored::Sized(BlockType::Q4_0), 1);
    // The file that is written, and what is written of it at a time.
    let compiled = within(180.0, || compile_kernel_graph(graph, b"", &Options::default())).unwrap();
    assert!(compiled.report.weights_bytes > 70_000_000);
}
