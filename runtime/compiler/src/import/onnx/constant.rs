//! Constants of a network, and what is computed from them when it is compiled.
//!
//! Exporters leave the arithmetic of shapes in a network: what a Reshape or a Slice reads is computed by a chain of small
//! operators that begins at a Shape. [`fold`] computes these, and what is known of float constants.

use crate::ir::bytes::Bytes;
use crate::ir::graph::{ElementType, broadcast_shape};
use crate::slice::walk;

/// The maximum number of elements that arithmetic is computed for. Shapes are short.
pub(super) const MAX_ELEMENTS: usize = 1 << 20;

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub(super) dtype: ElementType,
    pub(super) shape: Vec<u32>,
    pub(super) bytes: Bytes,
}

/// The elements of a constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Elements {
    Ints(Vec<i64>),
    Floats(Vec<f32>),
}

/// Returns the number of elements of a shape.
pub(super) fn count(shape: &[u32]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim as usize))
}

impl Constant {
    pub(super) fn floats(shape: &[u32], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: ElementType::F32, shape: shape.to_vec(), bytes }
    }

    pub(super) fn ints(dtype: ElementType, shape: &[u32], values: &[i64]) -> Option<Self> {
        let mut bytes = Vec::new();
        for &value in values {
            match dtype {
                ElementType::Bool | ElementType::U8 => bytes.push(u8::try_from(value).ok()?),
                ElementType::I8 => bytes.push(i8::try_from(value).ok()?.cast_unsigned()),
                ElementType::I16 => bytes.extend(i16::try_from(value).ok()?.to_le_bytes()),
                ElementType::I32 => bytes.extend(i32::try_from(value).ok()?.to_le_bytes()),
                ElementType::I64 => bytes.extend(value.to_le_bytes()),
                _ => return None,
            }
        }
        Some(Self { dtype, shape: shape.to_vec(), bytes: bytes.into() })
    }

    /// A list of int64, as shapes are.
    pub(super) fn list(values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: ElementType::I64, shape: vec![values.len() as u32], bytes }
    }

    pub(super) fn elements(&self) -> usize {
        count(&self.shape).unwrap_or(usize::MAX)
    }

    /// Returns the elements, if they are floats.
    pub(super) fn as_floats(&self) -> Option<Vec<f32>> {
        let floats = self.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        (self.dtype == ElementType::F32).then(|| floats.collect())
    }

    /// Returns the elements, if they are integers or bool.
    pub(super) fn as_ints(&self) -> Option<Vec<i64>> {
        let bytes = &self.bytes[..];
        Some(match self.dtype {
            ElementType::I8 => bytes.iter().map(|&byte| i64::from(byte.cast_signed())).collect(),
            ElementType::U8 | ElementType::Bool => bytes.iter().map(|&byte| i64::from(byte)).collect(),
            ElementType::I16 => bytes.as_chunks().0.iter().map(|b| i64::from(i16::from_le_bytes(*b))).collect(),
            ElementType::I32 => bytes.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect(),
            ElementType::I64 => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            _ => return None,
        })
    }

    fn values(&self) -> Option<Elements> {
        match self.dtype {
            ElementType::F32 => self.as_floats().map(Elements::Floats),
            _ => self.as_ints().map(Elements::Ints),
        }
    }

    /// Returns the constant under another shape with as many elements.
    pub(super) fn reshaped(&self, shape: Vec<u32>) -> Self {
        Self { shape, ..self.clone() }
    }

    /// Returns the constant with dimension i taken from dimension `order[i]`.
    pub(super) fn transposed(&self, order: &[usize]) -> Option<Self> {
        let shape: Vec<u32> = order.iter().map(|&axis| self.shape.get(axis).copied()).collect::<Option<_>>()?;
        if order.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Some(self.clone());
        }
        let steps = steps(&self.shape)?;
        let steps: Vec<i64> = order.iter().map(|&axis| steps[axis]).collect();
        let bytes = walk(&self.bytes, self.dtype.size()?, 0, &shape, &steps)?;
        Some(Self { dtype: self.dtype, shape, bytes: bytes.into() })
    }

    /// Returns the part that begins at `begin`, in these steps.
    pub(super) fn sliced(&self, begin: &[i64], stride: &[i64], shape: &[u32]) -> Option<Self> {
        let own = steps(&self.shape)?;
        let start =
            begin.iter().zip(&own).try_fold(0i64, |sum, (&at, &step)| sum.checked_add(at.checked_mul(step)?))?;
        let steps: Option<Vec<i64>> =
            stride.iter().zip(&own).map(|(&stride, &step)| stride.checked_mul(step)).collect();
        let bytes = walk(&self.bytes, self.dtype.size()?, start, shape, &steps?)?;
        Some(Self { dtype: self.dtype, shape: shape.to_vec(), bytes: bytes.into() })
    }

    /// Returns the constant repeated to a shape that it can be broadcast to.
    pub(super) fn broadcast(&self, shape: &[u32]) -> Option<Self> {
        let padded = padded(&self.shape, shape.len());
        let own = steps(&padded)?;
        let fits = padded.iter().zip(shape).all(|(&from, &to)| from == to || from == 1);
        if !fits || padded.len() != shape.len() || count(shape)? > MAX_ELEMENTS {
            return None;
        }
        let steps: Vec<i64> = own.iter().zip(&padded).map(|(&step, &dim)| if dim == 1 { 0 } else { step }).collect();
        let bytes = walk(&self.bytes, self.dtype.size()?, 0, shape, &steps)?;
        Some(Self { dtype: self.dtype, shape: shape.to_vec(), bytes: bytes.into() })
    }
}

