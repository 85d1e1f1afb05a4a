//! Models that are compiled into the program.

use tealight_format::{FORMAT_VERSION, HeaderFault, Model, ModelError, OpSet};

/// A model in the program's own constants, checked while it was compiled. [`include_model!`](crate::include_model)
/// makes it. `ARENA` is the memory it needs and `OPS` the kernels, both read from the file.
#[derive(Clone, Copy, Debug)]
pub struct Embedded<const ARENA: usize, const OPS: OpSet> {
    model: Model<'static>,
}

impl<const ARENA: usize, const OPS: OpSet> Embedded<ARENA, OPS> {
    /// Wraps a checked model. `ARENA` and `OPS` must be the model's, and its bytes must be aligned to 16.
    #[doc(hidden)]
    pub const fn new(model: Model<'static>) -> Self {
        assert!(model.arena_len() == ARENA && model.op_set() == OPS, "use include_model!");
        Self { model }
    }

    /// Bytes that a session needs, exactly.
    pub const fn arena_len(&self) -> usize {
        ARENA
    }

    /// The model.
    pub const fn model(&self) -> &Model<'static> {
        &self.model
    }
}

/// Bytes at a multiple of 16.
#[doc(hidden)]
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Parses a file for [`include_model!`](crate::include_model); a wrong one stops the compilation.
#[doc(hidden)]
pub const fn parse_embedded(bytes: &'static [u8]) -> Model<'static> {
    match Model::parse(bytes) {
        Ok(model) => model,
        Err(error) => panic!("{}", complaint(&error)),
    }
}

/// A constant can only panic with a fixed text, so the place is left to `tealight inspect`.
const fn complaint(error: &ModelError) -> &'static str {
    match error {
        ModelError::Header { fault: HeaderFault::Alignment, .. } => {
            "include_model!: a safetensors file, but its data is not aligned to 16 bytes: make it with `tealight compile`"
        }
        ModelError::Header { .. } => {
            "include_model!: not a valid safetensors file: `tealight inspect FILE` tells where it is wrong"
        }
        ModelError::NotTealight => "include_model!: not a compiled model: make one with `tealight compile`",
        ModelError::Version { found } if *found < FORMAT_VERSION => {
            "include_model!: the model was compiled for an older format version: compile it again with this version's `tealight compile`"
        }
        ModelError::Version { .. } => {
            "include_model!: the model was compiled for a newer format version: update Tealight, or compile it with this version's `tealight compile`"
        }
        _ => "include_model!: the model's plan is invalid: `tealight inspect FILE` tells where",
    }
}

/// Puts a compiled model into the program and checks it while the program is compiled.
///
/// `include_model!(pub static NAME = "file.safetensors");` declares a static of type
/// [`Embedded`](crate::Embedded). The path is relative to the source file, or `env!(..)` or `concat!(..)`. The weights
/// stay where the linker puts constants: in flash on a microcontroller. An invalid file is a compile error.
///
/// ```
/// use tealight::{Arena, Budget, Session};
///
/// tealight::include_model!(
///     /// Three numbers in, the same numbers without the negative ones out.
///     static RELU = "../tests/relu.safetensors"
/// );
///
/// let mut arena = Arena::<{ RELU.arena_len() }>::new();
/// let mut session = Session::new(&RELU, &mut arena);
/// session.input(0).unwrap().copy_from(&[-5i8, 0, 5]).unwrap();
/// session.run();
/// assert_eq!(session.output(0).unwrap().as_slice::<i8>(), Some(&[0, 0, 5][..]));
/// ```
///
/// Too small an arena does not compile:
///
/// ```compile_fail,E0080
/// tealight::include_model!(static RELU = "../tests/relu.safetensors");
/// let mut arena = tealight::Arena::<{ RELU.arena_len() - 16 }>::new();
/// let session = tealight::Session::new(&RELU, &mut arena);
/// ```
///
/// Nor does a file that is not a model:
///
/// ```compile_fail,E0080
/// tealight::include_model!(static NONE = "../Cargo.toml");
/// ```
#[macro_export]
macro_rules! include_model {
    ($(#[$meta:meta])* $vis:vis static $name:ident = $path:expr $(;)?) => {
        // A module's name and a static's live in different namespaces.
        #[doc(hidden)]
        #[allow(non_snake_case, long_running_const_eval)]
        mod $name {
            static BYTES: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
            pub(super) const MODEL: $crate::Model<'static> = $crate::parse_embedded(&BYTES.0);
        }
        $(#[$meta])*
        $vis static $name: $crate::Embedded<{ $name::MODEL.arena_len() }, { $name::MODEL.op_set() }> =
            $crate::Embedded::new($name::MODEL);
    };
}
