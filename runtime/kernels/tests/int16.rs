//! Kernels of int16 activations against their definitions, in wide numbers or in f64, and that they return for all
//! parameters.

mod common;

use common::{Rng, by_rows, flat, for_seeds, indices, scaled, tap};
use proptest::prelude::*;
use tealight_kernels::int16::*;
use tealight_kernels::{ActivationRangeI16, Broadcast, Channel, Mean, Multiplier, Quantization, Window2d};

/// Any int16 numbers, most of them at an end, so that sums are as large as they can be.
fn codes(rng: &mut Rng, len: usize) -> Vec<i16> {
    let code = |rng: &mut Rng| match rng.size(0, 3) {
        0 => i16::MIN,
        1 => i16::MAX,
        _ => rng.int(-32_768, 32_767) as i16,
    };
    (0..len).map(|_| code(rng)).collect()
}

fn activation(rng: &mut Rng) -> ActivationRangeI16 {
    let [a, b] = [(); 2].map(|()| rng.int(-32_768, 32_767) as i16);
    let narrow = ActivationRangeI16::new(a.min(b), a.max(b)).filter(|_| rng.size(0, 2) == 0);
    narrow.unwrap_or(ActivationRangeI16::FULL)
}

fn clamped(value: i128, activation: ActivationRangeI16) -> i16 {
    let [min, max] = activation.bounds().map(i128::from);
    value.max(min).min(max) as i16
}

/// The channels of a layer.
enum Layer {
    Narrow(Vec<Channel>),
    Wide(Vec<WideChannel>),
}

impl Layer {
    fn random(rng: &mut Rng, count: usize, taps: usize) -> Self {
        // A sum of n products of an int16 and a byte is about 20000 * 74 * sqrt(n).
        let spread = 1_500_000.0 * (taps as f64).sqrt();
        let shift = -((spread / 15_000.0).log2() as i32);
        let factor = |rng: &mut Rng| (rng.multiplier(), shift + rng.int(-1, 1));
        if rng.size(0, 1) == 0 {
            let channel = |rng: &mut Rng| {
                let (bias, (multiplier, shift)) = (rng.int(-9_999_999, 9_999_999), factor(rng));
                Channel { bias, multiplier, shift }
            };
            return Self::Narrow((0..count).map(|_| channel(rng)).collect());
        }
        let channel = |rng: &mut Rng| {
            let (bias, (multiplier, shift)) = (rng.from(-(spread as i64), spread as i64), factor(rng));
            WideChannel::new(bias, multiplier, shift)
        };
        Self::Wide((0..count).map(|_| channel(rng)).collect())
    }

    fn channels(&self) -> Channels<'_> {
        match self {
            Self::Narrow(channels) => Channels::Narrow(channels),
            Self::Wide(channels) => Channels::Wide(channels),
        }
    }

    /// The output of channel `i` whose products sum to `sum`.
    fn output(&self, i: usize, sum: i128, activation: ActivationRangeI16) -> i16 {
        let scaled = match self {
            Self::Narrow(channels) => {
                let Channel { bias, multiplier, shift } = channels[i];
                i128::from(scaled((i128::from(bias) + sum) as i32, multiplier, shift))
            }
            Self::Wide(channels) => {
                let WideChannel { multiplier, shift, .. } = channels[i];
                let reduced = ((i128::from(multiplier) + (1 << 15)) >> 16).min(32_767);
                let product = (i128::from(channels[i].bias()) + sum) * reduced;
                (product + (1 << (14 - shift))).div_euclid(1 << (15 - shift))
            }
        };
        clamped(scaled, activation)
    }
}

/// A random window over an image, and the sizes of input and output.
fn window(rng: &mut Rng) -> (Window2d, [usize; 2], [usize; 2]) {
    let mut pair = |low, high| [(); 2].map(|()| rng.size(low, high));
    let (kernel, stride, dilation, input) = (pair(1, 4), pair(1, 3), pair(1, 3), pair(1, 8));
    let (mut pad, mut output) = ([0; 2], [0; 2]);
    for i in 0..2 {
        pad[i] = rng.size(0, (kernel[i] - 1) * dilation[i]);
        output[i] = 1 + (input[i] - 1 + pad[i]) / stride[i];
    }
    (Window2d { kernel, stride, dilation, pad }, input, output)
}

