//! Functions of int32 numbers against their definition in i64, casts against the limits of their types, and what int8
//! networks compute in int32 against the real numbers.

mod common;

use common::{by_rows, for_seeds, scaled};
use tealight_kernels::quant::quantize_multiplier;
use tealight_kernels::{
    ActivationRange, Broadcast, CastTo, Div, IntegerFunction, L2Norm, Multiplier, Rescale, binary_i32, cast, div,
    l2_norm, narrow_i32, rescale_i32, widen_i32,
};

/// Numbers at the ends of the type and around 0, and others.
fn numbers(rng: &mut common::Rng, count: usize) -> Vec<i32> {
    const ODD: [i32; 9] = [i32::MIN, i32::MIN + 1, -7, -1, 0, 1, 7, i32::MAX - 1, i32::MAX];
    (0..count).map(|_| if rng.size(0, 2) == 0 { ODD[rng.size(0, 8)] } else { rng.int(i32::MIN, i32::MAX) }).collect()
}

fn defined(function: IntegerFunction, a: i32, b: i32) -> i32 {
    use IntegerFunction as F;
    let (a, b) = (i64::from(a), i64::from(b));
    let floor = |b: i64| if b > 0 { a.div_euclid(b) } else { (-a).div_euclid(-b) };
    (match function {
        F::Add => a + b,
        F::Sub => a - b,
        F::Mul => a * b,
        F::Div | F::Rem | F::FloorDiv | F::FloorMod if b == 0 => 0,
        F::Div => a / b,
        F::Rem => a % b,
        F::FloorDiv => floor(b),
        F::FloorMod => a - floor(b) * b,
        F::Minimum => a.min(b),
        F::Maximum => a.max(b),
        F::Equal => i64::from(a == b),
        F::NotEqual => i64::from(a != b),
        F::Less => i64::from(a < b),
        F::LessEqual => i64::from(a <= b),
    }) as i32
}

#[test]
fn functions_of_integers_equal_their_definition() {
    for_seeds(100, |rng| {
        let (rows, depth) = (rng.size(1, 5), rng.size(1, 9));
        let broadcast = Broadcast {
            dims: [1, 1, 1, 1, rows, depth],
            a_strides: [0, 0, 0, 0, depth, 1],
            b_strides: [0, 0, 0, 0, 0, 1],
            row_len: depth,
        };
        let (a, b) = (numbers(rng, rows * depth), numbers(rng, depth));
        for code in 0..IntegerFunction::COUNT {
            let function = IntegerFunction::parse(code).unwrap();
            assert_eq!(function.code(), code);
            let found = by_rows(rng, rows, depth, |rows, y| binary_i32(function, &broadcast, rows, &a, &b, y));
            let expected: Vec<i32> = (0..rows * depth).map(|i| defined(function, a[i], b[i % depth])).collect();
            assert_eq!(found, expected, "{} of {a:?} and {b:?}", function.name());
        }
    });
    assert_eq!(IntegerFunction::parse(IntegerFunction::COUNT), None);
    // The only quotient that does not fit wraps around.
    let mut quotient = [0];
    binary_i32(IntegerFunction::Div, &Broadcast::elementwise(1, 1), 0..1, &[i32::MIN], &[-1], &mut quotient);
    assert_eq!(quotient, [i32::MIN]);
}

fn casted<A: CastTo<B>, B: Default + Clone>(input: &[A]) -> Vec<B> {
    let mut output = vec![B::default(); input.len()];
    cast(input, &mut output);
    output
}

#[test]
fn casts_keep_lower_bits_and_clamp_floats() {
    assert_eq!(casted::<i32, i8>(&[0, 127, 128, -129, 256, i32::MAX]), [0, 127, -128, 127, 0, -1]);
    assert_eq!(casted::<i32, u8>(&[-1, 255, 256]), [255, 255, 0]);
    assert_eq!(casted::<i8, u8>(&[-1, 5]), [255, 5]);
    assert_eq!(casted::<u8, i16>(&[255, 5]), [255, 5]);
    assert_eq!(casted::<i32, f32>(&[16_777_217, 16_777_219, i32::MIN]), [16_777_216.0, 16_777_220.0, -2_147_483_648.0]);
    let floats = [1.9, -1.9, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1e10];
    assert_eq!(casted::<f32, i32>(&floats), [1, -1, 0, i32::MAX, i32::MIN, i32::MIN]);
    assert_eq!(casted::<f32, i8>(&floats), [1, -1, 0, 127, -128, -128]);
    assert_eq!(casted::<f32, u8>(&floats), [1, 0, 0, 255, 0, 0]);
}

