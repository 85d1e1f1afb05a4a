//! Models that are compiled into the program.

use crate::linked::Ops;
use core::fmt;
use core::marker::PhantomData;
use tealight_format::{FORMAT_VERSION, HeaderFault, Model, ModelError};

/// A model among the program's constants, checked while the program was compiled; declared by
/// [`include_model!`](crate::include_model). `ARENA` is the memory that it needs, in bytes, and `O` its set of
/// kernels; both are read from the file.
pub struct Embedded<const ARENA: usize, O> {
    model: Model<'static>,
    ops: PhantomData<fn() -> O>,
}

impl<const ARENA: usize, O: Ops> Embedded<ARENA, O> {
    /// Wraps a checked model. `ARENA` and `O` must match the model, and its bytes must be aligned to 16.
    #[doc(hidden)]
    pub const fn new(model: Model<'static>) -> Self {
        assert!(model.arena_len() == ARENA && model.op_set().is(&O::SET), "use include_model!");
        Self { model, ops: PhantomData }
    }

    /// The exact number of bytes that a session needs.
    pub const fn arena_len(&self) -> usize {
        ARENA
    }

    /// The model.
    pub const fn model(&self) -> &Model<'static> {
        &self.model
    }
}

impl<const ARENA: usize, O> Clone for Embedded<ARENA, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<const ARENA: usize, O> Copy for Embedded<ARENA, O> {}

impl<const ARENA: usize, O> fmt::Debug for Embedded<ARENA, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("model", &self.model).finish()
    }
}

/// Bytes aligned to 16.
#[doc(hidden)]
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Parses a file for [`include_model!`](crate::include_model); an invalid file is a compile error.
#[doc(hidden)]
pub const fn parse_embedded(bytes: &'static [u8]) -> Model<'static> {
    match Model::parse(bytes) {
        Ok(model) => model,
        Err(error) => panic!("{}", complaint(&error)),
    }
}

/// The message for an error. A constant can only panic with a fixed text, so `tealight inspect` reports the place.
const fn complaint(error: &ModelError) -> &'static str {
    match error {
        ModelError::Header { fault: HeaderFault::Alignment, .. } => {
            "include_model!: a safetensors file, but its data is not aligned to 16 bytes: make it with `tealight compile`"
        }
        ModelError::Header { .. } => {
            "include_model!: not a valid safetensors file: `tealight inspect FILE` reports where it is wrong"
        }
        ModelError::NotTealight => "include_model!: not a compiled model: make one with `tealight compile`",
        ModelError::Version { found } if *found < FORMAT_VERSION => {
            "include_model!: the model was compiled for an older format version: compile it again with this version's `tealight compile`"
        }
        ModelError::Version { .. } => {
            "include_model!: the model was compiled for a newer format version: update Tealight, or compile it with this version's `tealight compile`"
        }
        _ => "include_model!: the model's plan is invalid: `tealight inspect FILE` reports where",
    }
}