/// Returns the shape with dimensions of length 1 in front, up to `rank` of them.
pub(super) fn padded(shape: &[u32], rank: usize) -> Vec<u32> {
    std::iter::repeat_n(1, rank.saturating_sub(shape.len())).chain(shape.iter().copied()).collect()
}

/// Returns the elements from one index of each dimension to the next.
fn steps(shape: &[u32]) -> Option<Vec<i64>> {
    let mut steps = vec![1i64; shape.len()];
    for i in (1..shape.len()).rev() {
        steps[i - 1] = steps[i].checked_mul(i64::from(shape[i]))?;
    }
    Some(steps)
}

/// Compares element by element, 1 where the relation holds; `None` if `op` is no comparison.
fn compare<T: PartialOrd>(op: &str, a: &[T], b: &[T]) -> Option<Vec<i64>> {
    let holds: fn(&T, &T) -> bool = match op {
        "Equal" => |a, b| a == b,
        "Less" => |a, b| a < b,
        "LessOrEqual" => |a, b| a <= b,
        "Greater" => |a, b| a > b,
        "GreaterOrEqual" => |a, b| a >= b,
        _ => return None,
    };
    Some(a.iter().zip(b).map(|(a, b)| i64::from(holds(a, b))).collect())
}

/// Computes an operator of two constants, element by element; `None` if it is not computed, or not defined for them.
pub(super) fn binary(op: &str, a: &Constant, b: &Constant) -> Option<Constant> {
    let shape = broadcast_shape(&a.shape, &b.shape)?;
    if count(&shape)? > MAX_ELEMENTS {
        return None;
    }
    let dtype = a.dtype;
    let (a, b) = (a.broadcast(&shape)?, b.broadcast(&shape)?);
    match (a.values()?, b.values()?) {
        (Elements::Floats(a), Elements::Floats(b)) => {
            if let Some(holds) = compare(op, &a, &b) {
                return Constant::ints(ElementType::Bool, &shape, &holds);
            }
            let of: fn(f32, f32) -> f32 = match op {
                "Add" | "Sum" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Max" => f32::max,
                "Min" => f32::min,
                "Pow" => f32::powf,
                "Mod" => |a, b| a - b * (a / b).floor(),
                "Fmod" => |a, b| a % b,
                _ => return None,
            };
            let values: Vec<f32> = a.iter().zip(&b).map(|(&a, &b)| of(a, b)).collect();
            Some(Constant::floats(&shape, &values))
        }
        (Elements::Ints(a), Elements::Ints(b)) => {
            if let Some(holds) = compare(op, &a, &b) {
                return Constant::ints(ElementType::Bool, &shape, &holds);
            }
            let of: fn(i64, i64) -> Option<i64> = match op {
                "Add" | "Sum" => i64::checked_add,
                "Sub" => i64::checked_sub,
                "Mul" => i64::checked_mul,
                // Toward zero, as C divides.
                "Div" => i64::checked_div,
                // The sign of the divisor, as Python does.
                "Mod" => {
                    |a, b| a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
                }
                "Fmod" => i64::checked_rem,
                "Max" => |a, b| Some(a.max(b)),
                "Min" => |a, b| Some(a.min(b)),
                "Pow" => |a, b| a.checked_pow(u32::try_from(b).ok()?),
                "ShiftRight" => |a, b| a.checked_shr(u32::try_from(b).ok()?).filter(|_| a >= 0),
                // Where bits are lost, the result depends on the type in the file.
                "ShiftLeft" => |a, b| a.checked_mul(1i64.checked_shl(u32::try_from(b).ok()?).filter(|&one| one > 0)?),
                "And" => |a, b| Some(i64::from(a != 0 && b != 0)),
                "Or" => |a, b| Some(i64::from(a != 0 || b != 0)),
                "Xor" => |a, b| Some(i64::from((a != 0) != (b != 0))),
                _ => return None,
            };
            let values: Vec<i64> = a.iter().zip(&b).map(|(&a, &b)| of(a, b)).collect::<Option<_>>()?;
            Constant::ints(dtype, &shape, &values)
        }
        // The result has the type of the base.
        (Elements::Floats(a), Elements::Ints(b)) if op == "Pow" => {
            let values: Vec<f32> = a.iter().zip(&b).map(|(&a, &b)| f64::from(a).powf(b as f64) as f32).collect();
            Some(Constant::floats(&shape, &values))
        }
        (Elements::Ints(a), Elements::Floats(b)) if op == "Pow" => {
            let values: Vec<i64> = a.iter().zip(&b).map(|(&a, &b)| (a as f64).powf(b.into()) as i64).collect();
            Constant::ints(dtype, &shape, &values)
        }
        _ => None,
    }
}

