//! Add, Sub, Mul and Prelu against their formulas, element by element, under every kind of broadcasting.

mod common;

use common::{Rng, by_rows, flat, for_seeds, indices, output, scaled};
use tealight_kernels::{ActivationRange, AddSub, Broadcast, Mul, Multiplier, Prelu, add, mul, prelu, sub};

struct Operands {
    broadcast: Broadcast,
    a: Vec<i8>,
    b: Vec<i8>,
    /// The two input elements of each output element.
    pairs: Vec<(i8, i8)>,
    rows: usize,
}

/// Random shapes of up to six dimensions, any of which may be 1 in either operand.
fn operands(rng: &mut Rng) -> Operands {
    let rank = rng.size(0, 6);
    let (mut dims, mut a_dims, mut b_dims) = ([1; 6], [1; 6], [1; 6]);
    for i in 6 - rank..6 {
        dims[i] = rng.size(1, 4);
        (a_dims[i], b_dims[i]) = match rng.size(0, 5) {
            0 => (1, dims[i]),
            1 => (dims[i], 1),
            _ => (dims[i], dims[i]),
        };
    }
    let strides = |operand: [usize; 6]| {
        let (mut strides, mut stride) = ([0; 6], 1);
        for i in (0..6).rev() {
            strides[i] = if operand[i] == dims[i] { stride } else { 0 };
            stride *= operand[i];
        }
        strides
    };
    let a = rng.bytes(a_dims.iter().product());
    let b = rng.bytes(b_dims.iter().product());
    let pairs = indices(dims)
        .map(|index| {
            let of = |values: &[i8], operand: [usize; 6]| {
                let within: [usize; 6] = std::array::from_fn(|i| index[i] % operand[i]);
                values[flat(operand, within)]
            };
            (of(&a, a_dims), of(&b, b_dims))
        })
        .collect();
    let row_len = dims[6 - rng.size(0, rank)..].iter().product();
    let broadcast = Broadcast { dims, a_strides: strides(a_dims), b_strides: strides(b_dims), row_len };
    Operands { broadcast, a, b, pairs, rows: dims.iter().product::<usize>() / row_len }
}

#[test]
fn add_and_sub_equal_their_formula() {
    for_seeds(400, |rng| {
        let Operands { broadcast, a, b, pairs, rows } = operands(rng);
        let p = AddSub {
            broadcast,
            a_zero_point: rng.zero_point(),
            b_zero_point: rng.zero_point(),
            output_zero_point: rng.zero_point(),
            left_shift: 20,
            a: Multiplier::new(rng.multiplier(), rng.int(-3, 0)),
            b: Multiplier::new(rng.multiplier(), rng.int(-3, 0)),
            output: Multiplier::new(rng.multiplier(), rng.int(-20, -16)),
            activation: rng.activation(),
        };
        let expected = |sign: i32| -> Vec<i8> {
            let formula = |&(a, b): &(i8, i8)| {
                let a = (i32::from(a) - p.a_zero_point) << 20;
                let b = (i32::from(b) - p.b_zero_point) << 20;
                let sum = scaled(a, p.a.multiplier, p.a.shift) + sign * scaled(b, p.b.multiplier, p.b.shift);
                let scaled = scaled(sum, p.output.multiplier, p.output.shift);
                output(scaled, p.output_zero_point, p.activation)
            };
            pairs.iter().map(formula).collect()
        };
        let sum = by_rows(rng, rows, broadcast.row_len, |rows, out| {
            add(&p, rows, &a, &b, out);
        });
        assert_eq!(sum, expected(1), "{p:?}");
        let diff = by_rows(rng, rows, broadcast.row_len, |rows, out| {
            sub(&p, rows, &a, &b, out);
        });
        assert_eq!(diff, expected(-1), "{p:?}");
    });
}

#[test]
fn mul_equals_its_formula() {
    for_seeds(400, |rng| {
        let Operands { broadcast, a, b, pairs, rows } = operands(rng);
        let p = Mul {
            broadcast,
            a_zero_point: rng.zero_point(),
            b_zero_point: rng.zero_point(),
            output_zero_point: rng.zero_point(),
            output: Multiplier::new(rng.multiplier(), rng.int(-9, -4)),
            activation: rng.activation(),
        };
        let formula = |&(a, b): &(i8, i8)| {
            let product = (i32::from(a) - p.a_zero_point) * (i32::from(b) - p.b_zero_point);
            output(scaled(product, p.output.multiplier, p.output.shift), p.output_zero_point, p.activation)
        };
        let expected: Vec<i8> = pairs.iter().map(formula).collect();
        let product = by_rows(rng, rows, broadcast.row_len, |rows, out| {
            mul(&p, rows, &a, &b, out);
        });
        assert_eq!(product, expected, "{p:?}");
    });
}

#[test]
fn prelu_equals_its_formula() {
    for_seeds(400, |rng| {
        let Operands { broadcast, a, b, pairs, rows } = operands(rng);
        let mut factor = |shifts: [i32; 2]| Multiplier::new(rng.multiplier(), rng.int(shifts[0], shifts[1]));
        let (positive, negative) = (factor([-2, 1]), factor([-9, -4]));
        let (input_zero_point, alpha_zero_point) = (rng.zero_point(), rng.zero_point());
        let output_zero_point = rng.zero_point();
        let p = Prelu { broadcast, input_zero_point, alpha_zero_point, output_zero_point, positive, negative };
        let formula = |&(x, alpha): &(i8, i8)| {
            let x = i32::from(x) - input_zero_point;
            let below = x * (i32::from(alpha) - alpha_zero_point);
            let (of, by) = if x < 0 { (below, negative) } else { (x, positive) };
            output(scaled(of, by.multiplier, by.shift), output_zero_point, ActivationRange::FULL)
        };
        let expected: Vec<i8> = pairs.iter().map(formula).collect();
        let found = by_rows(rng, rows, broadcast.row_len, |rows, out| prelu(&p, rows, &a, &b, out));
        assert_eq!(found, expected, "{p:?}");
    });
}

#[test]
fn operands_of_one_shape_need_no_strides() {
    let p = Mul {
        broadcast: Broadcast::elementwise(4, 2),
        a_zero_point: 0,
        b_zero_point: 0,
        output_zero_point: 0,
        output: Multiplier::new(1 << 30, 1),
        activation: ActivationRange::FULL,
    };
    let mut output = [0; 2];
    mul(&p, 1..2, &[1, 2, 3, 4], &[5, 6, 7, 8], &mut output);
    assert_eq!(output, [21, 32]);
}
