//! The f32 matrix products, the elementwise operators, means, normalizations and softmax against f64, in
//! every slicing. Tolerance: `1e-5 * (1 + |x|)`.

mod common;
#[path = "common/floats.rs"]
mod floats;

use common::{by_rows, flat, for_seeds, indices};
use floats::{
    assert_int4, assert_near, by_rows_and_storage, codes, doubles, floats, halves, int4_codes, scaled, weights_of,
};
use tealight_kernels::float::unary as scalar;
use tealight_kernels::float::{
    BatchMatMul, Binary, FullyConnected, Mean, Norm, ScaleBias, Softmax, UNBOUNDED, UnaryFunction, add, batch_matmul,
    div, fully_connected, layer_norm, maximum, mean, minimum, mul, pow, prelu, rms_norm, softmax, sub, unary,
};
use tealight_kernels::{Broadcast, Int4};

const TOLERANCE: f64 = 1e-5;

#[test]
fn a_dense_layer_is_a_matrix_product() {
    for_seeds(150, |rng| {
        let (in_features, out_features, batches) = (rng.size(1, 70), rng.size(1, 9), rng.size(1, 3));
        let p = FullyConnected { in_features, out_features, activation: [-1.0, 3.0] };
        let input = floats(rng, batches * in_features);
        let weights = floats(rng, out_features * in_features);
        let bias = floats(rng, out_features);
        let of_halves = halves(&weights);
        let output = by_rows_and_storage(
            rng,
            [batches * out_features, 1],
            |rows, output| fully_connected(&p, rows, &input, &weights[..], &bias, output),
            |rows, output| fully_connected(&p, rows, &input, &of_halves[..], &bias, output),
        );
        let expected = |weights: &[f64], bias: &[f32]| -> Vec<f64> {
            let of = |[b, o]: [usize; 2]| {
                let x = &input[b * in_features..][..in_features];
                let w = &weights[o * in_features..][..in_features];
                let sum: f64 = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * w).sum();
                (sum + f64::from(bias[o])).clamp(-1.0, 3.0)
            };
            indices([batches, out_features]).map(of).collect()
        };
        assert_near(&output, &expected(&doubles(&weights), &bias), TOLERANCE);

        let (codes, channels) = (codes(rng, weights.len()), scaled(rng, out_features));
        let output = by_rows(rng, batches * out_features, 1, |rows, output| {
            fully_connected(&p, rows, &input, &codes[..], &channels, output);
        });
        let bias: Vec<f32> = channels.iter().map(|channel| channel.bias).collect();
        assert_near(&output, &expected(&weights_of(&codes, &channels, |i| i / in_features), &bias), TOLERANCE);

        let (codes, packed) = int4_codes(rng, weights.len());
        assert_int4(
            rng,
            [batches * out_features, 1],
            |rows, output| fully_connected(&p, rows, &input, &codes[..], &channels, output),
            |rows, output| fully_connected(&p, rows, &input, Int4::new(&packed), &channels, output),
        );
    });
}

