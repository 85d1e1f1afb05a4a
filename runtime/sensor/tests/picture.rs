//! Inputs from pictures, compared with the definition in f64.

use proptest::prelude::*;
use tealight_sensor::picture::{Channels, Color, Fit, FrontEnd, InputError, Picture};
use tealight_sensor::{Normalization, PerChannel};
use tealight_types::Quantization;

/// A front end without a normalization.
fn plain(color: Color, fit: Fit) -> FrontEnd {
    FrontEnd { color, fit, normalization: None }
}

/// The input in u8, without a normalization.
fn pixels(front_end: &FrontEnd, picture: &Picture<'_>, shape: [u16; 3]) -> Vec<u8> {
    let [height, width, channels] = shape.map(usize::from);
    let (mut sums, mut input) = (vec![7; width * channels], vec![9; height * width * channels]);
    front_end.fill(picture, shape, Quantization::NONE, &mut sums, &mut input).expect("the picture fits the shape");
    input
}

/// One axis by the formula: `samples` become `to` numbers.
fn resized(samples: &[f64], to: usize) -> Vec<f64> {
    let ratio = samples.len() as f64 / to as f64;
    let output = |i: usize| {
        let weight = |x: usize| (1.0 - (x as f64 + 0.5 - (i as f64 + 0.5) * ratio).abs() / ratio.max(1.0)).max(0.0);
        let weights: Vec<f64> = (0..samples.len()).map(weight).collect();
        let sum: f64 = weights.iter().zip(samples).map(|(weight, sample)| weight * sample).sum();
        sum / weights.iter().sum::<f64>()
    };
    (0..to).map(output).collect()
}

