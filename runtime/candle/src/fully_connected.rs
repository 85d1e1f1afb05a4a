//! FullyConnectedF32.

use crate::product::{BLOCKED, MatrixProduct};
use crate::segments::{Segment, segments};
use crate::threads::in_chunks;
use crate::weights::{Stored, decoded, stored};
use tealight::Part;
use tealight_format::ops;
use tealight_kernels::float;

/// Appends the rows of `part` to `output`. A row of the operator is one element of its output.
pub(crate) fn fully_connected_f32(op: &ops::FullyConnectedF32, part: &Part<'_>, output: &mut Vec<f32>) -> Option<()> {
    let (x, weights) = (part.input(0)?.as_slice::<f32>()?, part.input(1)?);
    let [out_features, inner] = [0, 1].map(|i| weights.shape().dim(i) as usize);
    let bias = part.input(2).and_then(|bias| bias.as_slice::<f32>()).unwrap_or(&[]);
    let all_rows = part.row_count() / out_features;
    let weights = match stored(&weights)? {
        // For few rows, converting the weights to f32 would take longer than the product.
        Stored::F16(weights) if all_rows < BLOCKED => {
            let p = float::FullyConnected { in_features: inner, out_features, activation: op.activation };
            let rows = part.rows();
            output.resize(rows.len(), 0.0);
            in_chunks(output, |start, output| {
                let from = rows.start + start;
                float::fully_connected(&p, from..from + output.len(), x, weights, bias, output);
            });
            return Some(());
        }
        weights => decoded(weights),
    };
    for Segment { batches, rows } in segments(part.rows(), out_features) {
        let product = MatrixProduct {
            all_rows,
            inner,
            weights: weights.get(rows.start * inner..rows.end * inner)?,
            bias: bias.get(rows).unwrap_or(&[]),
            activation: op.activation,
        };
        product.append(x.get(batches.start * inner..batches.end * inner)?, output).ok()?;
    }
    Some(())
}
