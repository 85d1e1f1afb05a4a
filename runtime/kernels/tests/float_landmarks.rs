//! The f32 kernels of MediaPipe's operators against f64, in every slicing.

mod common;
#[path = "common/floats.rs"]
mod floats;

use common::{by_rows, for_seeds};
use floats::{assert_near, floats};
use tealight_kernels::Window2d;
use tealight_kernels::float::{
    LandmarksToTransform, TransformBilinear, Unpool2d, landmarks_to_transform, max_pool_indices2d, max_unpool2d,
    transform_bilinear,
};

const TOLERANCE: f64 = 1e-4;

#[test]
fn an_image_is_interpolated_at_transformed_places_and_0_outside() {
    for_seeds(200, |rng| {
        let [height, width, depth] = [rng.size(1, 7), rng.size(1, 7), rng.size(1, 4)];
        let (rows, out_width) = (rng.size(1, 6), rng.size(1, 6));
        let image = floats(rng, height * width * depth);
        let matrix: Vec<f32> = floats(rng, 8)
            .into_iter()
            .zip([2.0, 2.0, 9.0, 3.0].into_iter().cycle())
            .map(|(x, scale)| x * scale)
            .collect();
        let p = TransformBilinear { input: [height, width, depth], out_width };
        let output = by_rows(rng, rows, out_width * depth, |rows, output| {
            transform_bilinear(&p, rows, &image, &matrix, output);
        });
        for (i, pixel) in output.chunks(depth).enumerate() {
            let (row, column) = ((i / out_width) as f64 + 0.5, (i % out_width) as f64 + 0.5);
            let place = |k: usize| {
                let [a, b, _, t] = [0, 1, 2, 3].map(|j| f64::from(matrix[4 * k + j]));
                a * column + b * row + t - 0.5
            };
            let [x, y] = [place(0), place(1)];
            let [right, bottom] = [width as f64 - 1.0, height as f64 - 1.0];
            // On the border, the last bit decides.
            if [x, x - right, y, y - bottom].iter().any(|distance| distance.abs() < TOLERANCE) {
                continue;
            }
            let at = |y: f64, x: f64, channel: usize| {
                let inside = y <= bottom && x <= right;
                if inside { f64::from(image[(y as usize * width + x as usize) * depth + channel]) } else { 0.0 }
            };
            let (x0, y0) = (x.floor(), y.floor());
            let (dx, dy) = (x - x0, y - y0);
            let is_outside = x < 0.0 || x > right || y < 0.0 || y > bottom;
            let expected: Vec<f64> = (0..depth)
                .map(|channel| {
                    let at = |y: f64, x: f64| at(y, x, channel);
                    let upper = (1.0 - dx) * at(y0, x0) + dx * at(y0, x0 + 1.0);
                    let lower = (1.0 - dx) * at(y0 + 1.0, x0) + dx * at(y0 + 1.0, x0 + 1.0);
                    if is_outside { 0.0 } else { (1.0 - dy) * upper + dy * lower }
                })
                .collect();
            assert_near(pixel, &expected, TOLERANCE);
        }
    });
}

#[test]
fn the_identity_shows_the_image_and_no_number_is_outside() {
    let p = TransformBilinear { input: [2, 3, 1], out_width: 3 };
    let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let mut output = [9.0; 6];
    transform_bilinear(&p, 0..2, &image, &[1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0], &mut output);
    assert_eq!(output, image);
    transform_bilinear(&p, 0..2, &image, &[f32::NAN; 8], &mut output);
    assert_eq!(output, [0.0; 6]);
}

