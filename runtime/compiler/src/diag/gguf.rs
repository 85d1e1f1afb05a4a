//! Why a GGUF file could not be compiled.

/// Why a GGUF file could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// The bytes are not a GGUF file at all.
    #[error("not a GGUF file: it begins with {found:?}, not with \"GGUF\"")]
    NotGguf {
        /// Its first characters.
        found: String,
    },
    /// A version that differs in its layout.
    #[error("it is GGUF version {found}; accepted: 2 and 3 (little-endian); convert the model again")]
    Version {
        /// The version.
        found: u32,
    },
    /// A length, a place or a value in the file is wrong.
    #[error("the GGUF file is damaged at byte {at}: {what}; download it again")]
    Damaged {
        /// The byte where what is wrong begins.
        at: usize,
        /// What is wrong.
        what: String,
    },
    /// A metadata value that is missing, or is not what it should be.
    #[error("the metadata `{key}` is missing or not {wanted}")]
    Key {
        /// Its key.
        key: String,
        /// What it should be.
        wanted: String,
    },
    /// Something that cannot be compiled.
    #[error("the metadata `{key}` is {found}; accepted: {accepted}")]
    Unsupported {
        /// Its key.
        key: String,
        /// Its value.
        found: String,
        /// What could be compiled.
        accepted: String,
    },
    /// A context that the model cannot have.
    #[error("a context of {context} positions is not possible; the model was made for up to {most}")]
    Context {
        /// The context asked for.
        context: u32,
        /// The longest.
        most: u32,
    },
    /// A context whose keys and values no memory plan holds.
    #[error(
        "a context of {context} positions takes {bytes} bytes of keys and values in each of {layers} layers; up to {most} \
         positions are possible"
    )]
    Cache {
        /// The context, asked for or taken if none is.
        context: u32,
        /// Bytes of a layer's keys and values.
        bytes: u64,
        /// How many layers there are.
        layers: u32,
        /// The longest context.
        most: u32,
    },
    /// A tensor that should be there.
    #[error("the tensor `{tensor}` is missing")]
    MissingTensor {
        /// Its name.
        tensor: String,
    },
    /// A tensor that no layer reads. Leaving it out would be another model.
    #[error("the tensor `{tensor}` is not a part of this architecture as it is known here; accepted: {accepted}")]
    UnknownTensor {
        /// Its name.
        tensor: String,
        /// The names that are read.
        accepted: String,
    },
    /// A tensor of another shape than the metadata state.
    #[error("the tensor `{tensor}` is {found:?}; by the metadata it should be {expected:?} (outermost first)")]
    Shape {
        /// Its name.
        tensor: String,
        /// Its shape, outermost first.
        found: Vec<u32>,
        /// The shape that it should have.
        expected: Vec<u32>,
    },
    /// A tensor of a type that cannot be compiled.
    #[error("the tensor `{tensor}` is {found}; accepted: {accepted}")]
    Type {
        /// Its name.
        tensor: String,
        /// Its type.
        found: String,
        /// What could be compiled.
        accepted: String,
    },
}
