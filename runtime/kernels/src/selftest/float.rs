//! Digests of the f32 kernels.

use crate::float::*;
use crate::{ArgMinMax, Broadcast, Int4, ResizeBilinear, Window2d};
use zerocopy::IntoBytes;

use super::Digest;

/// Pseudo-random f32 values in `[-2, 2)`.
#[inline(never)]
fn signal<const N: usize>(seed: u32) -> [f32; N] {
    core::array::from_fn(|i| {
        let hash = (i as u32).wrapping_add(7919u32.wrapping_mul(seed)).wrapping_mul(2_654_435_761) >> 8;
        hash as f32 / 4_194_304.0 - 2.0
    })
}

/// These weights in another type.
#[inline(never)]
fn converted<T: Copy + Default, const N: usize>(weights: &[f32; N], convert: impl Fn(f32) -> T) -> [T; N] {
    let mut converted = [T::default(); N];
    for (to, &weight) in converted.iter_mut().zip(weights) {
        *to = convert(weight);
    }
    converted
}

/// The digest of the bits of 96 outputs. A call for each kernel, so that their outputs do not lie on the stack side by side.
#[inline(never)]
fn digest(kernel: impl FnOnce(&mut [f32])) -> u64 {
    let mut output = [0.0; 96];
    kernel(&mut output);
    Digest::default().f32s(&output).0
}

#[inline(never)]
fn of_function(f: UnaryFunction) -> u64 {
    let positive = matches!(f, UnaryFunction::Log | UnaryFunction::Sqrt | UnaryFunction::Rsqrt);
    let input = signal::<96>(1).map(|x| if positive { x.abs() } else { 4.0 * x });
    digest(|output| unary(f, &input, output))
}

#[inline(never)]
fn of_subnormal(dense: &FullyConnected) -> u64 {
    let x = signal::<360>(1).map(|x| 1e-25 * x);
    let w = signal::<540>(2).map(|w| 1e-14 * w);
    digest(|y| fully_connected(dense, 0..96, &x, &w[..], &[0.0; 12], y))
}

/// Powers of numbers above 0: the bits of a NaN depend on the processor.
#[inline(never)]
fn of_power() -> u64 {
    let (x, w) = (signal::<96>(1).map(f32::abs), signal::<96>(2).map(|w| 4.0 * w));
    let p = Binary { broadcast: Broadcast::elementwise(96, 96), activation: UNBOUNDED };
    digest(|y| pow(&p, 0..1, &x, &w, y))
}