/// The taps of the window of an output pixel that are in the input, with the places they read.
fn taps(window: &Window2d, input: [usize; 2], [y, x]: [usize; 2]) -> Vec<([usize; 2], [usize; 2])> {
    let axis = |i: usize| [window.stride[i], window.dilation[i], window.pad[i], input[i]];
    let place = |[ky, kx]: [usize; 2]| Some(([ky, kx], [tap(y, ky, axis(0))?, tap(x, kx, axis(1))?]));
    indices(window.kernel).filter_map(place).collect()
}

#[test]
fn a_convolution_equals_its_definition_and_rows_are_independent() {
    for_seeds(300, |rng| {
        let (window, [height, width], [out_height, out_width]) = window(rng);
        let (images, groups) = (rng.size(1, 2), rng.size(1, 3));
        // Some sums have more than 32 bits.
        let (inputs, outputs) = (if rng.size(0, 3) == 0 { rng.size(250, 600) } else { rng.size(1, 9) }, rng.size(1, 9));
        let p = Conv2d {
            input: [images, height, width, inputs * groups],
            output: [images, out_height, out_width, outputs * groups],
            window,
            groups,
            activation: activation(rng),
        };
        let shape = [p.output[3], window.kernel[0], window.kernel[1], inputs];
        let (x, w) = (codes(rng, p.input.iter().product()), rng.bytes(shape.iter().product()));
        let layer = Layer::random(rng, p.output[3], shape[1] * shape[2] * shape[3]);
        let expected: Vec<i16> = indices(p.output)
            .map(|[n, y, x_out, o]| {
                let products =
                    taps(&window, [height, width], [y, x_out]).into_iter().flat_map(|([ky, kx], [iy, ix])| {
                        let (x, w) = (&x, &w);
                        (0..inputs).map(move |i| {
                            let at = flat(p.input, [n, iy, ix, o / outputs * inputs + i]);
                            i128::from(x[at]) * i128::from(w[flat(shape, [o, ky, kx, i])])
                        })
                    });
                layer.output(o, products.sum(), p.activation)
            })
            .collect();
        let output = by_rows(rng, images * out_height, out_width * p.output[3], |rows, output| {
            conv2d(&p, rows, &x, &w, layer.channels(), output);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn a_depthwise_convolution_equals_its_definition_and_rows_are_independent() {
    for_seeds(300, |rng| {
        let (mut window, [height, mut width], [out_height, mut out_width]) = window(rng);
        if rng.size(0, 5) == 0 {
            // Lines of more taps than are summed in 32 bits.
            (window.kernel[1], window.stride[1], window.dilation[1], window.pad[1]) = (600, 1, 1, 0);
            (width, out_width) = (602, 3);
        }
        let (images, depth) = (rng.size(1, 2), rng.size(1, 9));
        let multiple = if rng.size(0, 1) == 0 { 1 } else { rng.size(2, 4) };
        let p = DepthwiseConv2d {
            input: [images, height, width, depth],
            output: [images, out_height, out_width, depth * multiple],
            window,
            activation: activation(rng),
        };
        let shape = [1, window.kernel[0], window.kernel[1], p.output[3]];
        let (x, w) = (codes(rng, p.input.iter().product()), rng.bytes(shape.iter().product()));
        let layer = Layer::random(rng, p.output[3], shape[1] * shape[2]);
        let expected: Vec<i16> = indices(p.output)
            .map(|[n, y, x_out, o]| {
                let products = taps(&window, [height, width], [y, x_out]).into_iter().map(|([ky, kx], [iy, ix])| {
                    let at = flat(p.input, [n, iy, ix, o / multiple]);
                    i128::from(x[at]) * i128::from(w[flat(shape, [0, ky, kx, o])])
                });
                layer.output(o, products.sum(), p.activation)
            })
            .collect();
        let output = by_rows(rng, images * out_height, out_width * p.output[3], |rows, output| {
            depthwise_conv2d(&p, rows, &x, &w, layer.channels(), output);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn a_dense_layer_equals_its_definition_and_rows_are_independent() {
    for_seeds(300, |rng| {
        let (batches, neurons) = (rng.size(1, 4), rng.size(1, 11));
        let features = if rng.size(0, 3) == 0 { rng.size(250, 1100) } else { rng.size(1, 40) };
        let p = FullyConnected { in_features: features, out_features: neurons, activation: activation(rng) };
        let (x, w) = (codes(rng, batches * features), rng.bytes(neurons * features));
        let layer = Layer::random(rng, neurons, features);
        let expected: Vec<i16> = indices([batches, neurons])
            .map(|[n, o]| {
                let product = |i| i128::from(x[n * features + i]) * i128::from(w[o * features + i]);
                layer.output(o, (0..features).map(product).sum(), p.activation)
            })
            .collect();
        let output = by_rows(rng, batches * neurons, 1, |rows, output| {
            fully_connected(&p, rows, &x, &w, layer.channels(), output);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn sums_differences_and_products_equal_their_formulas() {
    for_seeds(300, |rng| {
        let len = rng.size(1, 40);
        let (a, b) = (codes(rng, len), codes(rng, len));
        let factor = |rng: &mut Rng, low, high| Multiplier::new(rng.multiplier(), rng.int(low, high));
        let broadcast = Broadcast::elementwise(len, 1);
        let activation = activation(rng);
        let p = AddSub {
            broadcast,
            a: factor(rng, -9, 0),
            b: factor(rng, -9, 0),
            output: factor(rng, -16, -14),
            activation,
        };
        let part = |x: i16, by: Multiplier| scaled(i32::from(x) << 15, by.multiplier, by.shift);
        let result = |raw: i32| clamped(scaled(raw, p.output.multiplier, p.output.shift).into(), p.activation);
        let pairs = || a.iter().zip(&b);
        let sums: Vec<i16> = pairs().map(|(&a, &b)| result(part(a, p.a) + part(b, p.b))).collect();
        assert_eq!(by_rows(rng, len, 1, |rows, out| add(&p, rows, &a, &b, out)), sums, "{p:?}");
        let differences: Vec<i16> = pairs().map(|(&a, &b)| result(part(a, p.a) - part(b, p.b))).collect();
        assert_eq!(by_rows(rng, len, 1, |rows, out| sub(&p, rows, &a, &b, out)), differences, "{p:?}");
        let p = Mul { broadcast, output: factor(rng, -16, -10), activation };
        let product = |(&a, &b): (&i16, &i16)| {
            clamped(scaled(i32::from(a) * i32::from(b), p.output.multiplier, p.output.shift).into(), activation)
        };
        let products: Vec<i16> = pairs().map(product).collect();
        assert_eq!(by_rows(rng, len, 1, |rows, out| mul(&p, rows, &a, &b, out)), products, "{p:?}");
    });
}

#[test]
fn pools_and_means_are_those_of_the_numbers() {
    for_seeds(200, |rng| {
        let (mut window, [height, width], [out_height, out_width]) = window(rng);
        window.dilation = [1, 1];
        for i in 0..2 {
            window.pad[i] = window.pad[i].min(window.kernel[i] - 1);
        }
        let out = [(height, 0), (width, 1)].map(|(size, i)| 1 + (size - 1 + window.pad[i]) / window.stride[i]);
        let [out_height, out_width] = [out_height.min(out[0]), out_width.min(out[1])];
        let depth = rng.size(1, 9);
        let p = Pool2d {
            input: [1, height, width, depth],
            output: [1, out_height, out_width, depth],
            window,
            activation: activation(rng),
        };
        let x = codes(rng, height * width * depth);
        let under = |[_, y, x_out, c]: [usize; 4]| -> Vec<i32> {
            let taps = taps(&window, [height, width], [y, x_out]).into_iter();
            taps.map(|(_, [iy, ix])| x[flat(p.input, [0, iy, ix, c])].into()).collect()
        };
        let average = |taps: Vec<i32>| (f64::from(taps.iter().sum::<i32>()) / taps.len() as f64).round() as i128;
        let averages: Vec<i16> = indices(p.output).map(|at| clamped(average(under(at)), p.activation)).collect();
        let rows = |rng: &mut Rng, kernel: fn(&Pool2d, std::ops::Range<usize>, &[i16], &mut [i16])| {
            by_rows(rng, out_height, out_width * depth, |rows, output| kernel(&p, rows, &x, output))
        };
        assert_eq!(rows(rng, avg_pool2d), averages, "{p:?}");
        let maximum = |at| clamped(under(at).into_iter().max().unwrap().into(), p.activation);
        let maxima: Vec<i16> = indices(p.output).map(maximum).collect();
        assert_eq!(rows(rng, max_pool2d), maxima, "{p:?}");

        // The mean over rows and columns, with a factor of 1: rounded twice, so within one.
        let (output, zero) = (Multiplier::new(1 << 30, 1), 0);
        let dims = [1, 1, 1, height, width, depth];
        let p = Mean { dims, reduced: 0b01_1000, input_zero_point: zero, output_zero_point: zero, output };
        let means = by_rows(rng, depth, 1, |rows, output| mean(&p, rows, &x, output));
        for (c, &found) in means.iter().enumerate() {
            let sum: f64 = x.iter().skip(c).step_by(depth).map(|&x| f64::from(x)).sum();
            assert!((f64::from(found) - sum / (height * width) as f64).abs() <= 1.0, "{p:?}");
        }
    });
}

#[test]
fn a_change_of_scale_has_one_factor_on_each_side_of_zero() {
    for_seeds(200, |rng| {
        let factor = |rng: &mut Rng| Multiplier::new(rng.multiplier(), rng.int(-10, 3));
        let p = Requantize {
            input_zero_point: rng.int(-128, 127),
            output_zero_point: rng.int(-128, 127),
            positive: factor(rng),
            negative: factor(rng),
            activation: ActivationRangeI16::new(-100, 120).unwrap(),
        };
        let code = |x: i32| {
            let x = x - p.input_zero_point;
            let by = if x < 0 { p.negative } else { p.positive };
            clamped(i128::from(scaled(x, by.multiplier, by.shift) + p.output_zero_point), p.activation)
        };
        let (wide, narrow) = (codes(rng, 30), rng.bytes(30));
        let of_wide: Vec<i16> = wide.iter().map(|&x| code(x.into())).collect();
        let mut output = vec![0; 30];
        requantize_i16(&p, &wide, &mut output);
        assert_eq!(output, of_wide);
        let mut bytes = vec![0i8; 30];
        tealight_kernels::int16::narrow(&p, &wide, &mut bytes);
        assert_eq!(bytes.iter().map(|&x| i16::from(x)).collect::<Vec<_>>(), of_wide);
        widen(&p, &narrow, &mut output);
        assert_eq!(output, narrow.iter().map(|&x| code(x.into())).collect::<Vec<_>>());
    });
}

/// `1 / (1 + exp(-k / 24))` in units of 2^-16.
fn sigmoids() -> [u16; SIGMOIDS] {
    std::array::from_fn(|k| (65_536.0 / (1.0 + (-(k as f64) / 24.0).exp())).round().min(65_535.0) as u16)
}

#[test]
fn sigmoids_are_near_their_functions() {
    let input: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    // Values of -8 to 8, and of -2 to 2.
    for (p, scale) in
        [(Sigmoid { multiplier: 3, shift: 0 }, 4096.0), (Sigmoid { multiplier: 24_576, shift: 15 }, 16_384.0)]
    {
        let mut output = vec![0; input.len()];
        logistic(&p, &sigmoids(), &input, &mut output);
        for (&x, &y) in input.iter().zip(&output) {
            let real = 1.0 / (1.0 + (-f64::from(x) / scale).exp());
            assert!((f64::from(y) / 32_768.0 - real).abs() < 2e-4, "{x} {y}");
        }
        tanh(&p, &sigmoids(), &input, &mut output);
        for (&x, &y) in input.iter().zip(&output) {
            let real = (f64::from(x) / scale).tanh();
            assert!((f64::from(y) / 32_768.0 - real).abs() < 4e-4, "{x} {y}");
        }
    }
}

#[test]
fn a_softmax_is_near_its_definition() {
    let table = |f: fn(f64) -> f64, from: f64, to: f64| {
        (0..INTERPOLATED).map(move |k| {
            let x = from + (to - from) * k as f64 / (INTERPOLATED - 1) as f64;
            (f(x) * 32_768.0).round().min(32_767.0) as i16
        })
    };
    let tables: Vec<i16> = table(f64::exp, -10.0, 0.0).chain(table(|x| 1.0 / (1.0 + x), 0.0, 1.0)).collect();
    for_seeds(100, |rng| {
        let (rows, depth) = (rng.size(1, 3), rng.size(1, 50));
        let x = codes(rng, rows * depth);
        // A scale of 10 / 65535 is a factor of 1.
        let p = Softmax { depth, input: Multiplier::new(1 << 30, 1) };
        let output = by_rows(rng, rows, depth, |rows, output| softmax(&p, rows, &x, &tables, output));
        for (x, y) in x.chunks(depth).zip(output.chunks(depth)) {
            let maximum = x.iter().copied().max().unwrap();
            let exp = |x: i16| (f64::from(i32::from(x) - i32::from(maximum)) * 10.0 / 65_535.0).exp();
            let sum: f64 = x.iter().map(|&x| exp(x)).sum();
            for (&x, &y) in x.iter().zip(y) {
                assert!((f64::from(y) / 32_768.0 - exp(x) / sum).abs() < 1e-3, "{x} {y}");
            }
        }
    });
}

#[test]
fn floats_become_the_nearest_codes() {
    let q = Quantization::new(0.5, 0);
    let mut output = [0; 6];
    quantize(q, &[0.25, -0.25, 1.0, 1e9, -1e9, f32::NAN], &mut output);
    assert_eq!(output, [1, -1, 2, 32_767, -32_768, 0]);
    let mut floats = [0.0; 3];
    dequantize(q, &[-32_768, 0, 3], &mut floats);
    assert_eq!(floats, [-16_384.0, 0.0, 1.5]);
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 2 } else { 500 };
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

fn int() -> impl Strategy<Value = i32> {
    prop_oneof![any::<i32>(), -200i32..200, Just(i32::MIN), Just(i32::MAX)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn kernels_return_for_all_parameters(
        shapes in proptest::array::uniform2(proptest::array::uniform4(0usize..5)),
        pairs in proptest::array::uniform4(proptest::array::uniform2(0usize..5)), groups in 0usize..5,
        sizes in proptest::array::uniform6(0usize..5), ints in proptest::array::uniform8(int()), rows in 0usize..9,
        x in proptest::collection::vec(any::<i16>(), 0..200), w in proptest::collection::vec(any::<i8>(), 0..200),
        tables in proptest::collection::vec(any::<i16>(), 2 * INTERPOLATED), len in 0usize..200,
    ) {
        let out = &mut vec![0i16; len][..];
        let ([input, output], [kernel, stride, dilation, pad]) = (shapes, pairs);
        let window = Window2d { kernel, stride, dilation, pad };
        let activation = ActivationRangeI16::FULL;
        let [a, b, c, d, e, f, g, h] = ints;
        let narrow_channels = [Channel { bias: a, multiplier: b, shift: c }; 9];
        let wide_channels = [WideChannel { bias: [a, d], multiplier: b, shift: c }; 9];
        let [in_features, out_features, row_len, depth, ..] = sizes;
        for channels in [Channels::Narrow(&narrow_channels), Channels::Wide(&wide_channels)] {
            conv2d(&Conv2d { input, output, window, groups, activation }, 1..rows, &x, &w, channels, out);
            depthwise_conv2d(&DepthwiseConv2d { input, output, window, activation }, 1..rows, &x, &w, channels, out);
            let p = FullyConnected { in_features, out_features, activation };
            fully_connected(&p, 1..rows, &x, &w, channels, out);
        }
        let p = Pool2d { input, output, window, activation };
        avg_pool2d(&p, 1..rows, &x, out);
        max_pool2d(&p, 1..rows, &x, out);
        let broadcast = Broadcast { dims: sizes, a_strides: sizes, b_strides: sizes, row_len };
        let [first, second, third] = [(a, b), (c, d), (e, f)].map(|(m, s)| Multiplier::new(m, s));
        let p = AddSub { broadcast, a: first, b: second, output: third, activation };
        add(&p, 1..rows, &x, &x, out);
        sub(&p, 1..rows, &x, &x, out);
        mul(&Mul { broadcast, output: first, activation }, 1..rows, &x, &x, out);
        let (input_zero_point, output_zero_point) = (g, h);
        let p = Mean { dims: sizes, reduced: a as u32, input_zero_point, output_zero_point, output: first };
        mean(&p, 1..rows, &x, out);
        softmax(&Softmax { depth, input: first }, 1..rows, &x, &tables, out);
        let p = Requantize { input_zero_point, output_zero_point, positive: first, negative: second, activation };
        requantize_i16(&p, &x, out);
        widen(&p, &w, out);
        narrow(&p, &x, &mut vec![0; len]);
        let p = Sigmoid { multiplier: a, shift: b };
        let table = std::array::from_fn(|k| tables[k] as u16);
        logistic(&p, &table, &x, out);
        tanh(&p, &table, &x, out);
    }
}
