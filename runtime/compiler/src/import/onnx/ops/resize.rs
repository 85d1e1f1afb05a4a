//! Resize and Upsample.
//!
//! ONNX has many rules for where an output pixel lies in the input. A resize to nearest is compiled if one of the rules
//! of the model file takes the same pixels, a linear one if its rule is the same.

use super::Outputs;
use crate::import::onnx::network::{Network, Node};
use crate::ir::Op;

/// The rules of the model file: aligned corners, half-pixel centres.
const RULES: [(bool, bool); 3] = [(false, false), (false, true), (true, false)];

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

/// Returns the position in the input of output pixel `x`; `None` for a rule that is not known.
fn position(rule: &str, x: u32, input: u32, output: u32, scale: f64) -> Option<f64> {
    let (x, input, output) = (f64::from(x), f64::from(input), f64::from(output));
    Some(match rule {
        "asymmetric" => x / scale,
        "half_pixel" => (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel" if output > 1.0 => (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel" => 0.0,
        "tf_half_pixel_for_nn" => (x + 0.5) / scale,
        "align_corners" if output > 1.0 => x * (input - 1.0) / (output - 1.0),
        "align_corners" => 0.0,
        _ => return None,
    })
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

pub(super) fn resize(n: &mut Network<'_>, node: &Node) -> Outputs {
    let value = n.input(node, 0)?;
    let shape = n.shape(value);
    let rank = shape.len();
    if !(3..=4).contains(&rank) || shape.contains(&0) {
        return Err(n.refuse("1 or 2 spatial dimensions"));
    }
    for (name, value) in [("antialias", 0), ("exclude_outside", 0)] {
        if node.int(name, 0) != value {
            return Err(n.refuse(format!("{name} {value}")));
        }
    }
    if node.ints("axes").is_some() || node.text("keep_aspect_ratio_policy").is_some_and(|policy| policy != "stretch") {
        return Err(n.refuse("all axes, stretched"));
    }
    let scales = match node.attribute("scales") {
        Some(attribute) => Some(attribute.floats.clone()),
        None => n.numbers(node, if node.opset < 11 { 1 } else { 2 })?.filter(|list| !list.is_empty()),
    };
    let sizes = if node.opset < 11 { None } else { n.integers(node, 3)?.filter(|list| !list.is_empty()) };
    let (mut sides, mut factors) = (Vec::new(), Vec::new());
    for (i, &input) in shape.iter().enumerate() {
        let output = match (&scales, &sizes) {
            (_, Some(sizes)) if sizes.len() == rank => u32::try_from(sizes[i]).unwrap_or(0),
            (Some(scales), None) if scales.len() == rank => {
                let exact = f64::from(input) * f64::from(scales[i]);
                if (exact - exact.round()).abs() > 1e-4 * exact {
                    return Err(n.refuse(format!("scales that give whole sizes, not {} of {input}", scales[i])));
                }
                exact.round() as u32
            }
            _ => return Err(n.invalid("it has neither sizes nor scales for all dimensions")),
        };
        if output == 0 || output > MAX_SIDE || input > MAX_SIDE {
            return Err(n.refuse(format!("sides of 1 to {MAX_SIDE}")));
        }
        factors.push(f64::from(output) / f64::from(input));
        sides.push(output);
    }
    if sides[..2] != shape[..2] {
        return Err(n.refuse("a resize of height and width alone"));
    }
    let old = node.op == "Upsample" || node.opset < 11;
    let rule = if old { "asymmetric" } else { node.text("coordinate_transformation_mode").unwrap_or("half_pixel") };
    let spatial = 2..rank;
    let mode = node.text("mode").unwrap_or("nearest");
    let op = match mode {
        "nearest" => {
            let rounding = if old { "floor" } else { node.text("nearest_mode").unwrap_or("round_prefer_floor") };
            if old && sides.iter().zip(&shape).any(|(output, input)| output < input) {
                return Err(n.refuse("a larger output"));
            }
            let alike = |own: &(bool, bool)| {
                spatial.clone().all(|i| {
                    (0..sides[i]).all(|x| {
                        let at = position(rule, x, shape[i], sides[i], factors[i]);
                        let pixel = at.and_then(|at| rounded(rounding, at, shape[i]));
                        pixel == Some(nearest(*own, x, shape[i], sides[i]))
                    })
                })
            };
            let found = RULES.into_iter().find(|own| alike(own));
            let (align_corners, half_pixel_centers) = found.ok_or_else(|| {
                let other =
                    "asymmetric with floor, half_pixel with round_prefer_ceil, or align_corners with round_prefer_ceil";
                n.refuse(format!(
                    "a rule that takes the same pixels as {other}; not {rule} with {rounding} for these sizes"
                ))
            })?;
            Op::ResizeNearest { align_corners, half_pixel_centers }
        }
        "linear" => {
            let single = spatial.clone().any(|i| sides[i] == 1 && shape[i] != 1);
            let (align_corners, half_pixel_centers) = match rule {
                "asymmetric" => (false, false),
                "half_pixel" => (false, true),
                "pytorch_half_pixel" if !single => (false, true),
                "align_corners" => (true, false),
                other => {
                    return Err(n.refuse(format!(
                        "rule asymmetric, half_pixel, pytorch_half_pixel or align_corners, not {other}"
                    )));
                }
            };
            Op::ResizeBilinear { align_corners, half_pixel_centers }
        }
        other => return Err(n.refuse(format!("mode nearest or linear, not {other}"))),
    };
    let image = n.image(value)?;
    let &[batch, _, _, channels] = &n.graph.tensors[image].shape[..] else { return Err(n.refuse("an image")) };
    let (rows, columns) = if rank == 4 { (sides[2], sides[3]) } else { (1, sides[2]) };
    let size = n.axes(&[rows.into(), columns.into()])?;
    let output = n.emit(op, &[image, size], vec![batch, rows, columns, channels])?;
    Ok(vec![n.of_image(output, rank)?])
}