/// The digest of each kernel on this target, in the order of [`RECORDED`].
#[inline(never)]
pub(super) fn digests() -> [(&'static str, u64); 50] {
    // One after the other: a tuple of them would lie on the stack beside them.
    let x = signal::<2048>(1);
    let w = signal::<2048>(2);
    let b = signal::<96>(3);
    let halves = converted(&w, f16::from_f32);
    let bytes = converted(&w, |w| (63.0 * w) as i8);
    let codes = Int4::new(bytes.as_bytes());
    let scaled = b.map(|bias| ScaleBias { scale: bias / 63.0, bias });
    let input = [2, 5, 6, 12];
    let window = Window2d { kernel: [3, 3], stride: [2, 1], dilation: [1, 2], pad: [1, 2] };
    let output = [2, 2, 3, 8];
    let activation = UNBOUNDED;
    let conv = Conv2d { input, output, window, groups: 2, activation };
    let depthwise = [2, 2, 2, 24];
    let depthwise = DepthwiseConv2d { input, output: depthwise, window, activation };
    let transpose = ConvTranspose2d { input, output, window, groups: 2, activation };
    let window = Window2d { kernel: [3, 3], stride: [2, 2], dilation: [1, 1], pad: [0, 0] };
    let pool = Pool2d { input, output: [2, 2, 2, 12], window, count_padding: false, activation };
    let dense = FullyConnected { in_features: 45, out_features: 12, activation };
    let product = BatchMatMul {
        rows: 8,
        inner: 21,
        columns: 12,
        transpose_a: false,
        transpose_b: true,
        a_stride: 0,
        b_stride: 0,
    };
    let norm = Norm { depth: 24, epsilon: 1e-5 };
    let attention_of = Attention { heads: 4, kv_heads: 2, depth: 8, scale: 1.0 / 3.0 };
    let turn = Rope { depth: 8, rows_per_position: 2, interleaved: false };
    let (mut cos, mut sin) = ([0.0; 96], [0.0; 96]);
    rope_tables(10_000.0, 8, &mut cos, &mut sin);
    let half_pixel_centers = true;
    let enlarged = ResizeBilinear { input, output: [2, 4, 2, 12], align_corners: false, half_pixel_centers };
    let window = Window2d { kernel: [2, 2], ..window };
    let unpool = Unpool2d { image: [1, 8, 12, 4], maxima: [1, 4, 6, 4], window };
    let elements = Binary { broadcast: Broadcast::elementwise(96, 96), activation };

    [
        ("conv2d", digest(|y| conv2d(&conv, 0..4, &x, &w[..], &b, y))),
        ("depthwise_conv2d", digest(|y| depthwise_conv2d(&depthwise, 0..2, &x, &w[..], &b, y))),
        ("conv_transpose2d", digest(|y| conv_transpose2d(&transpose, 0..4, &x, &w[..], &b, y))),
        ("avg_pool2d", digest(|y| avg_pool2d(&pool, 0..4, &x, y))),
        ("resize_bilinear", digest(|y| resize_bilinear(&enlarged, 0..4, &x, y))),
        ("fully_connected", digest(|y| fully_connected(&dense, 0..96, &x, &w[..], &b, y))),
        ("fully_connected, f16", digest(|y| fully_connected(&dense, 0..96, &x, &halves[..], &b, y))),
        ("conv2d, i8", digest(|y| conv2d(&conv, 0..4, &x, &bytes[..], &scaled, y))),
        ("depthwise_conv2d, i8", digest(|y| depthwise_conv2d(&depthwise, 0..2, &x, &bytes[..], &scaled, y))),
        ("fully_connected, i8", digest(|y| fully_connected(&dense, 0..96, &x, &bytes[..], &scaled, y))),
        ("conv2d, int4", digest(|y| conv2d(&conv, 0..4, &x, codes, &scaled, y))),
        ("depthwise_conv2d, int4", digest(|y| depthwise_conv2d(&depthwise, 0..2, &x, codes, &scaled, y))),
        ("fully_connected, int4", digest(|y| fully_connected(&dense, 0..96, &x, codes, &scaled, y))),
        // Some vector units flush subnormal numbers to zero.
        ("fully_connected, subnormal products", of_subnormal(&dense)),
        ("batch_matmul", digest(|y| batch_matmul(&product, 0..8, &x, &w, y))),
        ("div", digest(|y| div(&elements, 0..1, &x, &w, y))),
        ("pow", of_power()),
        ("mean", digest(|y| mean(&Mean { dims: [1, 1, 96, 3, 7, 1], reduced: 0b11_1000 }, 0..96, &x, y))),
        ("softmax", digest(|y| softmax(&Softmax { depth: 24, beta: 1.0 }, 0..4, &x, y))),
        ("layer_norm", digest(|y| layer_norm(&norm, 0..4, &x, &w, &b, y))),
        ("rms_norm", digest(|y| rms_norm(&norm, 0..4, &x, &w, y))),
        ("rope", digest(|y| rope(&turn, 0..12, &[1, 2, 3, 4, 5, 6], &x, &cos, &sin, y))),
        ("attention", digest(|y| attention(&attention_of, 0..12, &[5, 6, 7], &x, &w, w.get(700..).unwrap_or(&[]), y))),
        ("lstm", {
            let p = Lstm { input_size: 10, hidden_size: 9 };
            let mut cell = b;
            digest(|y| lstm(&p, 0..96, &x, &w, &w, &x, &b, &mut cell, y))
        }),
        ("gru", digest(|y| gru(&Gru { input_size: 10, hidden_size: 9 }, 0..96, &x, &w, &w, &x, &b, &b, y))),
        ("elu", of_function(UnaryFunction::Elu(0.5))),
        ("hard_swish", of_function(UnaryFunction::HardSwish)),
        ("logistic", of_function(UnaryFunction::Logistic)),
        ("tanh", of_function(UnaryFunction::Tanh)),
        ("gelu", of_function(UnaryFunction::Gelu)),
        ("gelu_tanh", of_function(UnaryFunction::GeluTanh)),
        ("silu", of_function(UnaryFunction::Silu)),
        ("softplus", of_function(UnaryFunction::Softplus)),
        ("exp", of_function(UnaryFunction::Exp)),
        ("log", of_function(UnaryFunction::Log)),
        ("sqrt", of_function(UnaryFunction::Sqrt)),
        ("rsqrt", of_function(UnaryFunction::Rsqrt)),
        ("sin", of_function(UnaryFunction::Sin)),
        ("cos", of_function(UnaryFunction::Cos)),
        ("floor", of_function(UnaryFunction::Floor)),
        ("ceil", of_function(UnaryFunction::Ceil)),
        ("round", of_function(UnaryFunction::Round)),
        ("trunc", of_function(UnaryFunction::Trunc)),
        ("sign", of_function(UnaryFunction::Sign)),
        ("detections", {
            let (count, per_class, score, overlap) = (5, 2, -1.5, 0.3);
            let (scales, box_len, columns, skipped) = ([2.0, 3.0, 4.0, 5.0], 4, 3, 1);
            let p = Detections { count, per_class, score, overlap, scales, box_len, columns, skipped };
            digest(|y| {
                let [boxes, scores] =
                    [x.first_chunk::<40>(), w.first_chunk::<40>()].map(|list| list.unwrap_or(&[0.0; 40]));
                let mut anchors = [0.0; 40];
                for (anchor, x) in anchors.iter_mut().zip(boxes) {
                    *anchor = x * x + 0.5;
                }
                detections(&p, boxes, scores, &anchors, y.get_mut(..91).unwrap_or_default());
            })
        }),
        ("transform_bilinear", {
            let p = TransformBilinear { input: [8, 8, 4], out_width: 6 };
            let matrix = [0.9, -0.3, 0.0, 1.5, 0.3, 0.9, 0.0, 0.25];
            digest(|y| transform_bilinear(&p, 0..4, &x, &matrix, y))
        }),
        ("landmarks_to_transform", {
            let p = LandmarksToTransform { ends: [1, 2], size: [12.0, 8.0], scale: [1.5, 1.25], angle: 0.3 };
            digest(|y| landmarks_to_transform(&p, &x, &[0, 3, 5, 4], y.get_mut(..16).unwrap_or_default()))
        }),
        ("max_pool_indices2d", digest(|y| max_pool_indices2d(&unpool, 0..4, &x, y))),
        ("max_unpool2d", {
            let p = Unpool2d { image: [1, 4, 6, 4], maxima: [1, 2, 3, 4], ..unpool };
            let places = signal::<24>(4).map(|x| x.abs() * 2.0);
            digest(|y| max_unpool2d(&p, 0..4, &x, &places, y))
        }),
        ("arg_min_max", {
            let p = ArgMinMax { len: 21, inner: 12, smallest: false, last: false };
            let mut indices = [0; 96];
            arg_min_max(&p, 0..96, &x, &mut indices);
            digest(|y| y.iter_mut().zip(indices).for_each(|(y, index)| *y = index as f32))
        }),
    ]
}

/// The digests on x86-64, where the other tests check the values of the f32 kernels.
pub(super) const RECORDED: [(&str, u64); 50] = [
    ("conv2d", 0x2fe1_7004_330c_00c1),
    ("depthwise_conv2d", 0x2db3_13de_74fb_b2d3),
    ("conv_transpose2d", 0x58a3_b92e_c179_9a91),
    ("avg_pool2d", 0x9d53_e2e5_01a9_d9de),
    ("resize_bilinear", 0xbf7b_57b9_b5d8_68d0),
    ("fully_connected", 0x744d_9e2f_1aa9_ef7c),
    ("fully_connected, f16", 0xd2aa_c21b_b99b_dc04),
    ("conv2d, i8", 0xb63b_f461_06d6_19c2),
    ("depthwise_conv2d, i8", 0x189e_a18a_f7eb_a9a5),
    ("fully_connected, i8", 0xc254_ae7d_db61_b0b2),
    ("conv2d, int4", 0xa416_0405_0a35_34f8),
    ("depthwise_conv2d, int4", 0x808a_46ed_e0e4_058c),
    ("fully_connected, int4", 0xf4d5_27f5_044f_f969),
    ("fully_connected, subnormal products", 0xe5e3_d2da_060e_6953),
    ("batch_matmul", 0x793f_c4ee_3edf_407c),
    ("div", 0x82ee_08e9_b4a9_0e76),
    ("pow", 0xd7bf_8db2_040d_abe0),
    ("mean", 0x5472_f5a8_e089_6b72),
    ("softmax", 0x43a9_d750_3232_1867),
    ("layer_norm", 0xe349_2f28_86b1_ce4e),
    ("rms_norm", 0xf4ac_b42c_b7cd_5f86),
    ("rope", 0xe52e_2422_c636_3dd2),
    ("attention", 0x10f1_7117_28c3_ef62),
    ("lstm", 0x8789_3cd4_b341_046a),
    ("gru", 0x6acc_636d_6e98_3d03),
    ("elu", 0x106d_9a43_d316_c876),
    ("hard_swish", 0xcce8_6aa7_4222_8b40),
    ("logistic", 0x5770_960a_0d6e_81b9),
    ("tanh", 0x5a1f_6321_f280_449b),
    ("gelu", 0x08e5_7cfe_c82f_e080),
    ("gelu_tanh", 0x626c_b7e3_e7c4_28b8),
    ("silu", 0x3597_df7f_3b94_57b5),
    ("softplus", 0xfa9c_aa38_3578_64f0),
    ("exp", 0x2249_6c3c_fa00_c761),
    ("log", 0x0a91_999f_552a_3fb5),
    ("sqrt", 0xbdaf_c308_8db6_fe19),
    ("rsqrt", 0x464b_69bc_e79f_ea8a),
    ("sin", 0xb59d_8746_e05f_683b),
    ("cos", 0xa9f0_fcc9_f613_254b),
    ("floor", 0xdb3f_520b_80fc_af58),
    ("ceil", 0x5104_5e7c_7291_4a42),
    ("round", 0xd0dd_163a_c3f2_8c4b),
    ("trunc", 0x5ebc_115a_0d7a_e9a8),
    ("sign", 0xe96e_abea_9aba_23a5),
    ("detections", 0x55d1_e452_b206_7f43),
    ("transform_bilinear", 0x8433_ca84_f976_8d88),
    ("landmarks_to_transform", 0x81ed_4855_05fb_bf74),
    ("max_pool_indices2d", 0x61e7_d50a_ba57_9ed5),
    ("max_unpool2d", 0x19c5_fd02_69c3_c34c),
    ("arg_min_max", 0x08b3_f963_bf6b_8810),
];
