//! Nearly valid GGUF files of tiny language models, chosen by bytes: sizes, types of weights, tokenizer and template;
//! in some files a few things are changed.

use crate::gguf::{File, Tensor};
use crate::random::Choices;

/// Types of weights: GGML's code, elements and bytes of a block.
const TYPES: [(u32, usize, usize); 12] = [
    (0, 1, 4),
    (1, 1, 2),
    (2, 32, 18),
    (3, 32, 20),
    (6, 32, 22),
    (7, 32, 24),
    (8, 32, 34),
    (10, 256, 84),
    (11, 256, 110),
    (12, 256, 144),
    (13, 256, 176),
    (14, 256, 210),
];

/// Pieces of templates: whole statements, and what opens and closes them.
const PIECES: [&str; 40] = [
    "{% for m in messages %}",
    "{% endfor %}",
    "{{ m.content }}",
    "{{ m['role'] }}",
    "{% if m.role == 'user' %}",
    "{% elif loop.first %}",
    "{% else %}",
    "{% endif %}",
    "{% if add_generation_prompt %}",
    "{{ bos_token }}",
    "{{ eos_token }}",
    "{% set x = 'ab' %}",
    "{% set ns = namespace(n=0) %}",
    "{% set ns.n = ns.n + 1 %}",
    "{% set x = x ~ x %}",
    "{{ x }}",
    "{% for i in range(9) %}",
    "{% for i in range(99999) %}",
    "{{ 'a' * 9 }}",
    "{{ 'a' * 999999 }}",
    "{{ messages | length }}",
    "{{ messages | tojson }}",
    "{{ messages | map(attribute='content') | join(',') }}",
    "{{ m.content | trim | upper }}",
    "{{ m.content.strip() }}",
    "{{ x[1:] }}",
    "{{ raise_exception('no') }}",
    "{% macro f(a) %}",
    "{{ f(a) }}",
    "{{ f('b') }}",
    "{% endmacro %}",
    "{% filter upper %}",
    "{% endfilter %}",
    "{{ (((((1))))) }}",
    "{{ not not not true }}",
    "{{ - - - 1 }}",
    "{{ 1 + 1 * 2 ** 3 // 0 }}",
    "{# c #}",
    "{%- raw %}{{{% endraw -%}",
    "<|im_start|>user\n",
];

/// A Jinja template, mostly one that parses.
pub fn template(choose: &mut Choices<'_>) -> String {
    let count = choose.below(12);
    let mut text = String::new();
    for _ in 0..count {
        text += choose.pick(&PIECES);
        if choose.one_in(16) && text.len() < 1000 {
            text = text.repeat(choose.between(1, 80) as usize);
        }
    }
    // What is open is closed in many cases.
    if !choose.one_in(4) {
        for (open, close) in [
            ("{% macro", "{% endmacro %}"),
            ("{% filter", "{% endfilter %}"),
            ("{% if", "{% endif %}"),
            ("{% for", "{% endfor %}"),
        ] {
            let missing = text.matches(open).count().saturating_sub(text.matches(close).count());
            text += &close.repeat(missing.min(100));
        }
    }
    text
}

/// Tokens, their kinds, and the merges that make them of each other.
pub fn vocabulary(choose: &mut Choices<'_>) -> (Vec<String>, Vec<i32>, Vec<[usize; 2]>) {
    const LETTERS: [&str; 16] = ["a", "b", "c", "1", "2", "Ġ", "Ċ", "Ã", "©", "<", ">", "|", "é", "!", "世", "x"];
    let mut tokens: Vec<String> = Vec::new();
    let mut kinds = Vec::new();
    let mut add = |tokens: &mut Vec<String>, token: String, kind: i32| {
        if !tokens.contains(&token) {
            tokens.push(token);
            kinds.push(kind);
        }
    };
    for control in ["<s>", "</s>", "<|im_end|>"].iter().take(choose.below(4) as usize) {
        add(&mut tokens, (*control).to_string(), 3);
    }
    for letter in LETTERS.iter().take(choose.between(1, 16) as usize) {
        let kind = choose.pick(&[1, 1, 1, 4, 6]);
        add(&mut tokens, (*letter).to_string(), kind);
    }
    let mut merges = Vec::new();
    for _ in 0..choose.below(10) {
        let pair = [0; 2].map(|_: usize| choose.below(tokens.len() as u32) as usize);
        let joined = tokens[pair[0]].clone() + &tokens[pair[1]];
        add(&mut tokens, joined, 1);
        merges.push(pair);
    }
    (tokens, kinds, merges)
}

