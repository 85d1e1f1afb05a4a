//! Small GGUF files, written by hand: the output of a converter for a tiny `llama`.

use crate::rng::Rng;
use std::collections::BTreeMap;

/// A GGUF file under construction.
#[derive(Clone)]
pub struct File {
    pub version: u32,
    /// The alignment of tensors that is written; 32 is the default and is not written.
    pub alignment: u32,
    /// Key, type and bytes of each entry.
    pub metadata: Vec<(String, u32, Vec<u8>)>,
    pub tensors: Vec<Tensor>,
}

/// A tensor of a file.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    /// Outermost first.
    pub shape: Vec<u64>,
    /// GGML's code.
    pub kind: u32,
    pub bytes: Vec<u8>,
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Default for File {
    fn default() -> Self {
        Self { version: 3, alignment: 32, metadata: Vec::new(), tensors: Vec::new() }
    }
}

impl File {
    /// Sets an entry, replacing one with the same key.
    pub fn entry(&mut self, key: &str, kind: u32, value: Vec<u8>) {
        self.metadata.retain(|(old, _, _)| old != key);
        self.metadata.push((key.into(), kind, value));
    }

    pub fn u32(&mut self, key: &str, value: u32) {
        self.entry(key, 4, value.to_le_bytes().to_vec());
    }

    pub fn f32(&mut self, key: &str, value: f32) {
        self.entry(key, 6, value.to_le_bytes().to_vec());
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.entry(key, 8, string(value));
    }

    pub fn texts(&mut self, key: &str, values: &[&str]) {
        let head = [&8u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        self.entry(key, 9, [head, values.iter().flat_map(|value| string(value)).collect()].concat());
    }

    pub fn integers(&mut self, key: &str, values: &[i32]) {
        let head = [&5u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        self.entry(key, 9, [head, values.iter().flat_map(|value| value.to_le_bytes()).collect()].concat());
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).expect("the tensor is there")
    }

    /// The whole file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut metadata = self.metadata.clone();
        if self.alignment != 32 {
            metadata.push(("general.alignment".into(), 4, self.alignment.to_le_bytes().to_vec()));
        }
        let aligned = |len: usize| len.next_multiple_of(self.alignment as usize);
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((metadata.len() as u64).to_le_bytes());
        for (key, kind, value) in &metadata {
            file.extend([string(key), kind.to_le_bytes().to_vec(), value.clone()].concat());
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            file.extend(string(&tensor.name));
            file.extend((tensor.shape.len() as u32).to_le_bytes());
            file.extend(tensor.shape.iter().rev().flat_map(|dim| dim.to_le_bytes()));
            file.extend(tensor.kind.to_le_bytes());
            file.extend((offset as u64).to_le_bytes());
            offset += aligned(tensor.bytes.len());
        }
        for tensor in &self.tensors {
            file.resize(aligned(file.len()), 0);
            file.extend(&tensor.bytes);
        }
        file
    }
}

/// A `llama` with random weights.
#[derive(Clone)]
pub struct Llama {
    pub file: File,
    /// The weights before they were stored, by name.
    pub weights: BTreeMap<String, Vec<f32>>,
}

/// Sizes of [`Llama`].
pub const WIDTH: usize = 64;
pub const HIDDEN: usize = 96;
pub const HEADS: usize = 4;
pub const KV_HEADS: usize = 2;
pub const DEPTH: usize = WIDTH / HEADS;
pub const LAYERS: usize = 2;
pub const TRAINED: u32 = 48;
pub const EPSILON: f32 = 1e-5;
pub const ROPE_BASE: f32 = 500.0;

/// The vocabulary: letters, a space, what merges make of them, the byte of a line break, one byte of a longer
/// character, and three control tokens.
pub const TOKENS: [&str; 18] =
    ["<s>", "</s>", "a", "b", "c", "d", "e", "h", "l", "o", "Ġ", "he", "ll", "llo", "hello", "Ġhe", "Ċ", "Ã"];

/// How weights are stored: GGML's code, and a function to the bytes.
pub type Store<'a> = (u32, &'a dyn Fn(&[f32]) -> Vec<u8>);

