//! BatchMatMul against the sum in i64, in every layout of its operands and in any slicing.

mod common;

use common::{by_rows, for_seeds, output, scaled};
use tealight_kernels::{ActivationRange, BatchMatMul, Multiplier, batch_matmul};

#[test]
fn products_equal_their_definition() {
    for_seeds(300, |rng| {
        let (matrices, rows, inner, columns) = (rng.size(1, 3), rng.size(1, 5), rng.size(1, 40), rng.size(1, 6));
        let (transpose_a, transpose_b) = (rng.size(0, 1) == 1, rng.size(0, 1) == 1);
        let [a_stride, b_stride] = [rows * inner, inner * columns].map(|len| if rng.size(0, 2) == 0 { 0 } else { len });
        let p = BatchMatMul {
            rows,
            inner,
            columns,
            transpose_a,
            transpose_b,
            a_stride,
            b_stride,
            a_zero_point: rng.zero_point(),
            b_zero_point: rng.zero_point(),
            output_zero_point: rng.zero_point(),
            output: Multiplier::new(rng.multiplier(), rng.int(-12, 1)),
        };
        let (a, b) = (rng.bytes(matrices * rows * inner), rng.bytes(matrices * inner * columns));
        let found = by_rows(rng, matrices * rows, columns, |rows, output| batch_matmul(&p, rows, &a, &b, output));
        let mut expected = Vec::new();
        for row in 0..matrices * rows {
            let (n, i) = (row / rows, row % rows);
            for j in 0..columns {
                let sum: i64 = (0..inner)
                    .map(|k| {
                        let x = a[n * a_stride + if transpose_a { k * rows + i } else { i * inner + k }];
                        let w = b[n * b_stride + if transpose_b { j * inner + k } else { k * columns + j }];
                        (i64::from(x) - i64::from(p.a_zero_point)) * (i64::from(w) - i64::from(p.b_zero_point))
                    })
                    .sum();
                let sum = scaled(sum as i32, p.output.multiplier, p.output.shift);
                expected.push(output(sum, p.output_zero_point, ActivationRange::FULL));
            }
        }
        assert_eq!(found, expected, "{p:?}");
    });
}
