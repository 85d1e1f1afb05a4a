//! What the options say of a network's inputs and outputs, for all importers of networks.

use crate::diag::{CompileError, Result};
use crate::ir::graph::ElementType;
use crate::options::{InputValue, Numbers, Options};
use std::collections::HashSet;

/// How many names a message lists.
const LISTED: usize = 40;

/// The maximum number of elements of an input whose shape is given.
const MAX_ELEMENTS: u64 = 1 << 28;

/// What the options say of the interface.
#[derive(Clone, Copy)]
pub(super) struct Given<'a>(pub(super) &'a Options);

/// Returns the error that there is no such name.
pub(super) fn unknown<'n>(kind: &'static str, name: &str, names: impl Iterator<Item = &'n str>) -> CompileError {
    CompileError::UnknownName { kind, name: name.into(), known: listed(names) }
}

/// Returns names as text, if there are not too many.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let short = |name: &'n str| format!("`{}`", &name[..name.floor_char_boundary(128)]);
    let names: Vec<&str> = names.collect();
    let mut known = names.iter().take(LISTED).map(|name| short(name)).collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        known += &format!(" and {} more", names.len() - LISTED);
    }
    if known.is_empty() { "none".into() } else { known }
}

impl<'a> Given<'a> {
    /// Checks that the options name inputs that there are, each once.
    pub(super) fn check_inputs(self, inputs: &[&str]) -> Result<()> {
        let shapes = self.0.input_shapes.iter().map(|(name, _)| ("shape", name));
        let values = self.0.input_values.iter().map(|(name, _)| ("value", name));
        let mut seen = HashSet::new();
        for (given, name) in shapes.chain(values) {
            if !inputs.contains(&name.as_str()) {
                return Err(unknown("input", name, inputs.iter().copied()));
            }
            if !seen.insert((given, name)) {
                let what = "it is given twice".into();
                return Err(CompileError::InputOption { given, input: name.clone(), what });
            }
        }
        Ok(())
    }

    fn shape(self, input: &str) -> Option<&'a [u32]> {
        self.0.input_shapes.iter().find(|(name, _)| name == input).map(|(_, shape)| &shape[..])
    }

    /// Returns the value of an input that becomes a constant.
    pub(super) fn value(self, input: &str) -> Option<&'a InputValue> {
        self.0.input_values.iter().find(|(name, _)| name == input).map(|(_, value)| value)
    }

    /// Returns the dimensions of an input after what is given for it; `dims` are the file's, `None` for a dynamic one,
    /// or `None` if it states no shape.
    pub(super) fn dimensions(self, input: &str, dims: Option<&[Option<u32>]>) -> Result<Option<Vec<Option<u32>>>> {
        let mut dims = dims.map(<[_]>::to_vec);
        let given = self.shape(input).map(|shape| ("shape", shape));
        let of_value = self.value(input).and_then(|value| Some(("value", value.shape.as_deref()?)));
        for (given, shape) in given.into_iter().chain(of_value) {
            let error = |what: String| CompileError::InputOption { given, input: input.into(), what };
            if shape.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim.into())).is_none_or(|n| n > MAX_ELEMENTS) {
                return Err(error(format!("it is {shape:?}, which is more than 2^28 elements")));
            }
            let stated = dims.get_or_insert_with(|| vec![None; shape.len()]);
            let agrees = |(stated, &dim): (&Option<u32>, &u32)| stated.is_none_or(|stated| stated == dim);
            if stated.len() != shape.len() || !stated.iter().zip(shape).all(agrees) {
                return Err(error(format!("it is {shape:?}, and the file states {}", shape_text(stated))));
            }
            *stated = shape.iter().map(|&dim| Some(dim)).collect();
        }
        // A list of numbers leaves one dynamic dimension to be found.
        if let (Some(InputValue { shape: None, numbers }), Some(dims)) = (self.value(input), &mut dims)
            && let [open] = (0..dims.len()).filter(|&i| dims[i].is_none()).collect::<Vec<_>>()[..]
        {
            let known = dims.iter().flatten().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize));
            let rest = known.filter(|&n| n > 0 && numbers.len().is_multiple_of(n)).map(|n| numbers.len() / n);
            dims[open] = rest.and_then(|rest| u32::try_from(rest).ok());
        }
        Ok(dims)
    }

    /// Returns the little-endian bytes of the value of an input of this type and shape.
    pub(super) fn bytes(self, input: &str, value: &InputValue, dtype: ElementType, shape: &[u32]) -> Result<Vec<u8>> {
        let error = |what: String| CompileError::InputOption { given: "value", input: input.into(), what };
        let count = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize));
        if count != Some(value.numbers.len()) {
            let found = value.numbers.len();
            return Err(error(format!("it has {found} numbers, and the input is {dtype}{shape:?}")));
        }
        let bytes = match &value.numbers {
            Numbers::Integers(list) => list.iter().try_fold(Vec::new(), |mut bytes, &number| {
                push_integer(&mut bytes, number, dtype).then_some(bytes).ok_or(number.to_string())
            }),
            Numbers::Floats(list) => list.iter().try_fold(Vec::new(), |mut bytes, &number| {
                push_float(&mut bytes, number, dtype).then_some(bytes).ok_or(number.to_string())
            }),
        };
        bytes.map_err(|number| error(format!("{number} is no {dtype}")))
    }
}

