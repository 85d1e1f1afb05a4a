//! Operators that are custom ones in a file, by the name that it calls them: those of MediaPipe's networks and of detectors.
//!
//! Their options are bytes in a form that each defines itself.

use super::flexbuffer::Map;
use crate::diag::{CompileError, Result};
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor};
use crate::ir::{Activation, Op, Padding, Window};
use crate::pass::expand::detections::shapes;
use tealight_format::ops::DetectionsF32;

/// One operator.
pub(super) struct Row {
    /// Its name in a file.
    pub(super) name: &'static str,
    /// Turns the node into one of a neutral operator.
    pub(super) build: fn(&mut Graph, &mut Node, &[u8]) -> Result<()>,
}

const OPERATORS: &[Row] = &[
    Row { name: "Convolution2DTransposeBias", build: conv_transpose2d_with_bias },
    Row { name: "TFLite_Detection_PostProcess", build: detections },
];

/// Returns the row of the operator `name`.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    OPERATORS.iter().find(|row| row.name == name)
}

/// The names of all rows.
#[cfg(test)]
pub(super) fn names() -> String {
    OPERATORS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

/// Word `i` of the options.
fn word(options: &[u8], i: usize) -> Option<i32> {
    options.get(4 * i..)?.first_chunk().map(|bytes| i32::from_le_bytes(*bytes))
}

fn options_missing(graph: &Graph, node: &Node) -> CompileError {
    graph.invalid(node, "its options are missing or cut off")
}

/// A transposed convolution. Options: padding (1 same, 2 valid), horizontal stride, vertical stride. Inputs: activations,
/// weights OHWI, bias.
fn conv_transpose2d_with_bias(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let words = word(options, 0).zip(word(options, 1)).zip(word(options, 2));
    let ((padding, horizontal), vertical) = words.ok_or_else(|| options_missing(graph, node))?;
    let padding = match padding {
        1 => Padding::Same,
        2 => Padding::Valid,
        other => return Err(graph.invalid(node, format!("its padding is {other}"))),
    };
    let (&[input, weights, bias], &[output]) = (&node.inputs[..], &node.outputs[..]) else {
        return Err(graph.invalid(node, "it does not have three inputs and one output"));
    };
    // TensorFlow Lite's own operator states the output's shape as its first input.
    let target = &graph.tensors[output];
    let dims: Vec<u8> = target.shape.iter().flat_map(|dim| dim.to_le_bytes()).collect();
    let rank = u32::try_from(target.shape.len()).unwrap_or(u32::MAX);
    let mut shape = Tensor::computed(format!("{}/shape", target.name), ElementType::I32, vec![rank]);
    shape.content = Content::Constant(dims.into());
    let shape = graph.add(shape);
    node.op = NodeOp::Ir(Op::ConvTranspose2d(Window {
        padding,
        stride: [vertical, horizontal],
        dilation: [1, 1],
        size: [0, 0],
        explicit: [0; 4],
        activation: Activation::None,
    }));
    node.inputs = vec![Some(shape), weights, input, bias];
    Ok(())
}

/// The maximum length of options that are a map, which takes some 200 bytes.
const MAX_MAP: usize = 1 << 14;

/// Returns options that are a map.
fn map_of<'a>(graph: &Graph, node: &Node, options: &'a [u8]) -> Result<Map<'a>> {
    let map = Map::read(options).filter(|_| options.len() <= MAX_MAP);
    map.ok_or_else(|| options_missing(graph, node))
}

