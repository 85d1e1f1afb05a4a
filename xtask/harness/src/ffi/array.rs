//! A model as C: an array in a source file, and a header with its name, its length and the length of its arena.

use crate::model::ModelFile;
use std::fmt::Write as _;

/// A model's C files.
#[derive(Debug)]
pub(super) struct Array {
    /// The beginning of the names in C, such as `keyword`.
    pub(super) name: String,
    /// The source file.
    pub(super) source: String,
    /// The header.
    pub(super) header: String,
}

/// The files for a model.
pub(super) fn of_model(model: &ModelFile) -> Array {
    let name = identifier(&model.name);
    Array { source: source(&name, &model.bytes), header: header(&name, model), name }
}

/// A name that C takes: letters, digits and underscores, not a digit first.
fn identifier(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("model_{name}") }
}

fn header(name: &str, model: &ModelFile) -> String {
    let upper = name.to_uppercase();
    let (length, arena) = (model.bytes.len(), model.arena_bytes.next_multiple_of(16));
    format!(
        "/* The model {name}, made by `cargo xtask ffi`; do not edit. */\n\n\
         #ifndef {upper}_MODEL_H\n#define {upper}_MODEL_H\n\n#include <stdint.h>\n\n\
         /* The length of the model file in bytes. */\n#define {upper}_MODEL_LENGTH {length}\n\n\
         /* The arena that a session of it needs, in bytes. */\n#define {upper}_ARENA_LENGTH {arena}\n\n\
         /* Aligns a variable to 16 bytes, as model and arena must be. */\n\
         #if defined(__cplusplus) && __cplusplus >= 201103L\n#define {upper}_ALIGNED alignas(16)\n\
         #elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n#define {upper}_ALIGNED _Alignas(16)\n\
         #elif defined(_MSC_VER)\n#define {upper}_ALIGNED __declspec(align(16))\n\
         #else\n#define {upper}_ALIGNED __attribute__((aligned(16)))\n#endif\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n\
         /* The model file. */\nextern const uint8_t {name}_model[{upper}_MODEL_LENGTH];\n\n\
         #ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    )
}

/// Bytes in a line of an array.
const LINE: usize = 32;

fn source(name: &str, bytes: &[u8]) -> String {
    let upper = name.to_uppercase();
    let mut text = format!(
        "/* The model {name}, made by `cargo xtask ffi`; do not edit. */\n\n#include \"{name}_model.h\"\n\n\
         {upper}_ALIGNED const uint8_t {name}_model[{upper}_MODEL_LENGTH] = {{\n"
    );
    for line in bytes.chunks(LINE) {
        for byte in line {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte},");
        }
        text.push('\n');
    }
    text.push_str("};\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_c() {
        assert_eq!(identifier("keyword"), "keyword");
        assert_eq!(identifier("charlm.q4_0"), "charlm_q4_0");
        assert_eq!(identifier("2 nets"), "model_2_nets");
    }

    #[test]
    fn an_array_has_every_byte() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = source("x", &bytes);
        let (_, array) = text.split_once("= {").unwrap();
        let numbers: Vec<u8> = array.split([',', '\n', '}', ';']).filter_map(|text| text.parse().ok()).collect();
        assert_eq!(numbers, bytes);
    }
}