/// Computes an operator of one constant, element by element; `None` if it is not computed.
pub(super) fn unary(op: &str, a: &Constant) -> Option<Constant> {
    if a.elements() > MAX_ELEMENTS {
        return None;
    }
    match a.values()? {
        Elements::Floats(values) => {
            let of: fn(f32) -> f32 = match op {
                "Sqrt" => f32::sqrt,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                "Neg" => |a| -a,
                "Abs" => f32::abs,
                "Reciprocal" => |a| 1.0 / a,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Round" => f32::round_ties_even,
                "Sin" => f32::sin,
                "Cos" => f32::cos,
                "Tanh" => f32::tanh,
                "Sigmoid" => |a| 1.0 / (1.0 + (-a).exp()),
                "Relu" => |a| a.max(0.0),
                "Sign" => |a| if a == 0.0 { a } else { a.signum() },
                _ => return None,
            };
            let values: Vec<f32> = values.into_iter().map(of).collect();
            Some(Constant::floats(&a.shape, &values))
        }
        Elements::Ints(values) => {
            let of: fn(i64) -> Option<i64> = match op {
                "Neg" => i64::checked_neg,
                "Abs" => i64::checked_abs,
                "Not" => |a| Some(i64::from(a == 0)),
                "Sign" => |a| Some(a.signum()),
                _ => return None,
            };
            Constant::ints(a.dtype, &a.shape, &values.into_iter().map(of).collect::<Option<Vec<_>>>()?)
        }
    }
}

/// Converts a constant to another type.
pub(super) fn cast(a: &Constant, to: ElementType) -> Option<Constant> {
    if a.dtype == to {
        return Some(a.clone());
    }
    if a.elements() > MAX_ELEMENTS {
        return None;
    }
    match (a.values()?, to) {
        (Elements::Floats(values), ElementType::Bool) => {
            Constant::ints(to, &a.shape, &values.iter().map(|&value| i64::from(value != 0.0)).collect::<Vec<_>>())
        }
        (Elements::Floats(values), _) => {
            Constant::ints(to, &a.shape, &values.iter().map(|&value| value as i64).collect::<Vec<_>>())
        }
        (Elements::Ints(values), ElementType::F32) => {
            Some(Constant::floats(&a.shape, &values.iter().map(|&value| value as f32).collect::<Vec<_>>()))
        }
        (Elements::Ints(values), ElementType::Bool) => {
            Constant::ints(to, &a.shape, &values.iter().map(|&value| i64::from(value != 0)).collect::<Vec<_>>())
        }
        (Elements::Ints(values), _) => Constant::ints(to, &a.shape, &values),
    }
}

/// Concatenates constants along an axis.
pub(super) fn concat(parts: &[&Constant], axis: usize) -> Option<Constant> {
    let first = parts.first()?;
    let (dtype, item) = (first.dtype, first.dtype.size()?);
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for part in parts {
        let alike = part.shape.iter().zip(&shape).enumerate().all(|(i, (a, b))| i == axis || a == b);
        if part.dtype != dtype || part.shape.len() != shape.len() || !alike {
            return None;
        }
        shape[axis] = shape[axis].checked_add(part.shape[axis])?;
    }
    let outer = count(&shape[..axis])?;
    let mut bytes = Vec::with_capacity(count(&shape)?.checked_mul(item)?);
    for row in 0..outer {
        for part in parts {
            let len = count(&part.shape[axis..])? * item;
            bytes.extend_from_slice(part.bytes.get(row * len..(row + 1) * len)?);
        }
    }
    Some(Constant { dtype, shape, bytes: bytes.into() })
}

