//! The tolerance of f32 outputs compared with those of TensorFlow Lite Micro.
//!
//! TensorFlow Lite Micro adds the products of a sum one after another, where Tealight adds to eight partial sums, and
//! it uses the C library's `exp` instead of `libm`'s. Last bits therefore differ, and the differences add up in a
//! network.

/// The maximum difference, relative to what [`Tolerance`] names: about 40 units in the last place.
pub const TOLERANCE: f32 = 5e-6;

/// How outputs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Equal bytes: integers, and single f32 operations, which IEEE 754 defines to the last bit.
    Exact,
    /// Relative to each element: functions of one value.
    Elements,
    /// Relative to the tensor's largest magnitude: sums that cancel have errors of the order of their terms.
    Tensor,
}

impl Tolerance {
    /// Returns how the outputs of an operator's goldens are compared. The f32 operators have names that end in `_f32`.
    pub fn of_operator(file: &str) -> Self {
        match file {
            "add_f32"
            | "sub_f32"
            | "mul_f32"
            | "div_f32"
            | "minimum_f32"
            | "maximum_f32"
            | "max_pool2d_f32"
            | "prelu_f32"
            | "resize_bilinear_f32"
            | "reduce_max_f32"
            | "reduce_min_f32"
            | "squared_difference_f32"
            | "floor_div_f32"
            | "arg_max_f32"
            | "arg_min_f32"
            | "add_n_f32" => Self::Exact,
            "unary_f32" => Self::Elements,
            _ if file.ends_with("_f32") => Self::Tensor,
            _ => Self::Exact,
        }
    }
}

/// Compares `found` with what is `expected`; `factor` widens the tolerance.
///
/// # Errors
/// The first element that differs by more than [`TOLERANCE`] allows, or at all if it must be equal.
pub fn near(found: &[f32], expected: &[f32], tolerance: Tolerance, factor: f32) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("has {} elements instead of {}", found.len(), expected.len()));
    }
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let magnitude = match tolerance {
            Tolerance::Exact => 0.0,
            // Near a function's zeros, the last bits of the arguments matter: no element counts as smaller than 0.01.
            Tolerance::Elements => b.abs().max(0.01),
            Tolerance::Tensor => largest,
        };
        // A NaN is outside the tolerance.
        let is_near = (a - b).abs() <= factor * TOLERANCE * magnitude;
        if !is_near {
            return Err(format!("is off at element {i}: {a}, expected {b}; the largest is {largest}"));
        }
    }
    Ok(())
}

/// Returns little-endian bytes as elements.
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
