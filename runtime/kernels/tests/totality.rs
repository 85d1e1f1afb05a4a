//! Kernels are total: they return for all parameters and slice lengths.

use proptest::prelude::*;
use tealight_kernels::*;

/// Small sizes, including zero.
fn dims<const N: usize>() -> impl Strategy<Value = [usize; N]> {
    proptest::array::uniform(0usize..5)
}

/// Small integers and extreme ones.
fn int() -> impl Strategy<Value = i32> {
    prop_oneof![any::<i32>(), -200i32..200, Just(i32::MIN), Just(i32::MAX)]
}

fn pair() -> impl Strategy<Value = [i32; 2]> {
    [int(), int()]
}

fn activation() -> impl Strategy<Value = ActivationRange> {
    any::<[i8; 2]>().prop_map(|[a, b]| ActivationRange::new(a.min(b), a.max(b)).unwrap_or(ActivationRange::FULL))
}

fn bytes() -> impl Strategy<Value = Vec<i8>> {
    proptest::collection::vec(any::<i8>(), 0..200)
}

fn channels() -> impl Strategy<Value = Vec<Channel>> {
    let channel = (int(), int(), int());
    let channel = channel.prop_map(|(bias, multiplier, shift)| Channel { bias, multiplier, shift });
    proptest::collection::vec(channel, 0..20)
}