/// Takes the slices of `a` along `axis` that `indices` name.
pub(super) fn gather(a: &Constant, indices: &Constant, axis: usize) -> Option<Constant> {
    let rows = i64::from(*a.shape.get(axis)?);
    let item = a.dtype.size()?;
    let (outer, inner) = (count(&a.shape[..axis])?, count(&a.shape[axis + 1..])?.checked_mul(item)?);
    let shape = [&a.shape[..axis], &indices.shape, &a.shape[axis + 1..]].concat();
    if count(&shape)? > MAX_ELEMENTS || indices.elements() > MAX_ELEMENTS {
        return None;
    }
    let indices = indices.as_ints()?;
    let mut bytes = Vec::new();
    for row in 0..outer {
        for &index in &indices {
            let at = usize::try_from(if index < 0 { index + rows } else { index }).ok()?;
            if at as i64 >= rows {
                return None;
            }
            let start = (row * rows as usize + at).checked_mul(inner)?;
            bytes.extend_from_slice(a.bytes.get(start..start.checked_add(inner)?)?);
            if shape.contains(&0) {
                break;
            }
        }
    }
    Some(Constant { dtype: a.dtype, shape, bytes: bytes.into() })
}

/// Takes elements of `a` where the condition holds, and of `b` elsewhere.
pub(super) fn select(condition: &Constant, a: &Constant, b: &Constant) -> Option<Constant> {
    let shape = broadcast_shape(&broadcast_shape(&condition.shape, &a.shape)?, &b.shape)?;
    if count(&shape)? > MAX_ELEMENTS || a.dtype != b.dtype {
        return None;
    }
    let condition = condition.broadcast(&shape)?.as_ints()?;
    let (a, b, item) = (a.broadcast(&shape)?, b.broadcast(&shape)?, a.dtype.size()?);
    let pairs = a.bytes.chunks_exact(item).zip(b.bytes.chunks_exact(item));
    let chosen = condition.iter().zip(pairs).flat_map(|(&holds, (a, b))| if holds != 0 { a } else { b });
    Some(Constant { dtype: a.dtype, bytes: chosen.copied().collect(), shape })
}

/// Reduces all listed axes of integers, which shapes need; `None` for other constants.
pub(super) fn reduce(op: &str, a: &Constant, axes: &[usize], keep: bool) -> Option<Constant> {
    let values = a.as_ints()?;
    if axes.len() != a.shape.len() || values.len() > MAX_ELEMENTS {
        return None;
    }
    let result = match op {
        "ReduceProd" => values.iter().try_fold(1i64, |n, &value| n.checked_mul(value))?,
        "ReduceSum" => values.iter().try_fold(0i64, |n, &value| n.checked_add(value))?,
        "ReduceMax" => values.iter().copied().max()?,
        "ReduceMin" => values.iter().copied().min()?,
        _ => return None,
    };
    Constant::ints(a.dtype, &if keep { vec![1; a.shape.len()] } else { Vec::new() }, &[result])
}

/// Returns the truth values of whether each index, from the end if it is negative, names a place of a new dimension.
pub(super) fn one_hot(indices: &Constant, depth: &Constant, axis: i64) -> Option<Constant> {
    let depth = cast(depth, ElementType::I64)?.as_ints().filter(|depth| depth.len() == 1)?[0];
    let list = cast(indices, ElementType::I64)?.as_ints()?;
    let rank = indices.shape.len();
    let axis = usize::try_from(if axis < 0 { axis.checked_add(rank as i64 + 1)? } else { axis }).ok()?;
    let shape = [&indices.shape[..], &[u32::try_from(depth).ok()?]].concat();
    if axis > rank || count(&shape)? > MAX_ELEMENTS {
        return None;
    }
    let place = |index: i64| if index < 0 { index.saturating_add(depth) } else { index };
    let truths: Vec<i64> =
        list.iter().flat_map(|&index| (0..depth).map(move |at| i64::from(place(index) == at))).collect();
    let mut order: Vec<usize> = (0..rank).collect();
    order.insert(axis, rank);
    Constant::ints(ElementType::Bool, &shape, &truths)?.transposed(&order)
}

/// Returns a matrix with ones on a diagonal, as float32.
pub(super) fn eye(shape: &[u32], diagonal: i64) -> Option<Constant> {
    let &[rows, columns] = shape else { return None };
    let count = count(shape).filter(|&count| count <= MAX_ELEMENTS)?;
    let on = |i: usize| (i % columns as usize) as i64 == ((i / columns as usize) as i64).saturating_add(diagonal);
    let values: Vec<f32> = (0..count).map(|i| f32::from(u8::from(on(i)))).collect();
    Some(Constant::floats(&[rows, columns], &values))
}

