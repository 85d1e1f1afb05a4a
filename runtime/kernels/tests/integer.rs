//! Functions of int32 numbers against their definition in i64, and casts against the limits of their types.

mod common;

use common::{by_rows, for_seeds};
use tealight_kernels::{Broadcast, CastTo, IntegerFunction, apply_i32, binary_i32, cast};

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
    assert_eq!(apply_i32(IntegerFunction::Div, i32::MIN, -1), i32::MIN);
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
