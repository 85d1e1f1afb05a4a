//! Resize and Upsample.
//!
//! ONNX has many rules for where an output pixel lies in the input. Where a resize of the model file takes the same
//! pixels (nearest) or has the same rule (linear), that is taken. Any other one is two products with constant matrices,
//! of the rows and of the columns: each row of such a matrix holds the shares that an output pixel has in the input
//! pixels.

use super::Outputs;
use crate::diag::Result;
use crate::import::onnx::constant::Constant;
use crate::import::onnx::network::{Network, Node, Value};
use crate::ir::Op;

/// The rules of the model file: aligned corners, half-pixel centres.
const RULES: [(bool, bool); 3] = [(false, false), (false, true), (true, false)];

/// The most elements of a matrix of shares.
const MAX_SHARES: u64 = 1 << 20;

/// The largest side that is compared pixel by pixel.
const MAX_SIDE: u32 = 1 << 16;

/// Returns the input pixel of output pixel `x` by a rule of the model file.
fn nearest((align, half): (bool, bool), x: u32, input: u32, output: u32) -> u32 {
    let scale =
        if align && output > 1 { (input - 1) as f32 / (output - 1) as f32 } else { input as f32 / output as f32 };
    let at = (x as f32 + if half { 0.5 } else { 0.0 }) * scale;
    let at = if align { at.round() } else { at.floor() };
    (at as u32).min(input - 1)
}

/// One dimension of a resize.
#[derive(Debug, Clone, Copy)]
struct Side {
    input: u32,
    output: u32,
    /// The length of the output before it is rounded down.
    length: f64,
    /// Of the output to the input.
    scale: f64,
    /// The part of the input that is taken, for the rule `tf_crop_and_resize`.
    crop: [f64; 2],
}

impl Side {
    /// Returns the position in the input of output pixel `x`; `None` for a rule that is not known.
    fn position(&self, rule: &str, x: u32) -> Option<f64> {
        let (x, last) = (f64::from(x), f64::from(self.input) - 1.0);
        Some(match rule {
            "asymmetric" => x / self.scale,
            "half_pixel" => (x + 0.5) / self.scale - 0.5,
            "pytorch_half_pixel" if self.output > 1 => (x + 0.5) / self.scale - 0.5,
            "pytorch_half_pixel" => 0.0,
            "tf_half_pixel_for_nn" => (x + 0.5) / self.scale,
            "align_corners" if self.output > 1 => x * last / (self.length - 1.0),
            "align_corners" => 0.0,
            "tf_crop_and_resize" if self.output > 1 => {
                let [start, end] = self.crop;
                start * last + x * (end - start) * last / (self.length - 1.0)
            }
            "tf_crop_and_resize" => 0.5 * (self.crop[0] + self.crop[1]) * last,
            _ => return None,
        })
    }

    /// Returns the matrix of the shares of input pixels in output pixels; `None` for a rule or mode that is not known.
    fn shares(&self, rule: &str, mode: &Mode<'_>) -> Option<Vec<f32>> {
        let last = i64::from(self.input) - 1;
        let mut matrix = vec![0.0; self.output as usize * self.input as usize];
        for (x, row) in (0..self.output).zip(matrix.chunks_exact_mut(self.input as usize)) {
            let at = self.position(rule, x)?;
            if rule == "tf_crop_and_resize" && !(0.0..=last as f64).contains(&at) {
                // Outside of the input: the value for extrapolation, which is 0.
                continue;
            }
            let (first, part) = (at.floor(), at - at.floor());
            let shares: Vec<(i64, f64)> = match mode.kind {
                Kind::Nearest(rounding) => vec![(i64::from(rounded(rounding, at, self.input)?), 1.0)],
                Kind::Linear => vec![(first as i64, 1.0 - part), (first as i64 + 1, part)],
                Kind::Cubic(a) => {
                    let near = |t: f64| ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
                    let far = |t: f64| ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
                    let shares = [far(part + 1.0), near(part), near(1.0 - part), far(2.0 - part)];
                    shares.into_iter().enumerate().map(|(i, share)| (first as i64 - 1 + i as i64, share)).collect()
                }
            };
            let inside = |&(pixel, _): &(i64, f64)| !mode.excludes || (0..=last).contains(&pixel);
            let whole: f64 = shares.iter().filter(|share| inside(share)).map(|(_, share)| share).sum();
            for (pixel, share) in shares.iter().filter(|share| inside(share)) {
                row[(*pixel).clamp(0, last) as usize] += (share / whole) as f32;
            }
        }
        Some(matrix)
    }
}