#[test]
fn codes_are_rescaled_to_integers_and_back() {
    for_seeds(100, |rng| {
        let activation = ActivationRange::new(-100, 90).unwrap();
        let factor = Multiplier::new(rng.multiplier(), rng.int(-12, 3));
        let (input_zero_point, output_zero_point) = (rng.zero_point(), rng.zero_point());
        let left_shift = rng.int(0, 20);
        let p = Rescale { input_zero_point, output_zero_point, left_shift, factor, activation };
        let (codes, integers) = (rng.bytes(40), numbers(rng, 40));
        let real = |x: i32| scaled((x.wrapping_sub(input_zero_point)) << left_shift, factor.multiplier, factor.shift);
        let mut wide = [0; 40];
        widen_i32(&p, &codes, &mut wide);
        assert_eq!(wide, std::array::from_fn(|i| real(codes[i].into())));
        let mut same = [0; 40];
        rescale_i32(&p, &integers, &mut same);
        assert_eq!(same, std::array::from_fn(|i| real(integers[i])));
        let mut narrow = [0; 40];
        narrow_i32(&p, &integers, &mut narrow);
        let code = |x: i32| real(x).wrapping_add(output_zero_point).clamp(-100, 90) as i8;
        assert_eq!(narrow, std::array::from_fn(|i| code(integers[i])));
    });
}

#[test]
fn quotients_are_those_of_the_real_numbers() {
    for_seeds(100, |rng| {
        let real = f64::from(1 + rng.int(0, 3000)) / 100.0;
        let (multiplier, shift) = quantize_multiplier(real);
        let (a, b) = (rng.bytes(60), rng.bytes(60));
        let p = Div {
            broadcast: Broadcast::elementwise(60, 60),
            a_zero_point: rng.zero_point(),
            b_zero_point: rng.zero_point(),
            output_zero_point: rng.zero_point(),
            output: Multiplier::new(multiplier, shift),
            activation: ActivationRange::FULL,
        };
        let mut found = [0; 60];
        div(&p, 0..1, &a, &b, &mut found);
        for ((&a, &b), found) in a.iter().zip(&b).zip(found) {
            let (a, b) = (i32::from(a) - p.a_zero_point, i32::from(b) - p.b_zero_point);
            let quotient = if b == 0 { 0.0 } else { f64::from(a) / f64::from(b) * real };
            let expected = (quotient + f64::from(p.output_zero_point)).clamp(-128.0, 127.0);
            assert!((f64::from(found) - expected).abs() < 0.51, "{a} / {b} * {real}: {found}, not {expected}");
        }
    });
}

#[test]
fn rows_are_divided_by_their_length() {
    for_seeds(100, |rng| {
        let (rows, depth) = (rng.size(1, 4), rng.size(1, 300));
        let p = L2Norm { depth, input_zero_point: rng.zero_point() };
        let x = rng.bytes(rows * depth);
        let found = by_rows(rng, rows, depth, |rows, y| l2_norm(&p, rows, &x, y));
        for (x, found) in x.chunks(depth).zip(found.chunks(depth)) {
            let real: Vec<f64> = x.iter().map(|&x| f64::from(i32::from(x) - p.input_zero_point)).collect();
            let length = real.iter().map(|x| x * x).sum::<f64>().sqrt().max(1.0);
            for (x, &found) in real.iter().zip(found) {
                let expected = (x / length * 128.0).clamp(-128.0, 127.0);
                // It is rounded twice, the first time to a half.
                assert!((f64::from(found) - expected).abs() < 0.8, "{x} of {length}: {found}, not {expected}");
            }
        }
    });
    // A row of zeros, and the longest one of the largest numbers.
    let mut zeros = [1; 5];
    l2_norm(&L2Norm { depth: 5, input_zero_point: 3 }, 0..1, &[3; 5], &mut zeros);
    assert_eq!(zeros, [0; 5]);
    let mut long = vec![0; 1 << 15];
    l2_norm(&L2Norm { depth: 1 << 15, input_zero_point: -128 }, 0..1, &[127; 1 << 15], &mut long);
    assert!(long.iter().all(|&x| x == 1), "128 / √32768 is 0.7");
}
