//! Operators that are custom ones in a file, by the name that it calls them: those of MediaPipe's networks and of
//! detectors. Those that make features of sound have a file of their own, `signal.rs`.
//!
//! Their options are bytes in a form that each defines itself.

use super::flexbuffer::Map;
use crate::diag::{CompileError, Result};
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor};
use crate::ir::{Activation, Op, Padding, Window};
use crate::pass::expand::detections::shapes;
use tealight_format::ops::{DetectionsF32, LandmarksToTransformF32};

/// One operator.
pub(super) struct Row {
    /// Its name in a file.
    pub(super) name: &'static str,
    /// Turns the node into one of a neutral operator.
    pub(super) build: fn(&mut Graph, &mut Node, &[u8]) -> Result<()>,
}

const OPERATORS: &[Row] = &[
    Row { name: "Convolution2DTransposeBias", build: conv_transpose2d_with_bias },
    Row { name: "Landmarks2TransformMatrix", build: landmarks_to_transform },
    Row { name: "MaxPoolingWithArgmax2D", build: max_pool_with_indices },
    Row { name: "MaxUnpooling2D", build: max_unpool },
    Row { name: "TFLite_Detection_PostProcess", build: detections },
    Row { name: "TransformLandmarks", build: transform_landmarks },
    Row { name: "TransformTensorBilinear", build: transform_bilinear },
];

/// Returns the row of the operator `name`.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    OPERATORS.iter().find(|row| row.name == name)
}

/// The names of all rows.
#[cfg(test)]
pub(super) fn names() -> String {
    names_of(OPERATORS)
}