/// Returns one of the windows that spectra are computed with.
pub(super) fn window(op: &str, size: usize, periodic: bool) -> Option<Constant> {
    if size == 0 || size > MAX_ELEMENTS {
        return None;
    }
    let factors = match op {
        "HannWindow" => [0.5, 0.5, 0.0],
        "HammingWindow" => [25.0 / 46.0, 21.0 / 46.0, 0.0],
        _ => [0.42, 0.5, 0.08],
    };
    let period = if periodic { size as f64 } else { (size - 1).max(1) as f64 };
    let value = |i: usize| {
        let angle = std::f64::consts::TAU * i as f64 / period;
        (factors[0] - factors[1] * angle.cos() + factors[2] * (2.0 * angle).cos()) as f32
    };
    Some(Constant::floats(&[size as u32], &(0..size).map(value).collect::<Vec<_>>()))
}

/// Returns the numbers of a Range.
pub(super) fn range(start: &Constant, limit: &Constant, delta: &Constant) -> Option<Constant> {
    if let (Some(start), Some(limit), Some(delta)) = (start.as_floats(), limit.as_floats(), delta.as_floats()) {
        let (&[start], &[limit], &[delta]) = (&start[..], &limit[..], &delta[..]) else { return None };
        let count = ((f64::from(limit) - f64::from(start)) / f64::from(delta)).ceil().max(0.0);
        let count = Some(count).filter(|count| *count <= MAX_ELEMENTS as f64)? as usize;
        let values: Vec<f32> = (0..count).map(|i| start + i as f32 * delta).collect();
        return Some(Constant::floats(&[count as u32], &values));
    }
    let dtype = start.dtype;
    let (start, limit, delta) = (start.as_ints()?, limit.as_ints()?, delta.as_ints()?);
    let (&[start], &[limit], &[delta]) = (&start[..], &limit[..], &delta[..]) else { return None };
    if delta == 0 {
        return None;
    }
    let distance = i128::from(limit) - i128::from(start);
    let delta_wide = i128::from(delta);
    let count = (distance + delta_wide - delta_wide.signum()).div_euclid(delta_wide).max(0);
    let count = usize::try_from(count).ok().filter(|&count| count <= MAX_ELEMENTS)?;
    let values: Vec<i64> = (0..count as i64).map(|i| start.wrapping_add(delta.wrapping_mul(i))).collect();
    Constant::ints(dtype, &[count as u32], &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_computed_as_the_operators_define_them() {
        let list = |values: &[i64]| Constant::list(values);
        let values = |constant: Option<Constant>| constant.unwrap().as_ints().unwrap();
        assert_eq!(values(binary("Div", &list(&[7, -7]), &list(&[2]))), [3, -3]);
        assert_eq!(values(binary("Mod", &list(&[7, -7]), &list(&[3]))), [1, 2]);
        assert_eq!(values(binary("Fmod", &list(&[7, -7]), &list(&[3]))), [1, -1]);
        assert_eq!(binary("Div", &list(&[1]), &list(&[0])), None);
        assert_eq!(values(gather(&list(&[5, 6, 7]), &list(&[-1, 0]), 0)), [7, 5]);
        assert_eq!(gather(&list(&[5, 6, 7]), &list(&[3]), 0), None);
        assert_eq!(values(concat(&[&list(&[1]), &list(&[2, 3])], 0)), [1, 2, 3]);
        assert_eq!(values(range(&list(&[1]), &list(&[8]), &list(&[3]))), [1, 4, 7]);
        assert_eq!(values(range(&list(&[8]), &list(&[1]), &list(&[-3]))), [8, 5, 2]);
        assert_eq!(range(&list(&[0]), &list(&[i64::MAX]), &list(&[1])), None);
        let condition = binary("Equal", &list(&[1, -1]), &list(&[-1])).unwrap();
        assert_eq!(values(select(&condition, &list(&[9]), &list(&[3, 4]))), [3, 9]);
    }

    #[test]
    fn constants_are_transposed_and_broadcast() {
        let a = Constant::floats(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(a.transposed(&[1, 0]).unwrap().as_floats().unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let b = Constant::floats(&[2, 1], &[1.0, 2.0]).broadcast(&[2, 2]).unwrap();
        assert_eq!(b.as_floats().unwrap(), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(a.broadcast(&[3, 3]), None);
    }
}