/// How input pixels are combined.
#[derive(Debug, Clone, Copy)]
struct Mode<'a> {
    kind: Kind<'a>,
    /// Whether pixels outside of the input have no share. Otherwise they are those at its border.
    excludes: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    /// With the rule for rounding.
    Nearest(&'a str),
    Linear,
    /// With the coefficient of the cubic function.
    Cubic(f64),
}

/// Returns the pixel that a position takes.
fn rounded(mode: &str, position: f64, input: u32) -> Option<u32> {
    let at = match mode {
        "round_prefer_floor" => (position - 0.5).ceil(),
        "round_prefer_ceil" => (position + 0.5).floor(),
        "floor" => position.floor(),
        "ceil" => position.ceil(),
        _ => return None,
    };
    Some(at.clamp(0.0, f64::from(input - 1)) as u32)
}

/// Returns the sides of the output, with one entry for each dimension.
fn sides(n: &Network<'_>, node: &Node, shape: &[u32]) -> Result<Vec<Side>> {
    let rank = shape.len();
    let axes: Vec<usize> = match node.ints("axes") {
        Some(axes) => axes.iter().map(|&at| super::movement::axis(n, at, rank)).collect::<Result<_>>()?,
        None => (0..rank).collect(),
    };
    let scales = match node.attribute("scales") {
        Some(attribute) => Some(attribute.floats.clone()),
        None => n.numbers(node, if node.opset < 11 { 1 } else { 2 })?.filter(|list| !list.is_empty()),
    };
    let sizes = if node.opset < 11 { None } else { n.integers(node, 3)?.filter(|list| !list.is_empty()) };
    let crops = if node.text("coordinate_transformation_mode") == Some("tf_crop_and_resize") {
        let list = n.numbers(node, 1)?.unwrap_or_default();
        if list.len() != 2 * axes.len() {
            return Err(n.invalid("its roi has not two numbers for each dimension"));
        }
        list
    } else {
        Vec::new()
    };
    let side = |i: usize| -> Result<Side> {
        let input = shape[i];
        let Some(k) = axes.iter().position(|&axis| axis == i) else {
            return Ok(Side { input, output: input, length: input.into(), scale: 1.0, crop: [0.0, 1.0] });
        };
        let crop = if crops.is_empty() { [0.0, 1.0] } else { [crops[k].into(), crops[axes.len() + k].into()] };
        let (length, scale) = match (&scales, &sizes) {
            (_, Some(sizes)) if sizes.len() == axes.len() => {
                let length = u32::try_from(sizes[k]).map_or(0.0, f64::from);
                (length, length / f64::from(input))
            }
            (Some(scales), None) if scales.len() == axes.len() => {
                (f64::from(input as f32 * scales[k]), f64::from(scales[k]))
            }
            _ => return Err(n.invalid("it has neither sizes nor scales for all dimensions")),
        };
        if !(1.0..=f64::from(MAX_SIDE)).contains(&length) || input > MAX_SIDE {
            return Err(n.refuse(format!("sides of 1 to {MAX_SIDE}")));
        }
        Ok(Side { input, output: length as u32, length, scale, crop })
    };
    (0..rank).map(side).collect()
}

/// Returns the operator of the model file that takes the same pixels, or has the same rule.
fn native(mode: Mode<'_>, rule: &str, sides: &[Side]) -> Option<Op> {
    let whole = |side: &Side| (side.length - f64::from(side.output)).abs() <= 1e-4 * side.length;
    if mode.excludes || !sides.iter().all(whole) {
        return None;
    }
    match mode.kind {
        Kind::Nearest(rounding) => {
            let alike = |own: &(bool, bool)| {
                sides.iter().all(|side| {
                    (0..side.output).all(|x| {
                        let pixel = side.position(rule, x).and_then(|at| rounded(rounding, at, side.input));
                        pixel == Some(nearest(*own, x, side.input, side.output)) && rule != "tf_crop_and_resize"
                    })
                })
            };
            let (align_corners, half_pixel_centers) = RULES.into_iter().find(alike)?;
            Some(Op::ResizeNearest { align_corners, half_pixel_centers })
        }
        Kind::Linear => {
            let single = sides.iter().any(|side| side.output == 1 && side.input != 1);
            let (align_corners, half_pixel_centers) = match rule {
                "asymmetric" => (false, false),
                "half_pixel" => (false, true),
                "pytorch_half_pixel" if !single => (false, true),
                "align_corners" => (true, false),
                _ => return None,
            };
            Some(Op::ResizeBilinear { align_corners, half_pixel_centers })
        }
        Kind::Cubic(_) => None,
    }
}