/// The names of these rows.
#[cfg(test)]
pub(super) fn names_of(rows: &[Row]) -> String {
    rows.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
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

/// The window of a pooling operator. Options: padding (1 same, 2 valid), horizontal stride, vertical stride, width, height,
/// activation.
fn pool_window(graph: &Graph, node: &Node, options: &[u8]) -> Result<Window> {
    let mut words = [0; 6];
    for (i, word) in words.iter_mut().enumerate() {
        *word = self::word(options, i).ok_or_else(|| options_missing(graph, node))?;
    }
    let [padding, horizontal, vertical, width, height, activation] = words;
    let padding = match padding {
        1 => Padding::Same,
        2 => Padding::Valid,
        other => return Err(graph.invalid(node, format!("its padding is {other}"))),
    };
    if activation != 0 {
        return Err(graph.unsupported(node, format!("no fused activation, not {activation}")));
    }
    Ok(Window {
        padding,
        stride: [vertical, horizontal],
        dilation: [1, 1],
        size: [height, width],
        explicit: [0; 4],
        activation: Activation::None,
    })
}

/// A pooling with a second output: the places of the maxima, which become an operator of their own.
fn max_pool_with_indices(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let window = pool_window(graph, node, options)?;
    let (&[input], &[maxima, places]) = (&node.inputs[..], &node.outputs[..]) else {
        return Err(graph.invalid(node, "it does not have one input and two outputs"));
    };
    let op = NodeOp::Ir(Op::MaxPoolIndices(window));
    graph.nodes.push(Node { op, inputs: vec![input], outputs: vec![places], origin: node.origin });
    node.op = NodeOp::Ir(Op::MaxPool2d(window));
    node.outputs = vec![maxima];
    Ok(())
}

/// Inputs: maxima, places.
fn max_unpool(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let window = pool_window(graph, node, options)?;
    if (node.inputs.len(), node.outputs.len()) != (2, 1) {
        return Err(graph.invalid(node, "it does not have two inputs and one output"));
    }
    node.op = NodeOp::Ir(Op::MaxUnpool(window));
    Ok(())
}

/// Version 2 of the operator. Options: a map. Input: landmarks; output: a matrix.
fn landmarks_to_transform(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let map = map_of(graph, node, options)?;
    let missing = |key: &str| {
        let what = format!("its option {key} is missing; accepted: version 2 of the operator");
        graph.invalid(node, what)
    };
    let number = |key: &str| map.number(key).ok_or_else(|| missing(key));
    let whole = |key: &str, least: f64| match number(key)? {
        value if (least..=16_777_216.0).contains(&value) && value.fract() == 0.0 => Ok(value as i32),
        value => Err(graph.invalid(node, format!("its option {key} is {value}"))),
    };
    let real = |key: &str, least: f64| match number(key)? {
        value if value.is_finite() && value >= least && (value as f32).is_finite() => Ok(value as f32),
        value => Err(graph.invalid(node, format!("its option {key} is {value}"))),
    };
    let subset = map.integers("subset_idxs").ok_or_else(|| missing("subset_idxs"))?;
    if subset.is_empty() {
        return Err(graph.invalid(node, "its option subset_idxs has no indices"));
    }
    let mut indices = Vec::with_capacity(subset.len());
    for index in subset {
        match i32::try_from(index) {
            Ok(index) if index >= 0 => indices.push(index),
            _ => return Err(graph.invalid(node, format!("its option subset_idxs has {index}"))),
        }
    }
    let attrs = LandmarksToTransformF32 {
        ends: [whole("left_rotation_idx", 0.0)?, whole("right_rotation_idx", 0.0)?],
        size: [whole("output_height", 1.0)?, whole("output_width", 1.0)?],
        scale: [real("scale_x", f64::from(f32::MIN_POSITIVE))?, real("scale_y", f64::from(f32::MIN_POSITIVE))?],
        angle: real("target_rotation_radians", f64::from(f32::MIN))?,
    };
    let (&[input], &[output]) = (&node.inputs[..], &node.outputs[..]) else {
        return Err(graph.invalid(node, "it does not have one input and one output"));
    };
    let count = u32::try_from(indices.len()).unwrap_or(u32::MAX);
    let bytes: Vec<u8> = indices.into_iter().flat_map(i32::to_le_bytes).collect();
    let name = format!("{}/subset", graph.tensors[output].name);
    let subset = graph.add(Tensor::constant(name, ElementType::I32, vec![count], bytes));
    node.inputs = vec![input, Some(subset)];
    node.op = NodeOp::Ir(Op::LandmarksToTransform(attrs));
    Ok(())
}

/// Version 2 of the operator. Options: a map. Inputs: an image, a matrix.
fn transform_bilinear(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let map = map_of(graph, node, options)?;
    let size = ["output_height", "output_width"].map(|key| map.number(key));
    let (&[Some(_), Some(_)], &[output]) = (&node.inputs[..], &node.outputs[..]) else {
        return Err(graph.invalid(node, "it does not have two inputs and one output"));
    };
    let stored = graph.tensors[output].shape.get(1..3).map(|size| [size[0], size[1]].map(|side| Some(f64::from(side))));
    if Some(size) != stored {
        let what = format!("its output {} has another size than its options: {size:?}", graph.describe(output));
        return Err(graph.invalid(node, what));
    }
    node.op = NodeOp::Ir(Op::TransformBilinear);
    Ok(())
}

/// Version 2 of the operator, which has no options. Inputs: landmarks, a matrix.
fn transform_landmarks(graph: &mut Graph, node: &mut Node, _: &[u8]) -> Result<()> {
    if (node.inputs.len(), node.outputs.len()) != (2, 1) {
        return Err(graph.invalid(node, "it does not have two inputs and one output"));
    }
    node.op = NodeOp::Ir(Op::TransformLandmarks);
    Ok(())
}

/// The maximum length of options that are a map, which takes some 200 bytes, or 2,000 with a list of indices.
const MAX_MAP: usize = 1 << 14;

/// Returns options that are a map.
pub(super) fn map_of<'a>(graph: &Graph, node: &Node, options: &'a [u8]) -> Result<Map<'a>> {
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

    /// The operators of the model file that one of MediaPipe becomes, with tensors of these shapes.
    fn mediapipe(name: &str, inputs: &[&[u32]], outputs: &[&[u32]], options: &[u8]) -> Result<Vec<Operator>> {
        let mut b = Builder::default();
        let ids = |b: &mut Builder, shapes: &[&[u32]]| shapes.iter().map(|shape| b.f32(shape)).collect::<Vec<_>>();
        let (inputs, outputs) = (ids(&mut b, inputs), ids(&mut b, outputs));
        b.graph.inputs.extend(&inputs);
        b.graph.outputs.extend(&outputs);
        b.node(Op::Unknown { name: format!("CUSTOM {name}") }, &inputs, &outputs);
        let mut graph = b.graph;
        let mut node = graph.nodes.remove(0);
        (row(name).unwrap().build)(&mut graph, &mut node, options)?;
        graph.nodes.push(node);
        let mut operators = Vec::new();
        compile_graph(graph, "test", b"", &Options::default(), &mut |_, graph| {
            let kernels = graph.nodes.iter().filter_map(|node| match node.op {
                NodeOp::Kernel(operator) => Some(operator),
                NodeOp::Ir(_) => None,
            });
            operators = kernels.collect();
        })?;
        Ok(operators)
    }

    fn refused(operators: Result<Vec<Operator>>, expected: &str) {
        let error = operators.unwrap_err().to_string();
        assert!(error.contains(expected), "no `{expected}` in: {error}");
    }

    #[test]
    fn pools_with_places_have_the_windows_of_their_options() {
        let words = |words: [i32; 6]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let pool =
            |options: &[u8], to: &[u32]| mediapipe("MaxPoolingWithArgmax2D", &[&[1, 6, 6, 2]], &[to, to], options);
        let operators = pool(&words([1, 2, 3, 2, 3, 0]), &[1, 2, 3, 2]).unwrap();
        for operator in &operators {
            let (window, stride) = match operator {
                Operator::MaxPoolIndices2dF32(places) => (places.0.window, places.0.stride),
                Operator::MaxPool2dF32(pool) => (pool.window, pool.stride),
                other => panic!("{other:?}"),
            };
            assert_eq!((window, stride), ([3, 2], [3, 2]));
        }
        assert_eq!(operators.len(), 2);
        refused(pool(&words([0, 2, 2, 2, 2, 0]), &[1, 3, 3, 2]), "its padding is 0");
        refused(pool(&words([1, 2, 2, 2, 2, 1]), &[1, 3, 3, 2]), "no fused activation, not 1");
        refused(pool(&words([1, 2, 2, 2, 2, 0])[..20], &[1, 3, 3, 2]), "cut off");
        refused(pool(&words([1, 2, 2, 2, 2, 0]), &[1, 2, 3, 2]), "its output has 2 rows");
        refused(pool(&words([1, 2, 2, 0, 2, 0]), &[1, 3, 3, 2]), "below 1");
        let unpool =
            |options, to: &[u32]| mediapipe("MaxUnpooling2D", &[&[1, 3, 3, 2], &[1, 3, 3, 2]], &[to], &words(options));
        assert!(unpool([1, 2, 2, 2, 2, 0], &[1, 6, 6, 2]).is_ok());
        refused(unpool([1, 2, 2, 2, 2, 0], &[1, 6, 5, 2]), "do not fit its shapes");
        refused(unpool([1, 2, 0, 2, 2, 0], &[1, 6, 6, 2]), "a stride of 0");
        refused(unpool([1, 2, i32::MAX, 2, i32::MAX, 0], &[1, 6, 6, 2]), "do not fit its shapes");
    }

    #[test]
    fn transforms_by_landmarks_need_the_options_of_version_2() {
        let options = |change: &[(&str, f64)], subset: &[i64]| {
            let mut values = std::collections::BTreeMap::from([
                ("left_rotation_idx", 0.0),
                ("right_rotation_idx", 1.0),
                ("target_rotation_radians", 0.5),
                ("output_height", 8.0),
                ("output_width", 4.0),
                ("scale_x", 1.5),
                ("scale_y", 1.25),
            ]);
            values.extend(change.iter().copied());
            let mut map = flexbuffers::Builder::default();
            let mut fields = map.start_map();
            for (key, value) in values {
                if value == value.trunc() { fields.push(key, value as i64) } else { fields.push(key, value) }
            }
            fields.push("subset_idxs", subset);
            fields.end_map();
            map.view().to_vec()
        };
        let matrix = |options: &[u8]| mediapipe("Landmarks2TransformMatrix", &[&[1, 5, 3]], &[&[1, 4, 4]], options);
        let operators = matrix(&options(&[], &[4, 2, 0])).unwrap();
        let [Operator::LandmarksToTransformF32(of)] = operators[..] else { panic!("{operators:?}") };
        assert_eq!((of.ends, of.size, of.scale, of.angle), ([0, 1], [8, 4], [1.5, 1.25], 0.5));
        refused(matrix(&[]), "its options are missing");
        refused(matrix(&options(&[], &[])), "subset_idxs has no indices");
        refused(matrix(&options(&[], &[0, 5])), "it names landmark 5 of 5");
        refused(matrix(&options(&[], &[0, -1])), "subset_idxs has -1");
        refused(matrix(&options(&[("right_rotation_idx", 5.0)], &[0])), "it names landmark 5 of 5");
        for (key, value) in
            [("output_width", 0.0), ("output_height", 2.5), ("scale_x", 0.0), ("left_rotation_idx", -1.0)]
        {
            refused(matrix(&options(&[(key, value)], &[0])), &format!("its option {key} is {value}"));
        }
        let image = |options: &[u8], to: &[u32]| {
            mediapipe("TransformTensorBilinear", &[&[1, 9, 9, 2], &[1, 4, 4]], &[to], options)
        };
        assert!(image(&options(&[], &[0]), &[1, 8, 4, 2]).is_ok());
        refused(image(&options(&[], &[0]), &[1, 4, 8, 2]), "has another size than its options");
        refused(image(&options(&[], &[0]), &[8]), "has another size than its options");
        refused(image(&options(&[], &[0]), &[1, 8, 4, 3]), "does not fit");
        refused(image(&[1, 2, 3], &[1, 8, 4, 2]), "its options are missing");
        let places = |shape: &[u32], matrix: &[u32]| mediapipe("TransformLandmarks", &[shape, matrix], &[shape], &[]);
        assert!(places(&[1, 5, 3], &[1, 4, 4]).is_ok() && places(&[1, 5, 2], &[16]).is_ok());
        for (shape, matrix, expected) in [
            (&[1, 5, 4][..], &[1, 4, 4][..], "landmarks `[1, n, 2]` or `[1, n, 3]`"),
            (&[1, 1, 1, 15], &[1, 4, 4], "landmarks `[1, n, 2]`"),
            (&[2, 5, 3], &[1, 4, 4], "one list of landmarks"),
            (&[1, 5, 3], &[1, 3, 4], "a matrix"),
        ] {
            refused(places(shape, matrix), expected);
        }
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
            let node = b.graph.nodes.remove(0);
            for row in OPERATORS {
                let _ = (row.build)(&mut b.graph, &mut node.clone(), &options);
            }
        }
    }
}