/// Includes a compiled model in the program and checks it while the program is compiled.
///
/// The path is relative to the source file; it may also be `env!(..)` or `concat!(..)`. The weights stay where the
/// linker places constants: in flash on a microcontroller. An invalid file is a compile error.
///
/// # A module
/// `include_model!(pub mod name = "file.safetensors");` declares a module with the model and the types that fit it:
///
/// | item | what it is |
/// |---|---|
/// | `MODEL` | the model, a static of type [`Embedded`](crate::Embedded) |
/// | `ARENA_LEN`, `Arena` | the number of bytes that a session needs, and an [`Arena`](crate::Arena) of that size |
/// | `Ops` | the kernels that are linked, as a type: see [`Ops`](crate::Ops) |
/// | `STATE_LEN`, `State`, `INITIAL_STATE` | the streaming state: its bytes, an array of them, its initial content |
/// | `Session<'m>` | a session of this model, from `Session::new(&mut arena)`; derefs to [`Session`](crate::Session) |
/// | `Input`, `Output` | array types for the elements of the first input and of the first output |
/// | `INPUT`, `OUTPUT` | shape and quantization of these two |
///
/// Its session has `write_input(&Input)`, `read_output() -> &Output` and `output_tensor()`, the first output as a
/// [`Tensor`](crate::Tensor), and [`state`](crate::Session::state) as `read_state() -> Option<&State>` and
/// `write_state(&State)`. No write can fail. [`Session::input`](crate::Session::input) and
/// [`output`](crate::Session::output) return the other inputs and outputs. An input that comes in rows
/// (`tealight compile --input-rows`) is written by [`Session::input_rows`](crate::Session::input_rows) instead:
/// `write_input` does not compile.
///
/// ```
/// use tealight::Budget;
///
/// tealight::include_model!(
///     /// Three numbers in, the same numbers without the negative ones out.
///     mod relu = "../tests/relu.safetensors"
/// );
///
/// struct Controller<'m> {
///     net: relu::Session<'m>,
/// }
///
/// let mut arena = relu::Arena::new();
/// let mut controller = Controller { net: relu::Session::new(&mut arena) };
/// controller.net.write_input(&[-5, 0, 5]);
/// while controller.net.poll(Budget::macs(1)).is_pending() { /* one turn of the control loop */ }
/// assert_eq!(controller.net.read_output(), &[0, 0, 5]);
/// assert_eq!(controller.net.output_tensor().argmax(), Some((2, 5.0)));
/// assert_eq!((relu::ARENA_LEN, size_of::<relu::Arena>()), (32, 32));
/// ```
///
/// Elements of another type or number do not compile:
///
/// ```compile_fail,E0308
/// tealight::include_model!(mod relu = "../tests/relu.safetensors");
/// let mut arena = relu::Arena::new();
/// relu::Session::new(&mut arena).write_input(&[200u8, 0, 5]);
/// ```
///
/// ```compile_fail,E0308
/// tealight::include_model!(mod relu = "../tests/relu.safetensors");
/// let mut arena = relu::Arena::new();
/// relu::Session::new(&mut arena).write_input(&[1i8, 2]);
/// ```
///
/// Nor does a whole input for a model whose input comes in rows:
///
/// ```compile_fail,E0308
/// tealight::include_model!(mod rows = "../tests/rows.safetensors");
/// let mut arena = rows::Arena::new();
/// rows::Session::new(&mut arena).write_input(&[0i8; 32]);
/// ```
///
/// # A static
/// `include_model!(pub static NAME = "file.safetensors");` declares the model alone.
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
///
/// ```compile_fail,E0080
/// tealight::include_model!(mod none = "../Cargo.toml");
/// let arena = none::Arena::new();
/// ```
#[macro_export]
macro_rules! include_model {
    ($(#[$meta:meta])* $vis:vis mod $name:ident = $path:expr $(;)?) => {
        $(#[$meta])*
        #[allow(dead_code, long_running_const_eval)]
        $vis mod $name {
            static BYTES: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
            const CHECKED: $crate::Model<'static> = $crate::parse_embedded(&BYTES.0);
            static ZEROS: Output =
                [<$crate::ElementOf<{ $crate::code(OUTPUT.dtype) }> as $crate::Typed>::ZERO; $crate::len_of(&OUTPUT)];

            /// The exact number of bytes that a session needs.
            pub const ARENA_LEN: usize = CHECKED.arena_len();
            /// The number of bytes of streaming state; 0 for a model without.
            pub const STATE_LEN: usize = CHECKED.state_len();
            /// The streaming state, to be kept while other models use the memory.
            pub type State = [u8; STATE_LEN];
            /// The streaming state of a new session.
            pub const INITIAL_STATE: State = $crate::initial_state(&CHECKED);
            /// The kernels that are linked: those that the model needs.
            #[derive(Clone, Copy, Debug)]
            pub struct Ops;

            impl $crate::Ops for Ops {
                const SET: $crate::OpSet = CHECKED.op_set();
                const PATHS: $crate::Paths = $crate::paths_of(&CHECKED);
            }

            /// The model.
            pub static MODEL: $crate::Embedded<ARENA_LEN, Ops> = $crate::Embedded::new(CHECKED);
            /// The memory that a session works in.
            pub type Arena = $crate::Arena<ARENA_LEN>;
            /// Shape and quantization of the first input.
            pub const INPUT: $crate::Value = $crate::value_of(&CHECKED, CHECKED.input(0));
            /// Shape and quantization of the first output.
            pub const OUTPUT: $crate::Value = $crate::value_of(&CHECKED, CHECKED.output(0));
            /// The elements of the first input.
            pub type Input = [<TypeOfInput as $crate::TypedInput>::Element; $crate::len_of(&INPUT)];
            type TypeOfInput = $crate::ElementOf<{ $crate::code_of_input(&INPUT) }>;
            /// The elements of the first output.
            pub type Output =
                [<$crate::ElementOf<{ $crate::code(OUTPUT.dtype) }> as $crate::Typed>::Element; $crate::len_of(&OUTPUT)];

            /// A session of the model.
            #[derive(Debug)]
            pub struct Session<'m>($crate::Session<'m, Ops>);

            impl<'m> Session<'m> {
                /// Creates a session that works in `arena`, an [`Arena`] or a larger one.
                pub fn new<const N: usize>(arena: &'m mut $crate::Arena<N>) -> Self {
                    Self($crate::Session::new(&MODEL, arena))
                }

                /// Writes the first input.
                pub fn write_input(&mut self, elements: &Input) {
                    <TypeOfInput as $crate::TypedInput>::write(&mut self.0, elements);
                }

                /// The first output, valid from the end of an inference to the start of the next.
                pub fn read_output(&self) -> &Output {
                    $crate::read_output(&self.0, &ZEROS)
                }

                /// The streaming state; `None` while an inference is in progress.
                pub fn read_state(&self) -> Option<&State> {
                    self.0.state()?.first_chunk()
                }

                /// Abandons an inference in progress and sets the streaming state.
                pub fn write_state(&mut self, state: &State) {
                    // It cannot fail: the length was read from the model.
                    let _ = self.0.set_state(state);
                }

                /// The first output with its shape and quantization.
                pub fn output_tensor(&self) -> $crate::Tensor<'_> {
                    const INDEX: usize = match CHECKED.output(0) {
                        Some(index) => index,
                        None => usize::MAX,
                    };
                    self.0.value(INDEX)
                }
            }

            impl<'m> core::ops::Deref for Session<'m> {
                type Target = $crate::Session<'m, Ops>;

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }

            impl core::ops::DerefMut for Session<'_> {
                fn deref_mut(&mut self) -> &mut Self::Target {
                    &mut self.0
                }
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis static $name:ident = $path:expr $(;)?) => {
        // The module and the static may have the same name: they are in different namespaces.
        #[doc(hidden)]
        #[allow(non_snake_case, long_running_const_eval)]
        mod $name {
            static BYTES: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
            pub(super) const MODEL: $crate::Model<'static> = $crate::parse_embedded(&BYTES.0);

            /// The kernels that the model needs.
            #[derive(Clone, Copy, Debug)]
            pub struct Ops;

            impl $crate::Ops for Ops {
                const SET: $crate::OpSet = MODEL.op_set();
                const PATHS: $crate::Paths = $crate::paths_of(&MODEL);
            }
        }
        $(#[$meta])*
        $vis static $name: $crate::Embedded<{ $name::MODEL.arena_len() }, $name::Ops> =
            $crate::Embedded::new($name::MODEL);
    };
}