#[test]
fn dot_products_are_summed_in_eight_lanes() {
    // 2^24 + 1 is 2^24 in f32, so the result depends on the order.
    let big = 16_777_216.0;
    let p = FullyConnected { in_features: 10, out_features: 1, activation: UNBOUNDED };
    let mut output = [0.0];
    // Elements 0 and 8 are in the same lane; the lane of element 4 is added to it before the others.
    let input = [big, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    fully_connected(&p, 0..1, &input, &[1f32; 10][..], &[], &mut output);
    // ((big + 1) + 0 + (1 + 0)) + ((1 + 1) + 0)
    assert_eq!(output, [big + 2.0]);
}

#[test]
fn the_scale_of_integer_weights_multiplies_their_sum() {
    // As weights, 0.1 and 0.2 would round before they are multiplied.
    let p = FullyConnected { in_features: 2, out_features: 1, activation: UNBOUNDED };
    let mut output = [0.0];
    let channels = [ScaleBias { scale: 0.1, bias: 0.25 }];
    fully_connected(&p, 0..1, &[9.0, 13.0], &[1i8, 2][..], &channels, &mut output);
    assert_eq!(output, [0.1 * 35.0 + 0.25]);
    assert_ne!(output, [0.1 * 9.0 + 0.2 * 13.0 + 0.25]);
}

#[test]
fn a_batch_product_takes_either_operand_transposed() {
    for_seeds(200, |rng| {
        let (rows, inner, columns, batches) = (rng.size(1, 5), rng.size(1, 20), rng.size(1, 9), rng.size(1, 3));
        let p = BatchMatMul {
            rows,
            inner,
            columns,
            transpose_a: rng.size(0, 1) == 1,
            transpose_b: rng.size(0, 1) == 1,
            a_stride: rows * inner,
            b_stride: rng.size(0, 1) * inner * columns,
        };
        let (a, b) = (floats(rng, batches * rows * inner), floats(rng, batches * inner * columns));
        let output = by_rows(rng, batches * rows, columns, |rows, output| batch_matmul(&p, rows, &a, &b, output));
        let of = |[n, i, j]: [usize; 3]| {
            let product = |k: usize| {
                let a_at = if p.transpose_a { k * rows + i } else { i * inner + k };
                let b_at = if p.transpose_b { j * inner + k } else { k * columns + j };
                f64::from(a[n * p.a_stride + a_at]) * f64::from(b[n * p.b_stride + b_at])
            };
            (0..inner).map(product).sum::<f64>()
        };
        assert_near(&output, &indices([batches, rows, columns]).map(of).collect::<Vec<_>>(), TOLERANCE);
    });
}

#[test]
fn elementwise_operators_repeat_an_operand() {
    type Kernel = fn(&Binary, std::ops::Range<usize>, &[f32], &[f32], &mut [f32]);
    type Real = fn(f64, f64) -> f64;
    let operators: [(Kernel, Real); 6] = [
        (add, |a, b| a + b),
        (sub, |a, b| a - b),
        (mul, |a, b| a * b),
        (div, |a, b| a / b),
        (minimum, f64::min),
        (maximum, f64::max),
    ];
    for_seeds(50, |rng| {
        let (rows, depth) = (rng.size(1, 5), rng.size(1, 9));
        let p = Binary {
            broadcast: Broadcast {
                dims: [1, 1, 1, 1, rows, depth],
                a_strides: [0, 0, 0, 0, depth, 1],
                b_strides: [0, 0, 0, 0, 0, 1],
                row_len: depth,
            },
            activation: [-1.5, 2.0],
        };
        let a = floats(rng, rows * depth);
        let b: Vec<f32> = floats(rng, depth).iter().map(|x| x + 1.5).collect();
        for (kernel, real) in operators {
            let output = by_rows(rng, rows, depth, |rows, output| kernel(&p, rows, &a, &b, output));
            let of = |i: usize| real(a[i].into(), b[i % depth].into()).clamp(-1.5, 2.0);
            assert_near(&output, &(0..rows * depth).map(of).collect::<Vec<_>>(), TOLERANCE);
        }
        let base: Vec<f32> = a.iter().map(|x| x.abs()).collect();
        let output = by_rows(rng, rows, depth, |rows, output| pow(&p, rows, &base, &b, output));
        let of = |i: usize| f64::from(base[i]).powf(b[i % depth].into()).clamp(-1.5, 2.0);
        assert_near(&output, &(0..rows * depth).map(of).collect::<Vec<_>>(), TOLERANCE);
        let output = by_rows(rng, rows, depth, |rows, output| prelu(&p.broadcast, rows, &a, &b, output));
        let of = |i: usize| f64::from(a[i]) * if a[i] < 0.0 { f64::from(b[i % depth]) } else { 1.0 };
        assert_near(&output, &(0..rows * depth).map(of).collect::<Vec<_>>(), TOLERANCE);
    });
}

#[test]
fn a_mean_is_over_the_dimensions_it_names() {
    for_seeds(200, |rng| {
        let dims: [usize; 6] = std::array::from_fn(|_| rng.size(1, 4));
        let p = Mean { dims, reduced: rng.size(0, 63) as u32 };
        let input = floats(rng, dims.iter().product());
        let is_reduced = |i: usize| p.reduced >> i & 1 == 1;
        let kept: [usize; 6] = std::array::from_fn(|i| if is_reduced(i) { 1 } else { dims[i] });
        let summed: [usize; 6] = std::array::from_fn(|i| if is_reduced(i) { dims[i] } else { 1 });
        let output = by_rows(rng, kept.iter().product(), 1, |rows, output| mean(&p, rows, &input, output));
        let of = |at: [usize; 6]| {
            let one = |within: [usize; 6]| f64::from(input[flat(dims, std::array::from_fn(|i| at[i] + within[i]))]);
            indices(summed).map(one).sum::<f64>() / summed.iter().product::<usize>() as f64
        };
        assert_near(&output, &indices(kept).map(of).collect::<Vec<_>>(), TOLERANCE);
    });
}

#[test]
fn softmax_is_of_sum_one_and_of_the_exponentials() {
    for_seeds(100, |rng| {
        let (rows, depth) = (rng.size(1, 5), rng.size(1, 50));
        let p = Softmax { depth, beta: if rng.size(0, 1) == 0 { 1.0 } else { 0.5 } };
        let input: Vec<f32> = floats(rng, rows * depth).iter().map(|x| x * 100.0).collect();
        let output = by_rows(rng, rows, depth, |rows, output| softmax(&p, rows, &input, output));
        let mut expected = Vec::new();
        for row in input.chunks(depth) {
            let exp: Vec<f64> = row.iter().map(|&x| (f64::from(x) * f64::from(p.beta)).exp()).collect();
            expected.extend(exp.iter().map(|x| x / exp.iter().sum::<f64>()));
        }
        assert_near(&output, &expected, TOLERANCE);
    });
}

#[test]
fn normalizations_follow_their_formulas() {
    for_seeds(100, |rng| {
        let (rows, depth) = (rng.size(1, 5), rng.size(2, 70));
        let p = Norm { depth, epsilon: 1e-3 };
        let input: Vec<f32> = floats(rng, rows * depth).iter().map(|x| 10.0 * x + 3.0).collect();
        let (weight, bias) = (floats(rng, depth), floats(rng, depth));
        let [half_weight, half_bias] = [halves(&weight), halves(&bias)];
        let layer = by_rows_and_storage(
            rng,
            [rows, depth],
            |rows, output| layer_norm(&p, rows, &input, &weight, &bias, output),
            |rows, output| layer_norm(&p, rows, &input, &half_weight, &half_bias, output),
        );
        let rms = by_rows_and_storage(
            rng,
            [rows, depth],
            |rows, output| rms_norm(&p, rows, &input, &weight, output),
            |rows, output| rms_norm(&p, rows, &input, &half_weight, output),
        );
        let (mut layer_expected, mut rms_expected) = (Vec::new(), Vec::new());
        for row in input.chunks(depth) {
            let row: Vec<f64> = row.iter().map(|&x| x.into()).collect();
            let average = |f: &dyn Fn(f64) -> f64| row.iter().map(|&x| f(x)).sum::<f64>() / depth as f64;
            let mean = average(&|x| x);
            let deviation = (average(&|x| (x - mean).powi(2)) + f64::from(p.epsilon)).sqrt();
            let root = (average(&|x| x * x) + f64::from(p.epsilon)).sqrt();
            for (i, x) in row.iter().enumerate() {
                let [w, b] = [f64::from(weight[i]), f64::from(bias[i])];
                layer_expected.push((x - mean) / deviation * w + b);
                rms_expected.push(x / root * w);
            }
        }
        assert_near(&layer, &layer_expected, 5.0 * TOLERANCE);
        assert_near(&rms, &rms_expected, TOLERANCE);
    });
}

#[test]
fn functions_of_one_element_are_near_their_definitions() {
    type Real = fn(f64) -> f64;
    let logistic: Real = |x| 1.0 / (1.0 + (-x).exp());
    let cases: [(UnaryFunction, Real); 18] = [
        (UnaryFunction::Clamp([0.0, 6.0]), |x| x.clamp(0.0, 6.0)),
        (UnaryFunction::LeakyRelu(0.25), |x| if x < 0.0 { x * 0.25 } else { x }),
        (UnaryFunction::Elu(0.5), |x| if x < 0.0 { 0.5 * x.exp_m1() } else { x }),
        (UnaryFunction::HardSigmoid, |x| (x + 3.0).clamp(0.0, 6.0) / 6.0),
        (UnaryFunction::HardSwish, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        (UnaryFunction::Logistic, logistic),
        (UnaryFunction::Tanh, f64::tanh),
        (UnaryFunction::Gelu, |x| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()))),
        (UnaryFunction::GeluTanh, |x| {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }),
        (UnaryFunction::Silu, |x| x / (1.0 + (-x).exp())),
        (UnaryFunction::Softplus, |x| x.exp().ln_1p()),
        (UnaryFunction::Erf, erf),
        (UnaryFunction::Exp, f64::exp),
        (UnaryFunction::Sin, f64::sin),
        (UnaryFunction::Cos, f64::cos),
        (UnaryFunction::Abs, f64::abs),
        (UnaryFunction::Neg, |x| -x),
        (UnaryFunction::Square, |x| x * x),
    ];
    let positive: [(UnaryFunction, Real); 4] = [
        (UnaryFunction::Log, f64::ln),
        (UnaryFunction::Sqrt, f64::sqrt),
        (UnaryFunction::Rsqrt, |x| 1.0 / x.sqrt()),
        (UnaryFunction::Reciprocal, |x| 1.0 / x),
    ];
    let check = |f: UnaryFunction, real: Real, input: &[f32]| {
        let mut output = vec![0.0; input.len()];
        unary(f, input, &mut output);
        let expected: Vec<f64> = input.iter().map(|&x| real(x.into())).collect();
        assert_near(&output, &expected, 1e-6);
    };
    let input: Vec<f32> = (-800..=800).map(|i| i as f32 / 100.0).collect();
    for (f, real) in cases {
        check(f, real, &input);
    }
    let input: Vec<f32> = (1..=800).map(|i| i as f32 / 100.0).collect();
    for (f, real) in positive {
        check(f, real, &input);
    }
    // Far out they stay what they tend to.
    assert_eq!([scalar::logistic(-200.0), scalar::logistic(200.0)], [0.0, 1.0]);
    assert_eq!([scalar::silu(-200.0), scalar::gelu(-200.0), scalar::gelu(200.0)], [0.0, 0.0, 200.0]);
    assert_eq!([scalar::softplus(-200.0), scalar::softplus(200.0)], [0.0, 200.0]);
}

