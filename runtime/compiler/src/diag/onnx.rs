//! Why an ONNX file could not be compiled.

use crate::kind::FileKind;

/// Why an ONNX file could not be compiled, apart from its operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// The bytes are not an ONNX file, but a file of this kind.
    #[error("it is {0}, not an ONNX model; {way}", way = .0.way())]
    NotOnnx(FileKind),
    /// A length or a value in the file is wrong.
    #[error("the ONNX file is damaged: {0}; export or download it again")]
    Damaged(String),
    /// The file describes more, or deeper nested, messages than a network of its size has.
    #[error("the ONNX file has {0}")]
    TooLarge(String),
    /// The file has something that is not read, and without which it would be another network.
    #[error("the ONNX file has {what}, which cannot be compiled; {help}")]
    Unread {
        /// What it has.
        what: &'static str,
        /// How to export it without.
        help: &'static str,
    },
    /// The operators are defined by a version of the operator set that is not read.
    #[error(
        "it uses version {found} of ONNX's operators; versions {min} to {max} are read; {help}",
        help = "export it with another `opset_version`, or convert it with onnx.version_converter"
    )]
    Opset {
        /// The version; 0 if none is stated.
        found: i64,
        /// The first version that is read.
        min: i64,
        /// The last version that is read.
        max: i64,
    },
    /// The data of a constant lie in another file, and cannot be read.
    #[error("the data of the constant `{tensor}` lie in `{location}`: {what}")]
    External {
        /// The constant.
        tensor: String,
        /// The file, as the network states it.
        location: String,
        /// Why it was not read.
        what: String,
    },
    /// A constant's type, shape or data contradict each other or cannot be read.
    #[error("the constant `{tensor}` {what}")]
    Constant {
        /// The constant.
        tensor: String,
        /// What is wrong with it.
        what: String,
    },
    /// An input or output of the network has a type or shape that cannot be compiled.
    #[error("`{tensor}`, an input or output of the network, {what}")]
    Interface {
        /// The input or output.
        tensor: String,
        /// What is wrong with it.
        what: String,
    },
}
