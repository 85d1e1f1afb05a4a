//! The f32 kernels are total: they return for all parameters and slice lengths.

use proptest::prelude::*;
use tealight_kernels::float::*;
use tealight_kernels::{ArgMinMax, Broadcast, Int4, ResizeBilinear, TopK, Window2d};

/// Small sizes, including zero.
fn dims<const N: usize>() -> impl Strategy<Value = [usize; N]> {
    proptest::array::uniform(0usize..5)
}

/// Any f32 values, including infinities and NaN.
fn floats() -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(proptest::num::f32::ANY, 0..120)
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 8 } else { 500 };
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn convolutions_and_pools_return(
        input in dims(), output in dims(), kernel in dims(), stride in dims(), dilation in dims(), pad in dims(),
        groups in 0usize..5, activation in any::<[f32; 2]>(), count_padding in any::<bool>(), rows in 0usize..9,
        x in floats(), w in floats(), bias in floats(), len in 0usize..200, codes in any::<Vec<i8>>(),
        packed in any::<Vec<u8>>(),
    ) {
        let scaled: Vec<_> = bias.iter().zip(&w).map(|(&bias, &scale)| ScaleBias { scale, bias }).collect();
        let out = &mut vec![0.0; len][..];
        let window = Window2d { kernel, stride, dilation, pad };
        let p = Conv2d { input, output, window, groups, activation };
        conv2d(&p, 1..rows, &x, &w[..], &bias, out);
        conv2d(&p, 1..rows, &x, &codes[..], &scaled, out);
        conv2d(&p, 1..rows, &x, Int4::new(&packed), &scaled, out);
        let p = ConvTranspose2d { input, output, window, groups, activation };
        conv_transpose2d(&p, 1..rows, &x, &w[..], &bias, out);
        conv_transpose2d(&p, 1..rows, &x, &codes[..], &scaled, out);
        conv_transpose2d(&p, 1..rows, &x, Int4::new(&packed), &scaled, out);
        let p = DepthwiseConv2d { input, output, window, activation };
        depthwise_conv2d(&p, 1..rows, &x, &w[..], &bias, out);
        depthwise_conv2d(&p, 1..rows, &x, &codes[..], &scaled, out);
        depthwise_conv2d(&p, 1..rows, &x, Int4::new(&packed), &scaled, out);
        let p = Pool2d { input, output, window, count_padding, activation };
        avg_pool2d(&p, 1..rows, &x, out);
        max_pool2d(&p, 1..rows, &x, out);
        let p = ResizeBilinear { input, output, align_corners: count_padding, half_pixel_centers: !count_padding };
        resize_bilinear(&p, 1..rows, &x, out);
        let p = Unpool2d { image: input, maxima: output, window };
        max_pool_indices2d(&p, 1..rows, &x, out);
        max_unpool2d(&p, 1..rows, &x, &w, out);
        let [height, width, depth, out_width] = input;
        transform_bilinear(&TransformBilinear { input: [height, width, depth], out_width }, 1..rows, &x, &w, out);
        let p = LandmarksToTransform { ends: stride, size: activation, scale: activation, angle: activation[0] };
        let subset: Vec<i32> = codes.iter().map(|&code| i32::from(code) << 24).collect();
        landmarks_to_transform(&p, &x, &subset, out);
    }

    #[test]
    fn products_and_sums_return(
        sizes in dims::<6>(), a_strides in dims(), b_strides in dims(), row_len in 0usize..9, reduced in any::<u32>(),
        activation in any::<[f32; 2]>(), flags in any::<[bool; 2]>(), rows in 0usize..9, a in floats(), b in floats(),
        len in 0usize..99,
    ) {
        let out = &mut vec![0.0; len][..];
        let broadcast = Broadcast { dims: sizes, a_strides, b_strides, row_len };
        for operator in [add, sub, mul, div, minimum, maximum, pow] {
            operator(&Binary { broadcast, activation }, 1..rows, &a, &b, out);
        }
        prelu(&broadcast, 1..rows, &a, &b, out);
        mean(&Mean { dims: sizes, reduced }, 1..rows, &a, out);
        let [in_features, out_features, inner, columns, a_stride, b_stride] = sizes;
        fully_connected(&FullyConnected { in_features, out_features, activation }, 1..rows, &a, &b[..], &a, out);
        let [transpose_a, transpose_b] = flags;
        let p = BatchMatMul { rows: in_features, inner, columns, transpose_a, transpose_b, a_stride, b_stride };
        batch_matmul(&p, 1..rows, &a, &b, out);
        softmax(&Softmax { depth: row_len, beta: activation[0] }, 1..rows, &a, out);
        let p = Norm { depth: row_len, epsilon: activation[0] };
        layer_norm(&p, 1..rows, &a, &b, &a, out);
        rms_norm(&p, 1..rows, &a, &b, out);
        let p = ArgMinMax { len: inner, inner: columns, smallest: flags[0], last: flags[1] };
        arg_min_max(&p, 1..rows, &a, &mut vec![0; len]);
        let p = TopK { depth: inner, count: columns, smallest: flags[0] };
        top_k_values(&p, 1..rows, &a, out);
        top_k_indices(&p, 1..rows, &a, &mut vec![0; len]);
    }

    #[test]
    fn kernels_of_sequences_return(
        sizes in dims::<6>(), flags in any::<[bool; 2]>(), indices in any::<[i32; 5]>(), scale in any::<f32>(),
        rows in 0usize..9, a in floats(), b in floats(), c in floats(), len in 0usize..99,
    ) {
        let out = &mut vec![0.0; len][..];
        let [heads, kv_heads, depth, positions, start, row_len] = sizes;
        let near = [start as i32, positions as i32, -1];
        let at: &[i32] = if flags[1] { &indices } else { &near };
        let p = Attention { heads, kv_heads, depth, scale };
        attention(&p, 1..rows, at, &a, &b, &c, out);
        cache(&Cache { len: row_len }, 1..rows, at, &a, out);
        let p = Rope { depth, rows_per_position: heads, interleaved: flags[0] };
        rope(&p, 1..rows, at, &a, &b, &c, out);
        rope_tables(scale, depth, &mut a.clone(), out);
        gather(&Gather { table_rows: positions, row_len }, 1..rows, &indices, &a, out);
        lstm(&Lstm { input_size: heads, hidden_size: depth }, 1..rows, &a, &b, &c, &a, &b, &mut c.clone(), out);
        gru(&Gru { input_size: heads, hidden_size: depth }, 1..rows, &a, &b, &c, &a, &b, &c, out);
    }

    #[test]
    fn functions_of_one_element_return(x in floats(), p in any::<[f32; 2]>()) {
        let functions = [
            UnaryFunction::Clamp(p), UnaryFunction::LeakyRelu(p[0]), UnaryFunction::Elu(p[0]), UnaryFunction::HardSigmoid, UnaryFunction::HardSwish,
            UnaryFunction::Logistic, UnaryFunction::Tanh, UnaryFunction::Gelu, UnaryFunction::GeluTanh, UnaryFunction::Silu, UnaryFunction::Softplus, UnaryFunction::Erf,
            UnaryFunction::Exp, UnaryFunction::Log, UnaryFunction::Sqrt, UnaryFunction::Rsqrt, UnaryFunction::Sin, UnaryFunction::Cos, UnaryFunction::Abs, UnaryFunction::Neg,
            UnaryFunction::Square, UnaryFunction::Reciprocal, UnaryFunction::Floor, UnaryFunction::Ceil,
            UnaryFunction::Round, UnaryFunction::Trunc, UnaryFunction::Sign,
        ];
        for f in functions {
            unary(f, &x, &mut [0.0; 50]);
        }
    }
}