#[test]
fn the_middle_of_a_crop_is_that_of_the_landmarks_and_its_axis_their_line() {
    for_seeds(200, |rng| {
        let count = rng.size(2, 9);
        let landmarks = floats(rng, 3 * count);
        let (width, height) = (rng.size(1, 20) as f32, rng.size(1, 20) as f32);
        let angle = rng.int(-314, 314) as f32 / 100.0;
        let p = LandmarksToTransform { ends: [0, 1], size: [width, height], scale: [1.5, 0.75], angle };
        let subset: Vec<i32> = (0..rng.size(1, 9)).map(|_| rng.int(0, count as i32 - 1)).collect();
        let mut matrix = [0.0; 16];
        landmarks_to_transform(&p, &landmarks, &subset, &mut matrix);
        let point = |i: usize| [landmarks[3 * i], landmarks[3 * i + 1]].map(f64::from);
        let ([lx, ly], [rx, ry]) = (point(0), point(1));
        let rotation = f64::from(angle) - (ry - ly).atan2(rx - lx);
        let turned = |r: f64, [x, y]: [f64; 2]| [r.cos() * x - r.sin() * y, r.sin() * x + r.cos() * y];
        let points: Vec<_> = subset.iter().map(|&i| turned(rotation, point(i as usize))).collect();
        let ends = [0, 1].map(|k| {
            let each = points.iter().map(|point| point[k]);
            [each.clone().fold(f64::INFINITY, f64::min), each.fold(f64::NEG_INFINITY, f64::max)]
        });
        let middle = turned(-rotation, ends.map(|[min, max]| (min + max) / 2.0));
        let sizes = [width, height].map(f64::from);
        let scale = [0, 1].map(|k| f64::from(p.scale[k]) * (ends[k][1] - ends[k][0]) / sizes[k]);
        let place = |x: f64, y: f64| {
            let [x, y] = turned(-rotation, [(x - sizes[0] / 2.0) * scale[0], (y - sizes[1] / 2.0) * scale[1]]);
            [x + middle[0], y + middle[1]]
        };
        for [x, y] in [[0.0, 0.0], [3.0, 0.0], [0.0, 5.0], [sizes[0] / 2.0, sizes[1] / 2.0]] {
            let found: Vec<f32> = [0, 4]
                .map(|row| {
                    let [a, b, _, t] = [0, 1, 2, 3].map(|k| f64::from(matrix[row + k]));
                    (a * x + b * y + t) as f32
                })
                .to_vec();
            assert_near(&found, &place(x, y), TOLERANCE);
        }
        assert_eq!(matrix[8..], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    });
}

#[test]
fn maxima_go_back_to_their_places() {
    for_seeds(200, |rng| {
        let (kernel, stride) = ([rng.size(1, 3), rng.size(1, 3)], [rng.size(1, 4), rng.size(1, 4)]);
        let pad = kernel.map(|size| rng.size(0, size - 1));
        let [batch, height, width, depth] = [rng.size(1, 2), rng.size(1, 8), rng.size(1, 8), rng.size(1, 3)];
        let rows = (height + pad[0]).div_ceil(stride[0]);
        let columns = (width + pad[1]).div_ceil(stride[1]);
        let window = Window2d { kernel, stride, dilation: [1, 1], pad };
        let p = Unpool2d { image: [batch, height, width, depth], maxima: [batch, rows, columns, depth], window };
        let image = floats(rng, batch * height * width * depth);
        let places = by_rows(rng, batch * rows, columns * depth, |rows, output| {
            max_pool_indices2d(&p, rows, &image, output);
        });
        let (mut maxima, mut expected) = (vec![0.0; places.len()], vec![0.0; image.len()]);
        for (i, (maximum, place)) in maxima.iter_mut().zip(&places).enumerate() {
            let (channel, column, row) = (i % depth, i / depth % columns, i / depth / columns % rows);
            let n = i / depth / columns / rows;
            let mut best: Option<(f32, usize, usize)> = None;
            for (down, right) in (0..kernel[0]).flat_map(|down| (0..kernel[1]).map(move |right| (down, right))) {
                let (Some(y), Some(x)) = (
                    (row * stride[0] + down).checked_sub(pad[0]).filter(|&y| y < height),
                    (column * stride[1] + right).checked_sub(pad[1]).filter(|&x| x < width),
                ) else {
                    continue;
                };
                let at = ((n * height + y) * width + x) * depth + channel;
                if best.is_none_or(|(max, ..)| image[at] > max) {
                    best = Some((image[at], at, down * kernel[1] + right));
                }
            }
            let Some((max, at, found)) = best else {
                assert_eq!(*place, 0.1);
                continue;
            };
            assert_eq!(*place, found as f32 + 0.1);
            (*maximum, expected[at]) = (max, max);
        }
        let output = by_rows(rng, batch * height, width * depth, |rows, output| {
            max_unpool2d(&p, rows, &maxima, &places, output);
        });
        // A window without a tap inside has a maximum of 0, at its first tap, which is outside.
        assert_eq!(output, expected);
    });
}

#[test]
fn places_that_are_outside_of_the_window_are_skipped() {
    let window = Window2d { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], pad: [0, 0] };
    let p = Unpool2d { image: [1, 2, 10, 1], maxima: [1, 1, 5, 1], window };
    let mut output = [9.0; 20];
    let places = [-1.0, 4.1, f32::NAN, f32::INFINITY, -0.9];
    max_unpool2d(&p, 0..2, &[1.0, 2.0, 3.0, 4.0, 5.0], &places, &mut output);
    let mut expected = [0.0; 20];
    expected[8] = 5.0;
    assert_eq!(output, expected);
}