#[test]
fn whole_numbers_and_signs_are_those_of_the_standard_library_bit_for_bit() {
    type Function = fn(f32) -> f32;
    let sign: Function = |x| if x == 0.0 || x.is_nan() { x } else { x.signum() };
    let cases: [(UnaryFunction, Function); 5] = [
        (UnaryFunction::Floor, f32::floor),
        (UnaryFunction::Ceil, f32::ceil),
        (UnaryFunction::Round, f32::round_ties_even),
        (UnaryFunction::Trunc, f32::trunc),
        (UnaryFunction::Sign, sign),
    ];
    // Numbers of every exponent; those around halves and whole numbers; the smallest and the largest.
    let step = if cfg!(miri) { 10_000_019 } else { 12_289 };
    let mut input: Vec<f32> = (0..=u32::MAX).step_by(step).map(f32::from_bits).collect();
    let near = (-20i16..=20).map(|halves| f32::from(halves) / 2.0);
    let large = [4_194_303.5, 4_194_304.5, 8_388_607.5, 8_388_608.0, 8_388_609.0, 16_777_216.0, 2_147_483_648.0];
    let ends = [0.0, f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, f32::INFINITY, f32::NAN];
    for x in near.chain(large).chain(ends) {
        input.extend([x, -x, x.next_down(), x.next_up(), -x.next_down(), -x.next_up()]);
    }
    for (f, function) in cases {
        let mut output = vec![0.0; input.len()];
        unary(f, &input, &mut output);
        for (&x, found) in input.iter().zip(output) {
            let expected = function(x);
            let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
            assert!(same, "{} of {x:e} is {found:e}, not {expected:e}", f.name());
        }
    }
}

/// The error function by its series: `2/√π Σ (-1)^n x^(2n+1) / (n! (2n+1))`; 1 from 6 on.
fn erf(x: f64) -> f64 {
    if x.abs() >= 6.0 {
        return x.signum();
    }
    // With all terms positive: 2/√π e^(-x²) Σ 2^n x^(2n+1) / (1·3·…·(2n+1)).
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}