/// Returns a shape as text; dynamic dimensions are `?`.
pub(super) fn shape_text(dims: &[Option<u32>]) -> String {
    let dims: Vec<String> = dims.iter().map(|dim| dim.map_or("?".into(), |dim| dim.to_string())).collect();
    format!("[{}]", dims.join(", "))
}

/// Adds a whole number as an element; returns whether the type holds it.
fn push_integer(bytes: &mut Vec<u8>, number: i64, dtype: ElementType) -> bool {
    macro_rules! push {
        ($type:ty) => {
            <$type>::try_from(number).map(|number| bytes.extend(number.to_le_bytes())).is_ok()
        };
    }
    match dtype {
        ElementType::I8 => push!(i8),
        ElementType::U8 => push!(u8),
        ElementType::I16 => push!(i16),
        ElementType::I32 => push!(i32),
        ElementType::I64 => push!(i64),
        ElementType::Bool => (0..=1).contains(&number) && push!(u8),
        ElementType::F32 => {
            let float = number as f32;
            bytes.extend(float.to_le_bytes());
            float as i64 == number
        }
        _ => false,
    }
}

/// Adds a floating-point number as an element; returns whether the type holds it, up to its precision.
fn push_float(bytes: &mut Vec<u8>, number: f64, dtype: ElementType) -> bool {
    let float = number as f32;
    bytes.extend(float.to_le_bytes());
    dtype == ElementType::F32 && float.is_finite() == number.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(shapes: &[(&str, &[u32])], values: &[(&str, InputValue)]) -> Options {
        Options {
            input_shapes: shapes.iter().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect(),
            input_values: values.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
            ..Options::default()
        }
    }

    fn integers(shape: Option<&[u32]>, list: &[i64]) -> InputValue {
        InputValue { shape: shape.map(<[u32]>::to_vec), numbers: Numbers::Integers(list.to_vec()) }
    }

    #[test]
    fn a_shape_fixes_what_is_dynamic_and_contradicts_nothing() {
        let dims = [None, Some(3), None];
        let with = |shape: &[u32]| Given(&options(&[("x", shape)], &[])).dimensions("x", Some(&dims));
        assert_eq!(with(&[2, 3, 4]), Ok(Some(vec![Some(2), Some(3), Some(4)])));
        let message = |shape: &[u32]| with(shape).unwrap_err().to_string();
        assert!(message(&[2, 4, 4]).contains("it is [2, 4, 4], and the file states [?, 3, ?]"));
        assert!(message(&[2, 3]).contains("states [?, 3, ?]") && message(&[]).contains("states"));
        assert!(message(&[1 << 31, 3, 1 << 31]).contains("more than 2^28"));
        assert!(message(&[u32::MAX; 3]).contains("more than 2^28"));
        let options = options(&[("x", &[7])], &[]);
        assert_eq!(Given(&options).dimensions("x", None), Ok(Some(vec![Some(7)])));
        assert_eq!(Given(&options).dimensions("y", Some(&dims)), Ok(Some(dims.to_vec())));
    }

    #[test]
    fn a_list_of_numbers_has_the_length_of_one_dynamic_dimension() {
        let with = |dims: &[Option<u32>], count: usize| {
            let options = options(&[], &[("x", integers(None, &vec![1; count]))]);
            Given(&options).dimensions("x", Some(dims)).unwrap().unwrap()
        };
        assert_eq!(with(&[None, Some(2)], 6), [Some(3), Some(2)]);
        assert_eq!(with(&[None, Some(2)], 5), [None, Some(2)]);
        assert_eq!(with(&[None, Some(0)], 5), [None, Some(0)]);
        assert_eq!(with(&[None, None], 4), [None, None]);
    }

    #[test]
    fn numbers_are_checked_against_type_and_shape() {
        let options = Options::default();
        let bytes = |value: &InputValue, dtype, shape: &[u32]| Given(&options).bytes("x", value, dtype, shape);
        assert_eq!(bytes(&integers(None, &[16000]), ElementType::I64, &[]).unwrap(), 16000i64.to_le_bytes());
        assert_eq!(bytes(&integers(None, &[-1, 1]), ElementType::I8, &[2]).unwrap(), [0xff, 1]);
        assert_eq!(bytes(&integers(None, &[3]), ElementType::F32, &[1]).unwrap(), 3f32.to_le_bytes());
        let refused = |value: &InputValue, dtype, shape: &[u32]| bytes(value, dtype, shape).unwrap_err().to_string();
        assert!(refused(&integers(None, &[1]), ElementType::I8, &[2]).contains("1 numbers, and the input is int8[2]"));
        assert!(refused(&integers(None, &[1 << 40]), ElementType::I32, &[1]).contains("1099511627776 is no int32"));
        assert!(refused(&integers(None, &[2]), ElementType::Bool, &[1]).contains("2 is no bool"));
        assert!(refused(&integers(None, &[(1 << 24) + 1]), ElementType::F32, &[1]).contains("is no float32"));
        let floats = |list: &[f64]| InputValue { shape: None, numbers: Numbers::Floats(list.to_vec()) };
        assert!(refused(&floats(&[1.5]), ElementType::I32, &[1]).contains("1.5 is no int32"));
        assert!(refused(&floats(&[1e300]), ElementType::F32, &[1]).contains("is no float32"));
        assert_eq!(bytes(&floats(&[0.1]), ElementType::F32, &[1]).unwrap(), 0.1f32.to_le_bytes());
        assert!(refused(&floats(&[]), ElementType::F32, &[u32::MAX; 4]).contains("0 numbers"));
    }

    #[test]
    fn unknown_and_repeated_names_are_refused() {
        let inputs = ["a", "b"];
        let error = |options: &Options| Given(options).check_inputs(&inputs).unwrap_err().to_string();
        assert_eq!(error(&options(&[("c", &[1])], &[])), "the network has no input `c`; it has `a`, `b`");
        assert!(error(&options(&[("a", &[1]), ("a", &[1])], &[])).contains("it is given twice"));
        assert!(Given(&options(&[("a", &[1])], &[("a", integers(None, &[1]))])).check_inputs(&inputs).is_ok());
        let many: Vec<String> = (0..50).map(|i| i.to_string()).collect();
        assert!(unknown("input", "x", many.iter().map(String::as_str)).to_string().ends_with("`39` and 10 more"));
    }
}