/// Unchanged.
pub const F32: Store<'static> = (0, &|values| values.iter().flat_map(|value| value.to_le_bytes()).collect());

impl Llama {
    /// Matrices are stored by `matrices`, the embedding by `embedding`, the rest as F32. Without `head`, the embedding
    /// is the output matrix too.
    pub fn new(seed: u64, matrices: Store<'_>, embedding: Store<'_>, head: bool) -> Self {
        let mut file = File::default();
        file.text("general.architecture", "llama");
        for (key, value) in [
            ("block_count", LAYERS as u32),
            ("context_length", TRAINED),
            ("embedding_length", WIDTH as u32),
            ("feed_forward_length", HIDDEN as u32),
            ("attention.head_count", HEADS as u32),
            ("attention.head_count_kv", KV_HEADS as u32),
            ("rope.dimension_count", DEPTH as u32),
        ] {
            file.u32(&format!("llama.{key}"), value);
        }
        file.f32("llama.attention.layer_norm_rms_epsilon", EPSILON);
        file.f32("llama.rope.freq_base", ROPE_BASE);
        file.text("tokenizer.ggml.model", "gpt2");
        file.text("tokenizer.ggml.pre", "smollm");
        file.texts("tokenizer.ggml.tokens", &TOKENS);
        let kinds: Vec<i32> = TOKENS.iter().map(|token| if token.starts_with('<') { 3 } else { 1 }).collect();
        file.integers("tokenizer.ggml.token_type", &kinds);
        file.texts("tokenizer.ggml.merges", &["h e", "l l", "ll o", "he llo", "Ġ he"]);
        file.u32("tokenizer.ggml.bos_token_id", 0);
        file.u32("tokenizer.ggml.eos_token_id", 1);
        let template = "{% for m in messages %}{% if m.role == 'user' %}b{% else %}a{% endif %}{{ m.content }}{% endfor %}\
                        {% if add_generation_prompt %}a{% endif %}";
        file.text("tokenizer.chat_template", template);

        let mut llama = Self { file, weights: BTreeMap::new() };
        let mut random = Rng(seed);
        let vocabulary = TOKENS.len();
        llama.add(&mut random, "token_embd", &[vocabulary, WIDTH], embedding);
        for layer in 0..LAYERS {
            for (name, shape) in [
                ("attn_norm", &[WIDTH][..]),
                ("attn_q", &[WIDTH, WIDTH]),
                ("attn_k", &[KV_HEADS * DEPTH, WIDTH]),
                ("attn_v", &[KV_HEADS * DEPTH, WIDTH]),
                ("attn_output", &[WIDTH, WIDTH]),
                ("ffn_norm", &[WIDTH]),
                ("ffn_gate", &[HIDDEN, WIDTH]),
                ("ffn_up", &[HIDDEN, WIDTH]),
                ("ffn_down", &[WIDTH, HIDDEN]),
            ] {
                let store = if shape.len() == 1 { F32 } else { matrices };
                llama.add(&mut random, &format!("blk.{layer}.{name}"), shape, store);
            }
        }
        llama.add(&mut random, "output_norm", &[WIDTH], F32);
        if head {
            llama.add(&mut random, "output", &[vocabulary, WIDTH], matrices);
        }
        llama
    }

    fn add(&mut self, random: &mut Rng, name: &str, shape: &[usize], (kind, store): Store<'_>) {
        let count = shape.iter().product();
        let values: Vec<f32> = match shape {
            [_] => (0..count).map(|_| 1.0 + 0.2 * random.unit()).collect(),
            // With a magnitude that keeps that of the vectors.
            _ => (0..count).map(|_| 2.0 * random.unit() / (shape[1] as f32).sqrt()).collect(),
        };
        let name = format!("{name}.weight");
        let shape = shape.iter().map(|&dim| dim as u64).collect();
        self.file.tensors.push(Tensor { name: name.clone(), shape, kind, bytes: store(&values) });
        self.weights.insert(name, values);
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        self.file.bytes()
    }
}