proptest! {
    #[test]
    fn a_grey_picture_is_resized_as_the_formula_says(
        width in 1_u16..40, height in 1_u16..40, to_width in 1_u16..40, to_height in 1_u16..40, seed in any::<u64>(),
    ) {
        let bytes: Vec<u8> = (0..u64::from(width) * u64::from(height))
            .map(|i| (seed.wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
            .collect();
        let picture = Picture::new(width, height, Channels::Grey, &bytes).unwrap();
        let found = pixels(&plain(Color::Grey, Fit::Stretch), &picture, [to_height, to_width, 1]);
        let rows: Vec<Vec<f64>> = bytes
            .chunks(width.into())
            .map(|row| resized(&row.iter().map(|&pixel| f64::from(pixel)).collect::<Vec<_>>(), to_width.into()))
            .collect();
        for x in 0..usize::from(to_width) {
            let column: Vec<f64> = rows.iter().map(|row| row[x]).collect();
            for (y, expected) in resized(&column, to_height.into()).into_iter().enumerate() {
                let found = f64::from(found[y * usize::from(to_width) + x]);
                // Each of the two passes rounds.
                prop_assert!((found - expected).abs() <= 1.0 + 1e-6, "{y} {x}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn a_picture_of_the_inputs_size_is_copied(width in 1_u16..20, height in 1_u16..20, first in any::<u8>()) {
        let bytes: Vec<u8> = (0..width * height * 3).map(|i| first.wrapping_add((i * 37) as u8)).collect();
        let picture = Picture::new(width, height, Channels::Rgb, &bytes).unwrap();
        for fit in [Fit::Stretch, Fit::Crop] {
            prop_assert_eq!(&pixels(&plain(Color::Rgb, fit), &picture, [height, width, 3]), &bytes);
        }
    }

    #[test]
    fn a_plain_picture_stays_plain(
        width in 1_u16..300, height in 1_u16..300, to_width in 1_u16..50, to_height in 1_u16..50, grey in any::<u8>(),
    ) {
        let bytes = vec![grey; usize::from(width) * usize::from(height)];
        let picture = Picture::new(width, height, Channels::Grey, &bytes).unwrap();
        let found = pixels(&plain(Color::Rgb, Fit::Crop), &picture, [to_height, to_width, 3]);
        prop_assert!(found.iter().all(|&pixel| pixel == grey));
    }
}

#[test]
fn channels_are_in_the_colours_order() {
    let picture = Picture::new(1, 1, Channels::Rgb, &[200, 100, 50]).unwrap();
    assert_eq!(pixels(&plain(Color::Rgb, Fit::Stretch), &picture, [1, 1, 3]), [200, 100, 50]);
    assert_eq!(pixels(&plain(Color::Bgr, Fit::Stretch), &picture, [1, 1, 3]), [50, 100, 200]);
    // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 is 124.2.
    assert_eq!(pixels(&plain(Color::Grey, Fit::Stretch), &picture, [1, 1, 1]), [124]);
}

#[test]
fn a_crop_is_the_middle_in_the_inputs_proportions() {
    let wide = Picture::new(5, 1, Channels::Grey, &[1, 2, 3, 4, 5]).unwrap();
    assert_eq!(pixels(&plain(Color::Grey, Fit::Crop), &wide, [1, 1, 1]), [3]);
    assert_eq!(pixels(&plain(Color::Grey, Fit::Crop), &wide, [1, 3, 1]), [2, 3, 4]);
    let high = Picture::new(1, 5, Channels::Grey, &[1, 2, 3, 4, 5]).unwrap();
    assert_eq!(pixels(&plain(Color::Grey, Fit::Crop), &high, [3, 1, 1]), [2, 3, 4]);
}

#[test]
fn elements_are_normalized_and_quantized() {
    let picture = Picture::new(3, 1, Channels::Grey, &[0, 128, 255]).unwrap();
    let normalization = Some(Normalization { mean: PerChannel::all(128.0), std: PerChannel::all(64.0) });
    let front_end = FrontEnd { normalization, ..plain(Color::Grey, Fit::Stretch) };
    let (mut floats, mut codes, mut unsigned, mut sums) = ([0.0_f32; 3], [0_i8; 3], [0_u8; 3], [0; 3]);
    front_end.fill(&picture, [1, 3, 1], Quantization::NONE, &mut sums, &mut floats).unwrap();
    assert_eq!(floats, [-2.0, 0.0, 127.0 / 64.0]);
    front_end.fill(&picture, [1, 3, 1], Quantization::new(0.5, 1), &mut sums, &mut codes).unwrap();
    assert_eq!(codes, [-3, 1, 5]);
    front_end.fill(&picture, [1, 3, 1], Quantization::new(0.5, 1), &mut sums, &mut unsigned).unwrap();
    assert_eq!(unsigned, [0, 1, 5]);
}

#[test]
fn without_a_normalization_black_and_white_are_the_types_bounds() {
    let picture = Picture::new(2, 1, Channels::Grey, &[0, 255]).unwrap();
    let front_end = FrontEnd::of_channels(1).unwrap();
    let (mut codes, mut floats, mut sums) = ([0_i8; 2], [0.0_f32; 2], [0; 2]);
    front_end.fill(&picture, [1, 2, 1], Quantization::new(0.1, 0), &mut sums, &mut codes).unwrap();
    assert_eq!(codes, [i8::MIN, i8::MAX]);
    let refused = front_end.fill(&picture, [1, 2, 1], Quantization::NONE, &mut sums, &mut floats);
    assert_eq!(refused, Err(InputError::NoNormalization));
}

#[test]
fn shapes_and_lengths_that_do_not_fit_are_refused() {
    let picture = Picture::new(1, 1, Channels::Grey, &[0]).unwrap();
    let fill = |shape, sums: &mut [u32], input: &mut [u8]| {
        plain(Color::Grey, Fit::Stretch).fill(&picture, shape, Quantization::NONE, sums, input)
    };
    assert_eq!(fill([1, 1, 3], &mut [0; 3], &mut [0; 3]), Err(InputError::Channels { expected: 1, found: 3 }));
    assert_eq!(fill([2, 2, 1], &mut [0; 2], &mut [0; 3]), Err(InputError::Elements { expected: 4, found: 3 }));
    assert_eq!(fill([2, 2, 1], &mut [0; 1], &mut [0; 4]), Err(InputError::Sums { expected: 2, found: 1 }));
    assert_eq!(fill([0, 2, 1], &mut [0; 2], &mut []), Err(InputError::Size { from: 1, to: 0 }));
    assert_eq!(fill([2, 0, 1], &mut [], &mut []), Err(InputError::Size { from: 1, to: 0 }));
}

/// Of `(i * i * 31 + i * 7) % 251` for byte `i`, 9 x 7 pixels of RGB, by `Image.resize(size, Image.BILINEAR)` and
/// `Image.convert("L")` of Pillow 13.
#[rustfmt::skip]
const PILLOW: [([u16; 2], &[u8]); 3] = [
    ([4, 3], &[141, 86, 115, 113, 106, 109, 104, 93, 119, 147, 132, 115, 161, 124, 133, 170, 148, 149, 170, 142,
        138, 161, 119, 105, 147, 116, 111, 104, 133, 99, 113, 91, 99, 141, 110, 110]),
    ([13, 5], &[66, 76, 149, 93, 68, 105, 121, 70, 62, 136, 99, 46, 83, 110, 64, 64, 110, 103, 99, 100, 163, 57,
        71, 89, 68, 63, 101, 114, 76, 172, 91, 125, 176, 133, 160, 128, 191, 183, 70, 179, 87, 198, 207, 81, 156,
        198, 85, 115, 99, 115, 100, 120, 110, 119, 165, 110, 160, 221, 121, 222, 161, 93, 149, 112, 87, 98, 87,
        103, 69, 181, 152, 74, 186, 112, 105, 155, 46, 139, 149, 144, 86, 179, 139, 132, 172, 145, 167, 75, 176,
        153, 167, 144, 175, 222, 143, 168, 203, 189, 122, 222, 163, 162, 167, 159, 162, 75, 164, 135, 172, 106,
        142, 179, 104, 101, 149, 126, 50, 155, 76, 169, 186, 72, 130, 181, 79, 93, 87, 113, 82, 112, 182, 106, 161,
        194, 116, 221, 132, 105, 165, 108, 114, 120, 106, 101, 99, 126, 76, 198, 180, 84, 207, 144, 119, 179, 81,
        156, 191, 177, 141, 133, 174, 103, 91, 145, 68, 114, 65, 59, 68, 122, 84, 57, 136, 105, 99, 76, 115, 64,
        54, 106, 83, 53, 86, 136, 74, 62, 121, 130, 73, 93, 96, 109, 66, 34, 148]),
    ([2, 11], &[68, 63, 78, 85, 85, 149, 102, 97, 93, 105, 117, 118, 146, 131, 116, 133, 147, 86, 167, 88, 150,
        158, 90, 125, 172, 109, 166, 167, 99, 145, 164, 178, 167, 164, 158, 150, 167, 158, 110, 172, 158, 98, 158,
        131, 98, 167, 144, 91, 133, 92, 146, 146, 111, 144, 105, 114, 103, 102, 87, 105, 85, 137, 61, 68, 72, 66]),
];
#[rustfmt::skip]
const PILLOW_GREY: &[u8] = &[38, 34, 86, 119, 61, 30, 83, 89, 198, 168, 166, 145, 33, 199, 95, 122, 205, 122, 94,
        94, 75, 187, 133, 106, 60, 145, 64, 157, 188, 171, 137, 204, 207, 163, 103, 142, 119, 123, 108, 224, 174,
        151, 109, 198, 120, 99, 105, 92, 135, 133, 66, 101, 192, 116, 216, 149, 65, 110, 64, 45, 82, 100, 27];

#[test]
fn pixels_are_those_of_pillow() {
    let bytes: Vec<u8> = (0..9 * 7 * 3).map(|i: u32| ((i * i * 31 + i * 7) % 251) as u8).collect();
    let picture = Picture::new(9, 7, Channels::Rgb, &bytes).unwrap();
    for ([width, height], expected) in PILLOW {
        let found = pixels(&plain(Color::Rgb, Fit::Stretch), &picture, [height, width, 3]);
        let difference = found.iter().zip(expected).map(|(found, expected)| found.abs_diff(*expected)).max();
        assert!(found.len() == expected.len() && difference <= Some(1), "{width} x {height}: {difference:?}");
    }
    assert_eq!(pixels(&plain(Color::Grey, Fit::Stretch), &picture, [7, 9, 1]), PILLOW_GREY);
}
