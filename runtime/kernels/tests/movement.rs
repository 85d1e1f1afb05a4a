//! Pad, StridedSlice, Transpose, ResizeNearest and Concat: every output element is the input element
//! of the operator's definition.

mod common;

use common::{Rng, by_rows, flat, for_seeds, indices};
use tealight_kernels::{
    ConcatPart, Pad, ResizeNearest, StridedSlice, Transpose, concat_part, pad, resize_nearest, strided_slice, transpose,
};

fn shape(rng: &mut Rng) -> [usize; 6] {
    let rank = rng.size(0, 6);
    let dims: [usize; 6] = std::array::from_fn(|_| rng.size(1, 4));
    std::array::from_fn(|i| if i < 6 - rank { 1 } else { dims[i] })
}

fn item(rng: &mut Rng) -> usize {
    [1, 1, 2, 4][rng.size(0, 3)]
}

fn random_bytes(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.next() as u8).collect()
}

/// The bytes of the chosen elements, one after the other.
fn gathered<'a>(elements: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    elements.flatten().copied().collect()
}

fn rows_of(dims: [usize; 6], item: usize) -> (usize, usize) {
    (dims[..5].iter().product(), dims[5] * item)
}

#[test]
fn pad_puts_the_input_inside_a_border() {
    for_seeds(300, |rng| {
        let (input_dims, item) = (shape(rng), item(rng));
        let before: [usize; 6] = std::array::from_fn(|_| rng.size(0, 2));
        let output = std::array::from_fn(|i| before[i] + input_dims[i] + rng.size(0, 2));
        let value = (rng.next() as u32).to_le_bytes();
        let p = Pad { input: input_dims, output, before, value, item };
        let input = random_bytes(rng, input_dims.iter().product::<usize>() * item);
        let element = |index: [usize; 6]| {
            let inside: Option<Vec<usize>> =
                (0..6).map(|i| index[i].checked_sub(before[i]).filter(|&at| at < input_dims[i])).collect();
            match inside {
                Some(at) => &input[flat(input_dims, at.try_into().unwrap()) * item..][..item],
                None => &value[..item],
            }
        };
        let expected = gathered(indices(output).map(element));
        let (rows, len) = rows_of(output, item);
        assert_eq!(by_rows(rng, rows, len, |rows, out| pad(&p, rows, &input, out)), expected);
    });
}

#[test]
fn strided_slice_takes_every_nth_element_forwards_and_backwards() {
    for_seeds(300, |rng| {
        let (input_dims, item) = (shape(rng), item(rng));
        let mut p = StridedSlice { input: input_dims, output: [1; 6], begin: [0; 6], stride: [1; 6], item };
        for (i, dim) in input_dims.into_iter().enumerate() {
            let last = dim - 1;
            p.begin[i] = rng.size(0, last);
            let step = rng.size(1, 3);
            let backwards = rng.size(0, 2) == 0;
            let room = if backwards { p.begin[i] } else { last - p.begin[i] };
            p.stride[i] = if backwards { -(step as isize) } else { step as isize };
            p.output[i] = rng.size(1, room / step + 1);
        }
        let input = random_bytes(rng, input_dims.iter().product::<usize>() * item);
        let element = |index: [usize; 6]| {
            let at = |i: usize| p.begin[i] as isize + index[i] as isize * p.stride[i];
            let at = flat(input_dims, std::array::from_fn(|i| at(i) as usize));
            &input[at * item..][..item]
        };
        let expected = gathered(indices(p.output).map(element));
        let (rows, len) = rows_of(p.output, item);
        let output = by_rows(rng, rows, len, |rows, out| {
            strided_slice(&p, rows, &input, out);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn transpose_reorders_dimensions() {
    for_seeds(300, |rng| {
        let (input_dims, item) = (shape(rng), item(rng));
        let mut perm = [0, 1, 2, 3, 4, 5];
        for i in (1..6).rev() {
            perm.swap(i, rng.size(0, i));
        }
        let p = Transpose { input: input_dims, perm, item };
        let input = random_bytes(rng, input_dims.iter().product::<usize>() * item);
        let output_dims = perm.map(|from| input_dims[from]);
        let element = |index: [usize; 6]| {
            let mut from = [0; 6];
            for i in 0..6 {
                from[perm[i]] = index[i];
            }
            &input[flat(input_dims, from) * item..][..item]
        };
        let expected = gathered(indices(output_dims).map(element));
        let (rows, len) = rows_of(output_dims, item);
        let output = by_rows(rng, rows, len, |rows, out| transpose(&p, rows, &input, out));
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn resize_nearest_reads_the_nearest_pixel() {
    for_seeds(300, |rng| {
        let (n, c, item) = (rng.size(1, 2), rng.size(1, 4), item(rng));
        let p = ResizeNearest {
            input: [n, rng.size(1, 7), rng.size(1, 7), c],
            output: [n, rng.size(1, 12), rng.size(1, 12), c],
            align_corners: rng.size(0, 1) == 1,
            half_pixel_centers: rng.size(0, 1) == 1,
            item,
        };
        let input = random_bytes(rng, p.input.iter().product::<usize>() * item);
        let nearest = |at: usize, axis: usize| {
            let (size, output) = (p.input[axis] as f32, p.output[axis] as f32);
            let scale =
                if p.align_corners && p.output[axis] > 1 { (size - 1.0) / (output - 1.0) } else { size / output };
            let at = (at as f32 + if p.half_pixel_centers { 0.5 } else { 0.0 }) * scale;
            let at = if p.align_corners { at.round() } else { at.floor() };
            (at as usize).min(p.input[axis] - 1)
        };
        let element =
            |[n, y, x, c]: [usize; 4]| &input[flat(p.input, [n, nearest(y, 1), nearest(x, 2), c]) * item..][..item];
        let expected = gathered(indices(p.output).map(element));
        let [n, h, w, c] = p.output;
        let output = by_rows(rng, n * h, w * c * item, |rows, out| {
            resize_nearest(&p, rows, &input, out);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn doubling_repeats_each_pixel() {
    let p = ResizeNearest {
        input: [1, 1, 2, 1],
        output: [1, 2, 4, 1],
        align_corners: false,
        half_pixel_centers: false,
        item: 1,
    };
    let mut output = [0; 8];
    resize_nearest(&p, 0..2, &[7, 9], &mut output);
    assert_eq!(output, [7, 7, 9, 9, 7, 7, 9, 9]);
}

#[test]
fn concat_puts_rows_side_by_side() {
    for_seeds(200, |rng| {
        let (rows, count) = (rng.size(1, 6), rng.size(1, 4));
        let lens: Vec<usize> = (0..count).map(|_| rng.size(1, 9)).collect();
        let inputs: Vec<Vec<u8>> = lens.iter().map(|len| random_bytes(rng, rows * len)).collect();
        let row_len = lens.iter().sum();
        let row = |row| inputs.iter().zip(&lens).map(move |(x, &len)| &x[row * len..][..len]);
        let expected = gathered((0..rows).flat_map(row));
        let output = by_rows(rng, rows, row_len, |rows, output| {
            let mut start = 0;
            for (input, &len) in inputs.iter().zip(&lens) {
                let part = ConcatPart { row_len, start, len };
                concat_part(&part, rows.clone(), input, output);
                start += len;
            }
        });
        assert_eq!(output, expected);
    });
}
