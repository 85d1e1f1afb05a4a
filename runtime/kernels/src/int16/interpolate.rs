//! A function of one int16 value, by linear interpolation between 513 of its values.
//!
//! The upper 9 bits of the value select two neighbours, the lower 7 a place between them.
//!
//! Source: TensorFlow Lite's `LUTLookup` for int16.

/// The number of elements of a table.
pub const INTERPOLATED: usize = 513;

/// The function's value at `x`, of which `table` has the values at -32768, -32640, … , 32640, 32768.
#[inline]
#[must_use]
pub fn interpolate(table: &[i16; INTERPOLATED], x: i16) -> i16 {
    let at = (256 + (i32::from(x) >> 7)).cast_unsigned() as usize;
    let (Some(&base), Some(&next)) = (table.get(at), table.get(at + 1)) else { return 0 };
    // The difference of neighbours wraps at 16 bits, as in the source.
    let slope = i32::from(next.wrapping_sub(base));
    let offset = i32::from(x & 0x7f);
    (i32::from(base) + ((slope * offset + 64) >> 7)) as i16
}

#[cfg(test)]
mod tests {
    use super::{INTERPOLATED, interpolate};

    #[test]
    fn a_line_stays_a_line() {
        let table: [i16; INTERPOLATED] = core::array::from_fn(|k| ((k as i32 - 256) * 64) as i16);
        for x in (i16::MIN..=i16::MAX).step_by(if cfg!(miri) { 509 } else { 1 }) {
            assert_eq!(i32::from(interpolate(&table, x)), (i32::from(x) + 1) >> 1, "{x}");
        }
    }
}
