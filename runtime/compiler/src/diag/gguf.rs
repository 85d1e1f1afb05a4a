//! Why a GGUF file could not be compiled.

/// Why a GGUF file could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// The bytes are not a GGUF file.
    #[error("not a GGUF file: it begins with {found:?}, not with \"GGUF\"")]
    NotGguf {
        /// Its first characters.
        found: String,
    },
    /// The file has a version with another layout.
    #[error("it is GGUF version {found}; accepted: 2 and 3 (little-endian); convert the model again")]
    Version {
        /// The version.
        found: u32,
    },
    /// A length, an offset or a value in the file is wrong.
    #[error("the GGUF file is damaged at byte {at}: {what}; download it again")]
    Damaged {
        /// The byte offset of the fault.
        at: usize,
        /// What is wrong.
        what: String,
    },
    /// A metadata value is missing, or has the wrong type.
    #[error("the metadata `{key}` is missing or not {wanted}")]
    Key {
        /// Its key.
        key: String,
        /// The expected type.
        wanted: String,
    },
    /// A metadata value cannot be compiled.
    #[error("the metadata `{key}` is {found}; accepted: {accepted}")]
    Unsupported {
        /// Its key.
        key: String,
        /// Its value.
        found: String,
        /// The values that can be compiled.
        accepted: String,
    },
    /// The context is longer than the model allows.
    #[error("a context of {context} positions is not possible; the model was trained for at most {max}")]
    Context {
        /// The context asked for.
        context: u32,
        /// The maximum context.
        max: u32,
    },
    /// The model cannot read so many tokens at a time.
    #[error("a batch of {batch} tokens is not possible; it can have from 1 to {max}")]
    Batch {
        /// The number of tokens asked for.
        batch: u32,
        /// The maximum: the context, or a limit for any model.
        max: u32,
    },
    /// The keys and values of the context are too large for a memory plan.
    #[error(
        "a context of {context} positions takes {bytes} bytes of keys and values in each of {layers} layers; up to {max} \
         positions are possible"
    )]
    Cache {
        /// The context, from the options or by default.
        context: u32,
        /// Bytes of a layer's keys and values.
        bytes: u64,
        /// How many layers there are.
        layers: u32,
        /// The maximum context.
        max: u32,
    },
    /// A tensor is missing.
    #[error("the tensor `{tensor}` is missing")]
    MissingTensor {
        /// Its name.
        tensor: String,
    },
    /// No layer reads a tensor. Leaving it out would result in another model.
    #[error("the tensor `{tensor}` is not known in this architecture; accepted: {accepted}")]
    UnknownTensor {
        /// Its name.
        tensor: String,
        /// The names that are read.
        accepted: String,
    },
    /// A tensor has another shape than the metadata state.
    #[error("the tensor `{tensor}` is {found:?}; by the metadata it should be {expected:?} (outermost first)")]
    Shape {
        /// Its name.
        tensor: String,
        /// Its shape, outermost first.
        found: Vec<u32>,
        /// The shape according to the metadata.
        expected: Vec<u32>,
    },
    /// A tensor has a type that cannot be compiled.
    #[error("the tensor `{tensor}` is {found}; accepted: {accepted}")]
    Type {
        /// Its name.
        tensor: String,
        /// Its type.
        found: String,
        /// The types that can be compiled.
        accepted: String,
    },
}