fn unsigned(bytes: &[i8]) -> Vec<u8> {
    bytes.iter().map(|&x| x as u8).collect()
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 2 } else { 500 };
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn convolutions_and_pools_return(
        input in dims(), output in dims(), kernel in dims(), stride in dims(), dilation in dims(),
        pad in dims(), groups in 0usize..5, input_zero_point in int(), output_zero_point in int(),
        activation in activation(), rows in 0usize..9, x in bytes(), w in bytes(), channels in channels(),
        len in 0usize..200,
    ) {
        let out = &mut vec![0; len][..];
        let window = Window2d { kernel, stride, dilation, pad };
        let p = Conv2d {
            input, output, window, groups, input_zero_point,
            output_zero_point, activation,
        };
        conv2d(&p, 1..rows, &x, &w, &channels, out);
        conv2d_int4_in::<AllPaths>(&p, 1..rows, &x, Int4::new(&unsigned(&w)), &channels, out);
        let p = DepthwiseConv2d {
            input, output, window, input_zero_point, output_zero_point,
            activation,
        };
        depthwise_conv2d(&p, 1..rows, &x, &w, &channels, out);
        depthwise_conv2d_int4(&p, 1..rows, &x, Int4::new(&unsigned(&w)), &channels, out);
        let p = Pool2d { input, output, window, activation };
        avg_pool2d(&p, 1..rows, &x, out);
        max_pool2d(&p, 1..rows, &x, out);
    }

    #[test]
    fn sums_and_products_return(
        sizes in dims::<6>(), a_strides in dims(), b_strides in dims(), row_len in 0usize..9,
        z in proptest::array::uniform3(int()), shifts in proptest::array::uniform4(int()),
        multipliers in proptest::array::uniform3(int()), activation in activation(), rows in 0usize..9,
        a in bytes(), b in bytes(), channels in channels(), len in 0usize..99,
    ) {
        let out = &mut vec![0; len][..];
        let broadcast = Broadcast { dims: sizes, a_strides, b_strides, row_len };
        let [a_zero_point, b_zero_point, output_zero_point] = z;
        let [left_shift, shifts @ ..] = shifts;
        let [positive, negative, output] = [0, 1, 2].map(|i| Multiplier::new(multipliers[i], shifts[i]));
        let p = AddSub {
            broadcast, a_zero_point, b_zero_point, output_zero_point, left_shift, a: positive, b: negative, output,
            activation,
        };
        add(&p, 1..rows, &a, &b, out);
        sub(&p, 1..rows, &a, &b, out);
        let p = Mul { broadcast, a_zero_point, b_zero_point, output_zero_point, output, activation };
        mul(&p, 1..rows, &a, &b, out);
        let (input_zero_point, alpha_zero_point) = (a_zero_point, b_zero_point);
        let p = Prelu { broadcast, input_zero_point, alpha_zero_point, output_zero_point, positive, negative };
        prelu(&p, 1..rows, &a, &b, out);
        cast(&a, out);
        let [in_features, out_features, units, rank, memory, input_size] = sizes;
        let p = FullyConnected {
            in_features, out_features, weights_zero_point: a_zero_point, output_zero_point,
            activation,
        };
        fully_connected(&p, 1..rows, &a, &b, &channels, out);
        fully_connected_int4(&p, 1..rows, &a, Int4::new(&unsigned(&b)), &channels, out);
        let p = Svdf {
            input_size, units, rank, memory, input_zero_point: a_zero_point, output_zero_point,
            feature: negative, output, activation,
        };
        svdf_i8_state(&p, b_zero_point, 1..rows, &a, &b, &a, &[b_zero_point], &mut b.clone(), out);
        svdf(&p, 1..rows, &a, &b, &[i16::MIN; 30], &[], &mut [i16::MIN; 30], out);
    }

    #[test]
    fn reductions_return(
        sizes in dims(), reduced in any::<u32>(), z in pair(), multiplier in int(), shift in int(),
        diff_min in int(), depth in 0usize..9, rows in 0usize..9, x in bytes(), len in 0usize..99,
    ) {
        let out = &mut vec![0; len][..];
        let [input_zero_point, output_zero_point] = z;
        let output = Multiplier { multiplier, shift };
        let p = Mean { dims: sizes, reduced, input_zero_point, output_zero_point, output };
        mean(&p, 1..rows, &x, out);
        let p = Softmax { depth, input_multiplier: multiplier, input_left_shift: shift, diff_min };
        softmax(&p, 1..rows, &x, out);
        log_softmax(&p, output, 1..rows, &x, out);
        let p = ArgMinMax { len: depth, inner: len, smallest: shift < 0, last: multiplier < 0 };
        arg_min_max(&p, 1..rows, &x, &mut vec![0; len]);
        let p = TopK { depth, count: rows, smallest: shift < 0 };
        top_k_values(&p, 1..rows, &x, out);
        top_k_indices(&p, 1..rows, &x, &mut vec![0; len]);
    }

    #[test]
    fn products_and_cells_return(
        sizes in dims::<3>(), strides in dims::<2>(), flags in any::<[bool; 2]>(), z in [int(), int(), int()], m in pair(),
        s in pair(), clip in int(), rows in 0usize..9, x in bytes(), w in bytes(), channels in channels(), len in 0usize..99,
    ) {
        let ([rows_of_a, inner, columns], [a_stride, b_stride], [transpose_a, transpose_b]) = (sizes, strides, flags);
        let [a_zero_point, b_zero_point, output_zero_point] = z;
        let output = Multiplier::new(m[0], s[0]);
        let p = BatchMatMul {
            rows: rows_of_a, inner, columns, transpose_a, transpose_b, a_stride, b_stride, a_zero_point, b_zero_point,
            output_zero_point, output,
        };
        let out = &mut vec![0; len][..];
        batch_matmul(&p, 1..rows, &x, &w, out);
        let forget = Multiplier::new(m[1], s[1]);
        let tanh = int16::Sigmoid { multiplier: m[0], shift: s[1] };
        let p = Lstm {
            input_size: inner, hidden_size: columns, forget, input: output, output: forget, tanh, clip, output_zero_point,
        };
        let table = [0, 9, 65_535, 7].map(|x: u16| [x; 64]).concat();
        let table = table.first_chunk().unwrap();
        let weights = LstmWeights { input: &w, hidden: &x, channels: &channels, table };
        lstm(&p, 1..rows, &x, &w, &weights, &mut vec![-32_768; len], out);
    }

    #[test]
    fn movements_return(
        input in dims(), output in dims(), begin in dims(), at in dims::<4>(), to in dims::<4>(),
        stride in proptest::array::uniform6(-3isize..4), value in any::<[u8; 4]>(),
        perm in proptest::array::uniform6(0usize..8), item in 0usize..6, flags in any::<[bool; 2]>(),
        rows in 0usize..9, x in bytes(), len in 0usize..99, column in dims::<3>(),
    ) {
        let [align_corners, half_pixel_centers] = flags;
        let p = ResizeBilinear { input: at, output: to, align_corners, half_pixel_centers };
        resize_bilinear(&p, 1..rows, &x, &mut vec![0; len]);
        let (x, out) = (&unsigned(&x)[..], &mut vec![0; len][..]);
        pad(&Pad { input, output, before: begin, value, item }, 1..rows, x, out);
        strided_slice(&StridedSlice { input, output, begin, stride, item }, 1..rows, x, out);
        transpose(&Transpose { input, perm, item }, 1..rows, x, out);
        let p = ResizeNearest { input: at, output: to, align_corners, half_pixel_centers, item };
        resize_nearest(&p, 1..rows, x, out);
        let [row_len, start, len] = column;
        concat_part(&ConcatPart { row_len, start, len }, 1..rows, x, out);
        lookup(x, x, out);
    }

    #[test]
    fn scalar_functions_return(
        z in pair(), m in pair(), s in pair(), range in pair(), activation in activation(), x in int(), scales in any::<[f32; 3]>(),
        q in any::<[i16; 2]>(),
    ) {
        let [input_scale, output_scale, alpha] = scales;
        let [input_zero_point, output_zero_point] = z;
        let input = Quantization::new(input_scale, input_zero_point);
        let output = Quantization::new(output_scale, output_zero_point);
        let sigmoid = unary::Sigmoid {
            input_zero_point, input_range_radius: output_zero_point, input_multiplier: m[0],
            input_left_shift: s[0],
        };
        for p in [sigmoid, unary::Sigmoid::from_scale(input)] {
            let _ = (unary::logistic(&p, x), unary::tanh(&p, x));
        }
        let swish = unary::HardSwish {
            input_zero_point, output_zero_point, output_multiplier: q[0], output_exponent: s[0],
            reluish_multiplier: q[1], reluish_exponent: s[1],
        };
        let of_scales = unary::HardSwish::from_scales(input, output);
        let _ = (unary::hard_swish(&swish, x), unary::hard_swish(&of_scales, x));
        let leaky = unary::LeakyRelu {
            input_zero_point, output_zero_point, identity_multiplier: m[0], identity_shift: s[0],
            alpha_multiplier: m[1], alpha_shift: s[1],
        };
        let of_scales = unary::LeakyRelu::from_scales(alpha, input, output);
        let _ = (unary::leaky_relu(&leaky, x), unary::leaky_relu(&of_scales, x));
        let p = unary::Rescale::from_scales(input, output, range);
        let _ = (unary::relu(&p, x), unary::requantize(&p, x), unary::relu6(activation, x));
        let rsqrt = unary::Rsqrt { input_zero_point, output_zero_point, multiplier: m[0], shift: s[0] };
        let _ = (unary::rsqrt(&rsqrt, x), unary::rsqrt(&unary::Rsqrt::from_scales(input, output), x));
        quantize_i8(input, &scales, &mut [0; 5]);
        dequantize_i8(input, &[-128, 127], &mut scales.clone());
    }

    #[test]
    fn kernels_of_sound_return(
        x in proptest::collection::vec(any::<i16>(), 0..99), numbers in proptest::collection::vec(any::<u32>(), 0..20),
        pairs in proptest::collection::vec(any::<[i16; 2]>(), 0..99), words in proptest::array::uniform8(any::<u32>()),
        clamped in any::<bool>(), rows in 0usize..5, size in 0usize..99, len in 0usize..99,
    ) {
        use signal::*;
        let mut out = (vec![0i16; len], vec![0u32; len], vec![[0i16; 2]; len], numbers.clone());
        let [a, b, c, d, left, right, scale, at] = words;
        window(left, 1..rows, &x, &x, &mut out.0);
        auto_scale(&x, &mut out.0);
        rfft(1..rows, size, &x, &pairs, &mut out.2);
        energy(rows..size, &pairs, &mut out.1);
        filter_bank(left, &numbers, &pairs, &pairs, &mut out.1);
        let p = NoiseEstimate { weights: [[a, b], [c, d]], smoothing_bits: left, bits: right, clamped };
        noise_estimate(&p, &numbers, &mut out.3, &mut out.1);
        let p = SpectralSubtraction { remaining: at, smoothing_bits: left, bits: right };
        spectral_subtraction(&p, &numbers, &numbers, &mut out.1);
        pcan(left, &numbers, &numbers, &x, &mut out.1);
        log(left, scale, &numbers, &x, &mut out.0);
    }
}
