//! The types of a model's first input and output for [`include_model!`](crate::include_model), known at compile time.

use crate::element::Element;
use crate::linked::Ops;
use crate::session::Session;
use tealight_format::{DType, Model, Shape, Value};

/// Represents the element type with this [`code`].
#[doc(hidden)]
#[derive(Debug)]
pub struct ElementOf<const CODE: u8>;

/// Maps an [`ElementOf`] to the Rust type of the elements.
#[doc(hidden)]
pub trait Typed {
    /// The type.
    type Element: Element;
    /// Its zero.
    const ZERO: Self::Element;
}

/// Maps the [`code`](code_of_input) of a model's first input to the Rust type of the elements of a whole input.
#[doc(hidden)]
pub trait TypedInput {
    /// The type.
    type Element;
    /// Writes the first input, which has this type and number of elements.
    fn write<O: Ops>(session: &mut Session<'_, O>, elements: &[Self::Element]);
}

/// The type of the elements of an input that comes in rows. There is no value of this type, so such an input is never written
/// whole: see [`Session::input_rows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComesInRows {}

/// The [code](code_of_input) of an input that comes in rows.
const ROWS: u8 = u8::MAX;

impl TypedInput for ElementOf<ROWS> {
    type Element = ComesInRows;

    fn write<O: Ops>(_: &mut Session<'_, O>, elements: &[ComesInRows]) {
        if let Some(&never) = elements.first() {
            match never {}
        }
    }
}

/// A number for the type of the elements of a whole input.
#[doc(hidden)]
pub const fn code_of_input(value: &Value) -> u8 {
    if value.rows.is_some() { ROWS } else { code(value.dtype) }
}

macro_rules! typed {
    ($($code:literal $dtype:ident $type:ty),+ $(,)?) => {
        $(
            impl TypedInput for ElementOf<$code> {
                type Element = $type;

                fn write<O: Ops>(session: &mut Session<'_, O>, elements: &[$type]) {
                    write_input(session, elements);
                }
            }

            impl Typed for ElementOf<$code> {
                type Element = $type;
                const ZERO: $type = 0 as $type;
            }
        )+

        /// A number for each element type.
        #[doc(hidden)]
        pub const fn code(dtype: DType) -> u8 {
            match dtype {
                $( DType::$dtype => $code, )+
                // Only constants have them, never an input or output.
                DType::F16 | DType::I4 => 0,
            }
        }
    };
}

typed! { 0 U8 u8, 1 I8 i8, 2 I16 i16, 3 I32 i32, 4 F32 f32 }

/// Value `index` of the plan; a value without elements if `index` is `None`.
#[doc(hidden)]
pub const fn value_of(model: &Model<'_>, index: Option<usize>) -> Value {
    match index {
        Some(index) => model.value(index),
        None => {
            let none = Value::new(tealight_format::Place::Arena, DType::U8, Shape::SCALAR, 0);
            Value { len: 0, ..none }
        }
    }
}

/// The number of elements of a value.
#[doc(hidden)]
pub const fn len_of(value: &Value) -> usize {
    match value.len.checked_div(value.dtype.size()) {
        Some(len) => len as usize,
        None => 0,
    }
}

/// Copies `elements` to the first input, which has this type and number.
fn write_input<O: Ops, T: Element>(session: &mut Session<'_, O>, elements: &[T]) {
    if let Some(mut input) = session.input(0) {
        // It cannot fail: the type and number were read from the model.
        let _ = input.copy_from(elements);
    }
}

/// The elements of the first output, which has this type and number. `zeros` is for the case that cannot occur: an
/// output of another type or number.
#[doc(hidden)]
pub fn read_output<'s, O: Ops, T: Element, const N: usize>(
    session: &'s Session<'_, O>,
    zeros: &'static [T; N],
) -> &'s [T; N] {
    session.output(0).and_then(|output| output.as_slice::<T>()?.first_chunk()).unwrap_or(zeros)
}