pub(super) fn resize(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let rank = shape.len();
    if !(3..=4).contains(&rank) || shape.contains(&0) {
        return Err(n.refuse("1 or 2 spatial dimensions"));
    }
    if node.int("antialias", 0) != 0 || node.float("extrapolation_value", 0.0) != 0.0 {
        return Err(n.refuse("antialias 0 and extrapolation_value 0"));
    }
    if node.text("keep_aspect_ratio_policy").is_some_and(|policy| policy != "stretch") {
        return Err(n.refuse("all axes, stretched"));
    }
    let sides = sides(n, node, &shape)?;
    if sides[..2].iter().any(|side| side.input != side.output) {
        return Err(n.refuse("a resize of height and width alone"));
    }
    let old = node.op == "Upsample" || node.opset < 11;
    let rule = if old { "asymmetric" } else { node.text("coordinate_transformation_mode").unwrap_or("half_pixel") };
    let kind = match node.text("mode").unwrap_or("nearest") {
        "nearest" if old => Kind::Nearest("floor"),
        "nearest" => Kind::Nearest(node.text("nearest_mode").unwrap_or("round_prefer_floor")),
        "linear" => Kind::Linear,
        "cubic" => Kind::Cubic(node.float("cubic_coeff_a", -0.75).into()),
        other => return Err(n.refuse(format!("mode nearest, linear or cubic, not {other}"))),
    };
    if old && matches!(kind, Kind::Nearest(_)) && sides.iter().any(|side| side.output < side.input) {
        return Err(n.refuse("a larger output"));
    }
    let mode = Mode { kind, excludes: node.int("exclude_outside", 0) != 0 };
    let image = n.image(value)?;
    let &[batch, _, columns, channels] = &n.graph.tensors[image].shape[..] else { return Err(n.refuse("an image")) };
    let spatial = &sides[2..];
    let (high, wide) = match spatial {
        [high, wide] => (high.output, wide.output),
        [wide] => (1, wide.output),
        _ => return Err(n.refuse("an image")),
    };
    if let Some(op) = native(mode, rule, spatial) {
        let size = n.axes(&[high.into(), wide.into()])?;
        let output = n.emit(op, &[image, size], vec![batch, high, wide, channels])?;
        return Ok(vec![n.of_image(output, rank)?]);
    }
    let mut result = n.plain(image);
    for (k, side) in spatial.iter().enumerate() {
        let elements = u64::from(side.input) * u64::from(side.output);
        if elements > MAX_SHARES {
            return Err(n.refuse(format!("sides of which the product is at most {MAX_SHARES} in this mode")));
        }
        n.make(4 * elements as usize)?;
        let shares = side.shares(rule, &mode).ok_or_else(|| {
            let what = format!("mode nearest, linear or cubic by a rule that is known, not {rule}");
            n.refuse(what)
        })?;
        let shares = Value::Constant(Constant::floats(&[side.output, side.input], &shares));
        let (before, after) = if k + 1 == spatial.len() {
            let rows = if spatial.len() == 2 { high } else { 1 };
            (batch.checked_mul(rows).ok_or_else(|| n.refuse("smaller images"))?, channels)
        } else {
            (batch, columns.checked_mul(channels).ok_or_else(|| n.refuse("smaller images"))?)
        };
        let matrices = n.with_shape(&result, vec![before, side.input, after])?;
        result = n.product([&shares, &matrices], ["", ""], [false, false])?;
    }
    let result = n.with_shape(&result, vec![batch, high, wide, channels])?;
    let output = n.in_order(&result, "")?;
    Ok(vec![n.of_image(output, rank)?])
}

#[cfg(test)]
mod tests {
    use super::{Kind, Mode, Side};

    #[test]
    fn the_shares_of_a_pixel_are_one_in_all() {
        for (input, output) in [(4, 3), (4, 8), (1, 5), (7, 2)] {
            let (length, scale) = (f64::from(output), f64::from(output) / f64::from(input));
            let side = Side { input, output, length, scale, crop: [0.0, 1.0] };
            for kind in [Kind::Nearest("floor"), Kind::Linear, Kind::Cubic(-0.75)] {
                for rule in ["half_pixel", "asymmetric", "align_corners", "tf_crop_and_resize"] {
                    let shares = side.shares(rule, &Mode { kind, excludes: true }).unwrap();
                    for row in shares.chunks_exact(input as usize) {
                        let sum: f32 = row.iter().sum();
                        assert!((sum - 1.0).abs() < 1e-6, "{kind:?} {rule}: {row:?}");
                    }
                }
            }
        }
    }
}