/// A random file.
pub fn file(choose: &mut Choices<'_>) -> Vec<u8> {
    let mut file = File::default();
    // Blocks of 256 elements are long ones.
    let large = choose.one_in(64);
    let heads = choose.pick(&[1u32, 2, 4]);
    let kv_heads = if choose.one_in(2) { heads } else { 1 };
    let depth = if large { 256 / heads } else { choose.pick(&[32 / heads, 2, 4, 64 / heads]) };
    let (width, hidden) = (heads * depth, if large { 256 } else { choose.pick(&[32u32, 4, 64]) });
    let layers = choose.between(1, 2) as u32;
    file.text("general.architecture", "llama");
    for (key, value) in [
        ("block_count", layers),
        ("context_length", choose.pick(&[4, 1, 16, 64])),
        ("embedding_length", width),
        ("feed_forward_length", hidden),
        ("attention.head_count", heads),
        ("attention.head_count_kv", kv_heads),
        ("rope.dimension_count", depth),
    ] {
        file.u32(&format!("llama.{key}"), value);
    }
    file.f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
    if choose.one_in(2) {
        file.f32("llama.rope.freq_base", 500.0);
    }
    let (tokens, kinds, merges) = vocabulary(choose);
    file.text("tokenizer.ggml.model", "gpt2");
    file.text("tokenizer.ggml.pre", choose.pick(&["smollm", "gpt-2", "starcoder", "llama-bpe"]));
    file.texts("tokenizer.ggml.tokens", &tokens.iter().map(String::as_str).collect::<Vec<_>>());
    file.integers("tokenizer.ggml.token_type", &kinds);
    let merges: Vec<String> = merges.iter().map(|[a, b]| format!("{} {}", tokens[*a], tokens[*b])).collect();
    file.texts("tokenizer.ggml.merges", &merges.iter().map(String::as_str).collect::<Vec<_>>());
    for key in ["bos", "eos", "eot"].iter().take(choose.below(4) as usize) {
        file.u32(&format!("tokenizer.ggml.{key}_token_id"), choose.below(tokens.len() as u32));
    }
    if choose.one_in(2) {
        let template = template(choose);
        file.text("tokenizer.chat_template", &template);
    }

    let vocabulary = tokens.len() as u32;
    let mut add = |choose: &mut Choices<'_>, name: String, shape: &[u32]| {
        let row = shape[shape.len() - 1] as usize;
        let (kind, elements, bytes) =
            if shape.len() == 1 { TYPES[choose.below(2) as usize] } else { choose.pick(&TYPES) };
        let (kind, elements, bytes) = if row.is_multiple_of(elements) { (kind, elements, bytes) } else { TYPES[0] };
        let count = shape.iter().map(|&dim| dim as usize).product::<usize>();
        let shape = shape.iter().map(|&dim| dim.into()).collect();
        file.tensors.push(Tensor {
            name: name + ".weight",
            shape,
            kind,
            bytes: choose.bytes(count / elements * bytes),
        });
    };
    add(choose, "token_embd".into(), &[vocabulary, width]);
    for layer in 0..layers {
        for (name, shape) in [
            ("attn_norm", &[width][..]),
            ("attn_q", &[width, width]),
            ("attn_k", &[kv_heads * depth, width]),
            ("attn_v", &[kv_heads * depth, width]),
            ("attn_output", &[width, width]),
            ("ffn_norm", &[width]),
            ("ffn_gate", &[hidden, width]),
            ("ffn_up", &[hidden, width]),
            ("ffn_down", &[width, hidden]),
        ] {
            add(choose, format!("blk.{layer}.{name}"), shape);
        }
    }
    add(choose, "output_norm".into(), &[width]);
    if choose.one_in(2) {
        add(choose, "output".into(), &[vocabulary, width]);
    }
    if choose.one_in(2) {
        for _ in 0..choose.between(1, 3) {
            change(choose, &mut file);
        }
    }
    let mut bytes = file.bytes();
    // Weights lie at the end; what is read as numbers and texts, at the beginning.
    if choose.one_in(8) {
        let at = choose.below(bytes.len().min(2000) as u32) as usize;
        bytes[at] = choose.byte();
    }
    if choose.one_in(16) {
        bytes.truncate(choose.below(bytes.len() as u32) as usize);
    }
    bytes
}

/// Changes one thing.
fn change(choose: &mut Choices<'_>, file: &mut File) {
    let entry = choose.below(file.metadata.len() as u32) as usize;
    let tensor = choose.below(file.tensors.len().max(1) as u32) as usize;
    let odd = choose.odd();
    match choose.below(14) {
        0 => drop(file.metadata.remove(entry)),
        1 => {
            let again = file.metadata[entry].clone();
            file.metadata.push(again);
        }
        2 => file.metadata[entry].1 = choose.below(14),
        3 | 4 => {
            // The last four bytes: a number, the end of a text or of a list.
            let value = &mut file.metadata[entry].2;
            let at = value.len().saturating_sub(4);
            for (to, from) in value[at..].iter_mut().zip(odd.to_le_bytes()) {
                *to = from;
            }
        }
        5 => {
            // The length of a text, or the type and count of a list.
            let value = &mut file.metadata[entry].2;
            let at = (4 * choose.below(3) as usize).min(value.len());
            for (to, from) in value[at..].iter_mut().zip(odd.to_le_bytes()) {
                *to = from;
            }
        }
        6 => {
            // Lists in lists.
            let mut value = Vec::new();
            for _ in 0..choose.below(7) {
                value.extend(9u32.to_le_bytes());
                value.extend(u64::from(choose.pick(&[1u8, 2, 200])).to_le_bytes());
            }
            value.extend(0u32.to_le_bytes());
            value.extend(u64::from(choose.byte()).to_le_bytes());
            value.extend(choose.bytes(64));
            file.entry("x", 9, value);
        }
        7 => file.version = odd as u32,
        8 => file.alignment = choose.pick(&[8, 16, 64, 1 << 12]),
        9 => file.u32("tokenizer.ggml.bos_token_id", odd as u32),
        10 if !file.tensors.is_empty() => drop(file.tensors.remove(tensor)),
        11 if !file.tensors.is_empty() => {
            let dims = file.tensors[tensor].shape.len() as u32;
            let which = choose.below(dims) as usize;
            file.tensors[tensor].shape[which] = choose.pick(&[0, 1, u64::from(odd as u32), u64::MAX, 1 << 40]);
        }
        12 if !file.tensors.is_empty() => {
            file.tensors[tensor].kind = choose.pick(&[odd as u32, 0, 1, 2, 3, 4, 8, 15, 30]);
        }
        _ if !file.tensors.is_empty() => file.tensors[tensor].name.push(choose.pick(&['x', '\u{1b}', '\0'])),
        _ => {}
    }
}