/// What a detector does after its network. Options: a map in the FlexBuffers form. Inputs: boxes `[1, n, 4]`, scores
/// `[1, n, c]`, anchors `[n, 4]`; outputs: boxes, classes, scores, number of detections.
fn detections(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let map = map_of(graph, node, options)?;
    let needed = |key: &str| map.number(key).ok_or_else(|| graph.invalid(node, format!("its option {key} is missing")));
    let count = |key: &str, value: f64| match value {
        value if (1.0..65536.0).contains(&value) && value.fract() == 0.0 => Ok(value as i32),
        value => Err(graph.invalid(node, format!("its option {key} is {value}"))),
    };
    let apart = map.number("use_regular_nms").is_some_and(|apart| apart != 0.0);
    let per_class = match map.number("detections_per_class") {
        _ if !apart => 0,
        None => 100,
        Some(value) => count("detections_per_class", value)?,
    };
    if !apart && needed("max_classes_per_detection")? != 1.0 {
        return Err(graph.unsupported(node, "a max_classes_per_detection of 1"));
    }
    let classes = count("num_classes", needed("num_classes")?)?;
    let columns = node.inputs.get(1).copied().flatten().and_then(|id| graph.tensors[id].shape.last().copied());
    let background = match columns.map(|columns| i64::from(columns) - i64::from(classes)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(graph.invalid(node, format!("it has {classes} classes, and {columns:?} scores of an anchor"))),
    };
    let mut scales = [1.0; 4];
    for (scale, key) in scales.iter_mut().zip(["y_scale", "x_scale", "h_scale", "w_scale"]) {
        *scale = needed(key)? as f32;
        if !scale.is_finite() || *scale == 0.0 {
            return Err(graph.invalid(node, format!("its option {key} is {scale}")));
        }
    }
    let (score, overlap) = (needed("nms_score_threshold")? as f32, needed("nms_iou_threshold")? as f32);
    if score.is_nan() || !(overlap > 0.0 && overlap <= 1.0) {
        return Err(graph.invalid(node, format!("its thresholds are {score} and {overlap}")));
    }
    let count = count("max_detections", needed("max_detections")?)?;
    let detections = DetectionsF32 { count, per_class, background, score, overlap, scales };
    if (node.inputs.len(), node.outputs.len()) != (3, 4) {
        return Err(graph.invalid(node, "it does not have three inputs and four outputs"));
    }
    // Older files do not state the shapes.
    for (&output, shape) in node.outputs.iter().zip(shapes(&detections)) {
        graph.tensors[output].shape = shape;
        graph.signatures.remove(&output);
    }
    node.op = NodeOp::Ir(Op::Detections(detections));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::compile_graph;
    use crate::options::Options;
    use crate::testing::{Builder, lower};
    use tealight::OwnedSession;
    use tealight_format::Operator;
    use tealight_testing::rng::Rng;

    /// A network of one `Convolution2DTransposeBias` with these options, as it is read.
    fn imported(options: &[i32]) -> Result<Graph> {
        let mut b = Builder::default();
        let (x, y) = (b.f32(&[1, 2, 3, 1]), b.f32(&[1, 4, 9, 2]));
        b.graph.inputs.push(x);
        let (weights, bias) = (b.f32_constant(&[2, 2, 3, 1], &[0.5; 12]), b.f32_constant(&[2], &[1.0, 2.0]));
        b.node(Op::Unknown { name: "CUSTOM Convolution2DTransposeBias".into() }, &[x, weights, bias], &[y]);
        let mut graph = b.output(y);
        let mut node = graph.nodes.remove(0);
        let options: Vec<u8> = options.iter().flat_map(|word| word.to_le_bytes()).collect();
        (row("Convolution2DTransposeBias").unwrap().build)(&mut graph, &mut node, &options)?;
        graph.nodes.push(node);
        Ok(graph)
    }

    #[test]
    fn a_transposed_convolution_has_its_bias_and_the_strides_of_its_options() {
        let graph = lower(imported(&[1, 3, 2]).unwrap()).unwrap();
        let node = &graph.nodes[0];
        let NodeOp::Kernel(Operator::ConvTranspose2dF32(conv)) = node.op else { panic!("{:?}", node.op) };
        assert_eq!((conv.stride, conv.pad), ([2, 3], [0, 0]));
        let names: Vec<_> = node.inputs.iter().map(|id| graph.tensors[id.unwrap()].shape.clone()).collect();
        assert_eq!(names, [vec![1, 2, 3, 1], vec![2, 2, 3, 1], vec![2]]);
    }

    #[test]
    fn options_that_are_cut_off_or_unknown_are_refused() {
        for (options, expected) in [(&[1, 3][..], "cut off"), (&[0, 3, 2], "its padding is 0"), (&[], "missing")] {
            let error = imported(options).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("Convolution2DTransposeBias"), "{error}");
        }
    }

    /// The post-processing of three int8 boxes and scores, with these options beside those that it needs.
    fn detector(change: &[(&str, f64)]) -> Result<Graph> {
        let mut b = Builder::default();
        let (boxes, scores) = (b.int8_with(&[1, 3, 4], 0.1, 5), b.int8_with(&[1, 3, 2], 1.0 / 256.0, -128));
        let anchors = b.f32_constant(&[3, 4], &[0.5, 0.5, 1.0, 1.0, 0.5, 0.6, 1.0, 1.0, 5.0, 5.0, 1.0, 1.0]);
        b.graph.inputs.extend([boxes, scores]);
        let outputs: Vec<_> = (0..4).map(|_| b.f32(&[])).collect();
        b.node(Op::Unknown { name: "CUSTOM TFLite_Detection_PostProcess".into() }, &[boxes, scores, anchors], &outputs);
        b.graph.outputs.extend(&outputs);
        let mut options = std::collections::BTreeMap::from([
            ("max_detections", 2.0),
            ("max_classes_per_detection", 1.0),
            ("num_classes", 1.0),
            ("nms_score_threshold", 0.25),
            ("nms_iou_threshold", 0.5),
            ("y_scale", 10.0),
            ("x_scale", 10.0),
            ("h_scale", 5.0),
            ("w_scale", 5.0),
        ]);
        options.extend(change.iter().copied());
        let mut map = flexbuffers::Builder::default();
        let mut fields = map.start_map();
        for (key, value) in options {
            if value == value.trunc() { fields.push(key, value as i64) } else { fields.push(key, value) }
        }
        fields.end_map();
        let mut graph = b.graph;
        let mut node = graph.nodes.remove(0);
        (row("TFLite_Detection_PostProcess").unwrap().build)(&mut graph, &mut node, map.view())?;
        graph.nodes.push(node);
        Ok(graph)
    }

    #[test]
    fn detections_of_codes_have_the_shapes_that_their_options_state() {
        let compiled = compile_graph(detector(&[]).unwrap(), "test", b"", &Options::default(), &mut |_, _| {}).unwrap();
        let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
        // Boxes where their anchors are, of which the second overlaps the first; the third is far off.
        session.input(0).unwrap().copy_from_bytes(&[5; 12]).unwrap();
        session.input(1).unwrap().copy_from_bytes(&[127, 100, 127, 90, 127, 200]).unwrap();
        session.run();
        let output = |k: usize| -> Vec<f32> {
            let bytes = session.output(k).unwrap().as_bytes().as_chunks().0.to_vec();
            bytes.into_iter().map(f32::from_le_bytes).collect()
        };
        assert_eq!(output(0), [0.0, 0.0, 1.0, 1.0, 4.5, 4.5, 5.5, 5.5]);
        assert_eq!(output(1), [0.0, 0.0]);
        assert_eq!(output(2), [228.0 / 256.0, 72.0 / 256.0]);
        assert_eq!(output(3), [2.0]);
    }

    #[test]
    fn detections_with_options_out_of_range_are_refused() {
        for (key, value, expected) in [
            ("max_classes_per_detection", 2.0, "a max_classes_per_detection of 1"),
            ("num_classes", 3.0, "it has 3 classes"),
            ("max_detections", 0.0, "max_detections is 0"),
            ("max_detections", 2.5, "max_detections is 2.5"),
            ("nms_iou_threshold", 0.0, "its thresholds"),
            ("h_scale", 0.0, "h_scale is 0"),
        ] {
            let error = detector(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("TFLite_Detection_PostProcess"), "{error}");
        }
        let apart = detector(&[("use_regular_nms", 1.0), ("max_classes_per_detection", 2.0)]).unwrap();
        let NodeOp::Ir(Op::Detections(of)) = &apart.nodes[0].op else { panic!() };
        assert_eq!((of.per_class, of.background), (100, true));
    }

    #[test]
    fn options_of_any_bytes_are_an_error_or_options() {
        let mut rng = Rng(7);
        for _ in 0..20_000 {
            let len = rng.below(60);
            let options: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
            let mut b = Builder::default();
            let ids: Vec<_> = (0..7).map(|_| b.f32(&[1, 3, 4])).collect();
            b.node(Op::Unknown { name: "CUSTOM TFLite_Detection_PostProcess".into() }, &ids[..3], &ids[3..]);
            let mut node = b.graph.nodes.remove(0);
            let _ = (row("TFLite_Detection_PostProcess").unwrap().build)(&mut b.graph, &mut node, &options);
        }
    }
}
