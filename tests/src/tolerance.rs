//! How near f32 outputs must be to those of TensorFlow Lite Micro.
//!
//! TensorFlow Lite Micro adds the products of a sum one after another where ours go to eight partial sums, and takes
//! the C library's `exp` where ours is `libm`'s. So last bits differ, and in a network they add up.

/// How far an output may be off, as a part of what [`Tolerance`] names: about 40 units in the last place.
pub const TOLERANCE: f32 = 5e-6;

/// What the outputs must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// The same bytes: integers, and single operations of f32, which IEEE 754 defines to the last bit.
    Exact,
    /// Near, to the part of each element: functions of one number.
    Elements,
    /// Near, to the part of the tensor's largest magnitude: sums that cancel are off by units of their parts.
    Tensor,
}

impl Tolerance {
    /// What the outputs of an operator's goldens must be. The f32 operators have names that end in `_f32`.
    pub fn of_operator(file: &str) -> Self {
        match file {
            "add_f32" | "sub_f32" | "mul_f32" | "div_f32" | "minimum_f32" | "maximum_f32" | "max_pool2d_f32"
            | "prelu_f32" => Self::Exact,
            "unary_f32" => Self::Elements,
            _ if file.ends_with("_f32") => Self::Tensor,
            _ => Self::Exact,
        }
    }
}

/// Compares `found` with what is `expected`; `factor` widens the tolerance.
///
/// # Errors
/// The first element that is further off than [`TOLERANCE`] allows, or differs at all where it must not.
pub fn near(found: &[f32], expected: &[f32], tolerance: Tolerance, factor: f32) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("has {} elements instead of {}", found.len(), expected.len()));
    }
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let magnitude = match tolerance {
            Tolerance::Exact => 0.0,
            // Where functions cross 0 their arguments' last bits show: no element counts as less than 0.01.
            Tolerance::Elements => b.abs().max(0.01),
            Tolerance::Tensor => largest,
        };
        // A NaN is not near.
        let is_near = (a - b).abs() <= factor * TOLERANCE * magnitude;
        if !is_near {
            return Err(format!("is off at element {i}: {a}, expected {b}; the largest is {largest}"));
        }
    }
    Ok(())
}

/// Little-endian bytes as elements.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_outside_the_tolerance_is_refused() {
        let near = |found: f32, tolerance| near(&[100.0, found], &[100.0, 1.0], tolerance, 1.0).is_ok();
        assert!(near(1.0, Tolerance::Exact) && !near(1.000_001, Tolerance::Exact));
        assert!(near(1.000_001, Tolerance::Elements) && !near(1.000_1, Tolerance::Elements));
        assert!(near(1.000_1, Tolerance::Tensor) && !near(1.001, Tolerance::Tensor));
        assert!(!near(f32::NAN, Tolerance::Tensor));
    }
}
