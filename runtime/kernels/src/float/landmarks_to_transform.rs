//! LandmarksToTransform: the matrix that takes places in an upright crop around landmarks to places in their image.
//!
//! With `r` the wanted angle less that of the line between two landmarks, the landmarks of a subset are turned by `r`; the
//! crop has the middle of their bounding box, turned back, as its centre `(X, Y)`, and `scale` times its width and height
//! `(W, H)`. Of an output of `(w, h)` pixels, with `sx = scale_x·W / w`, `sy = scale_y·H / h`, `c = cos(-r)` and
//! `s = sin(-r)`, the matrix has the rows `(c·sx, -s·sy, 0, c·sx·(-w/2) + -s·sy·(-h/2) + X)`,
//! `(s·sx, c·sy, 0, s·sx·(-w/2) + c·sy·(-h/2) + Y)`, `(0, 0, 1, 0)` and `(0, 0, 0, 1)`.
//!
//! Source: MediaPipe `Landmarks2TransformMatrix`, version 2.

use super::at;

/// Parameters of [`landmarks_to_transform`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LandmarksToTransform {
    /// The two landmarks whose line gives the rotation, from left to right.
    pub ends: [usize; 2],
    /// Width and height of the crop, in pixels.
    pub size: [f32; 2],
    /// How much wider and higher than the landmarks the crop is.
    pub scale: [f32; 2],
    /// The angle of the line in the crop, in radians.
    pub angle: f32,
}

/// Writes the 16 elements of the matrix. `landmarks` is `[n, 3]`, x and y before z; `subset` has indices of some. Landmarks
/// that are not there are at 0.
pub fn landmarks_to_transform(p: &LandmarksToTransform, landmarks: &[f32], subset: &[i32], output: &mut [f32]) {
    let place = |index: usize| {
        let first = index.saturating_mul(3);
        [at(landmarks, first), at(landmarks, first.saturating_add(1))]
    };
    let [[left_x, left_y], [right_x, right_y]] = p.ends.map(place);
    let rotation = p.angle - libm::atan2f(right_y - left_y, right_x - left_x);
    let (cos, sin) = (libm::cosf(rotation), libm::sinf(rotation));
    let mut bounds: Option<[[f32; 2]; 2]> = None;
    for &index in subset {
        let turned = turn([cos, sin], place(usize::try_from(index).unwrap_or(usize::MAX)));
        let [min, max] = bounds.get_or_insert([turned; 2]);
        for ((min, max), x) in min.iter_mut().zip(max).zip(turned) {
            if *max < x {
                *max = x;
            }
            if *min > x {
                *min = x;
            }
        }
    }
    let [[min_x, min_y], [max_x, max_y]] = bounds.unwrap_or_default();
    // The sine is odd, the cosine even, to the last bit.
    let back = [cos, -sin];
    let [x, y] = turn(back, [(min_x + max_x) / 2.0, (min_y + max_y) / 2.0]);
    let [width, height] = p.size;
    let scale_x = p.scale[0] * (max_x - min_x) / width;
    let scale_y = p.scale[1] * (max_y - min_y) / height;
    let [cos, sin] = back;
    let [a, b, c, d] = [cos * scale_x, -sin * scale_y, sin * scale_x, cos * scale_y];
    let (to_x, to_y) = (-(width / 2.0), -(height / 2.0));
    let matrix = [
        [a, b, 0.0, a * to_x + b * to_y + x],
        [c, d, 0.0, c * to_x + d * to_y + y],
        [0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    for (output, x) in output.iter_mut().zip(matrix.into_iter().flatten()) {
        *output = x;
    }
}

/// A place turned about the origin, by an angle with this cosine and sine.
fn turn([cos, sin]: [f32; 2], [x, y]: [f32; 2]) -> [f32; 2] {
    [cos * x + -sin * y, sin * x + cos * y]
}
