//! Lookup: any function of one 8-bit value, as a table.
//!
//! Activation functions that are not fused (Relu, Logistic, Tanh, HardSwish, LeakyRelu) and 8-bit requantization are
//! all compiled to this operator; the compiler fills the table with the functions of [`unary`](crate::unary).

/// Computes `output[i] = table[input[i]]`. The byte is the index as unsigned, also for int8 values.
///
/// The table has 256 entries. The caller slices input and output to the rows it wants.
pub fn lookup(table: &[u8], input: &[u8], output: &mut [u8]) {
    let Some(table) = table.first_chunk::<256>() else {
        return;
    };
    for (output, &x) in output.iter_mut().zip(input) {
        // In range by type: 256 entries, an 8-bit index.
        *output = table[usize::from(x)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_replaced_by_its_entry() {
        let table: [u8; 256] = core::array::from_fn(|i| (i as u8).wrapping_mul(7));
        let mut output = [0; 3];
        lookup(&table, &[0, 1, 255], &mut output);
        assert_eq!(output, [0, 7, 255u8.wrapping_mul(7)]);
    }

    #[test]
    fn a_short_table_leaves_the_output_as_it_was() {
        let mut output = [9; 2];
        lookup(&[0; 255], &[0, 1], &mut output);
        assert_eq!(output, [9, 9]);
    }
}
