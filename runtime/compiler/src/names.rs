//! Short, readable, unique names for constants, derived from the names that converters write.

use crate::ir::graph::{ElementType, Graph, Node, NodeOp, TensorId};
use std::collections::{HashMap, HashSet};
use tealight_format::OpCode;
use tealight_format::ops::{Input, Role};

/// The names that are in use.
pub(crate) struct Names {
    taken: HashSet<String>,
    /// The number of the next candidate to try, by the first candidate; all before it are in use.
    next: HashMap<String, usize>,
    /// Whether the source's names are kept.
    as_given: bool,
}

/// The maximum length of a name's stem.
const MAX_STEM: usize = 40;

/// Path segments that do not help to identify a layer.
const NOISE: [&str; 8] = ["depthwise", "resource", "kernel", "weights", "weight", "bias", "filter", "w"];

/// Names that converters use for constants without a name.
const NAMELESS: [&str; 3] = ["pseudo_qconst", "pseudo_const", "arith_constant"];

/// Names of layers that are fused into the layer that a constant belongs to.
const FUSED: [&str; 3] = ["batch_normalization", "activation", "re_lu"];

impl Names {
    pub(crate) fn new(as_given: bool) -> Self {
        // The name of the plan itself.
        Self { taken: HashSet::from(["plan".to_string()]), next: HashMap::new(), as_given }
    }

    /// Returns a name for input `k` of `node`, a constant.
    pub(crate) fn constant(&mut self, graph: &Graph, node: &Node, k: usize) -> String {
        let own = node.inputs.get(k).copied().flatten().filter(|_| self.as_given);
        if let Some(name) = own.and_then(|id| sanitized(&graph.tensors[id].name)) {
            return self.free(|count| if count == 1 { name.clone() } else { format!("{name}_{count}") });
        }
        let operator = match &node.op {
            NodeOp::Kernel(operator) => Some(operator),
            NodeOp::Ir(_) => None,
        };
        let own = node.inputs.get(k).copied().flatten();
        let inputs = operator.map_or(&[][..], |operator| operator.code().inputs());
        let (role, named_by) = match inputs.get(k).or(inputs.last()) {
            // A table is named after the operator's output; constants that belong to weights are named after the
            // weights.
            Some(Input { role: Role::Table, name }) => (*name, node.outputs.first().copied()),
            Some(Input { name: Input::CONSTANT, .. }) => (Input::CONSTANT, own),
            // With int8 weights of a float layer, the scale and the bias of each channel.
            Some(Input { role: Role::Bias, .. }) if has_codes(graph, node) => {
                ("channels", node.inputs.get(1).copied().flatten())
            }
            Some(Input { name, .. }) => (*name, node.inputs.get(1).copied().flatten()),
            None => (Input::CONSTANT, own),
        };
        let kind = || operator.map_or("node".to_string(), |operator| kind(operator.code()));
        let stem = named_by.and_then(|id| stem(&graph.tensors[id].name)).unwrap_or_else(kind);
        self.unique(&stem, role)
    }

    /// Returns a name for the initial value of state `id`.
    pub(crate) fn initial(&mut self, graph: &Graph, id: TensorId) -> String {
        let stem = stem(&graph.tensors[id].name).unwrap_or_else(|| "state".to_string());
        self.unique(&stem, "initial")
    }

    /// Reserves `name` for another use.
    pub(crate) fn reserve(&mut self, name: &str) {
        self.taken.insert(name.to_string());
    }

    fn unique(&mut self, stem: &str, role: &str) -> String {
        self.free(|count| if count == 1 { format!("{stem}.{role}") } else { format!("{stem}_{count}.{role}") })
    }

    /// Returns the first of `candidates`, which count from 1, that is not in use.
    fn free(&mut self, candidates: impl Fn(usize) -> String) -> String {
        let count = self.next.entry(candidates(1)).or_insert(1);
        loop {
            let name = candidates(*count);
            *count += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// Returns whether `node` computes in float32 with int8 or int4 weights.
fn has_codes(graph: &Graph, node: &Node) -> bool {
    let dtype = |k: usize| node.inputs.get(k).copied().flatten().map(|id| graph.tensors[id].dtype);
    dtype(0) == Some(ElementType::F32) && matches!(dtype(1), Some(ElementType::I4 | ElementType::I8))
}

/// Returns the name of a layer in reports and options: that of its weights, of its output, or of its operator.
pub(crate) fn layer_name(graph: &Graph, node: &Node) -> String {
    let weights = match &node.op {
        NodeOp::Kernel(operator) if operator.weight_inputs().len() == 0 && operator.block_type().is_none() => None,
        NodeOp::Ir(op) if !op.has_weights() => None,
        _ => node.inputs.get(1).copied().flatten().filter(|&id| graph.tensors[id].is_constant()),
    };
    let named = |id: TensorId| identifying(&graph.tensors[id].name);
    let output = node.outputs.first().copied();
    weights.and_then(named).or_else(|| output.and_then(named)).unwrap_or_else(|| node.op.name().to_string())
}

/// Returns the part of a tensor's name that identifies the layer: a checkpoint's name without the word for weights, or
/// the stem of a converter's path.
fn identifying(name: &str) -> Option<String> {
    if name.contains(['/', ';', ':']) {
        return stem(name);
    }
    let name = name.strip_suffix(".weight").unwrap_or(name);
    sanitized(name).filter(|name| !NAMELESS.iter().any(|nameless| name.contains(nameless)))
}

/// Returns a name with `_` for characters that a header would have to escape; `None` if it is empty.
fn sanitized(name: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' };
    // Names that begin with two underscores belong to the container.
    let name: String = name.trim_start_matches('_').chars().map(plain).collect();
    (!name.is_empty()).then_some(name)
}

/// Returns the part of a converter's name that identifies the layer: `conv2d_1` of
/// `model/conv2d_1/Conv2D;model/batch_normalization/..`.
///
/// If layers were fused, the name contains several. In TensorFlow, operator names begin with a capital and layer names
/// do not.
pub(crate) fn stem(name: &str) -> Option<String> {
    let layers: Vec<String> = name.split(';').filter_map(layer).collect();
    let own = layers.iter().find(|layer| !FUSED.iter().any(|fused| layer.starts_with(fused)));
    let last = || plain(name.split(';').next()?.rsplit(['/', ':']).find(|segment| segment.parse::<u64>().is_err())?);
    let mut stem = own.or(layers.first()).cloned().or_else(last)?;
    stem.truncate(MAX_STEM);
    (!stem.is_empty() && !NAMELESS.iter().any(|nameless| stem.contains(nameless))).then_some(stem)
}

/// Returns the last segment of a path that can be a layer's name.
fn layer(path: &str) -> Option<String> {
    let segments = path.split(['/', ':']).filter(|segment| !segment.starts_with(|c: char| c.is_ascii_uppercase()));
    let segments = segments.filter(|segment| segment.parse::<u64>().is_err() && !NOISE.contains(segment));
    segments.filter_map(plain).next_back()
}

/// Returns the segment in lower case, reduced to letters, digits, `-` and `_`; `None` if nothing is left.
fn plain(segment: &str) -> Option<String> {
    let kept =
        segment.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '_' });
    let kept = kept.collect::<String>().trim_matches('_').to_string();
    (!kept.is_empty()).then_some(kept)
}

/// Returns the name of a layer that has none: the operator's name in lower case, without its type.
fn kind(code: OpCode) -> String {
    let name = code.name();
    let name = name.strip_suffix("F32").or(name.strip_suffix("Block")).unwrap_or(name);
    let mut kind = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !kind.is_empty() {
            kind.push('_');
        }
        kind.push(c.to_ascii_lowercase());
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::{Names, sanitized, stem};
    use std::cell::Cell;

    #[test]
    fn keeps_the_identifying_part_of_a_name() {
        for (name, expected) in [
            ("functional_1/conv2d_3/Conv2D", "conv2d_3"),
            ("model/dense/MatMul", "dense"),
            ("sequential/depthwise_conv2d/depthwise;sequential/x", "depthwise_conv2d"),
            ("model/batch_normalization_1/FusedBatchNormV3;model/conv2d_1/Conv2D", "conv2d_1"),
            ("model/batch_normalization_1/FusedBatchNormV3", "batch_normalization_1"),
            ("Conv2D", "conv2d"),
            ("a\"b\\c\u{7}", "a_b_c"),
        ] {
            assert_eq!(stem(name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(stem("//;::"), None);
        assert_eq!(stem("tfl.pseudo_qconst12"), None);
    }

    #[test]
    fn equal_names_are_made_distinct() {
        let mut names = Names::new(false);
        assert_eq!([names.unique("a", "weights"), names.unique("a", "weights")], ["a.weights", "a_2.weights"]);
    }

    #[test]
    fn finds_a_free_name_without_trying_all_earlier_ones() {
        let mut names = Names::new(false);
        let tried = Cell::new(0);
        let candidates = |count| {
            tried.set(tried.get() + 1);
            format!("a_{count}")
        };
        names.reserve("a_3");
        let sanitized: Vec<String> = (0..1000).map(|_| names.free(candidates)).collect();
        assert_eq!((&sanitized[2][..], &sanitized[999][..]), ("a_4", "a_1001"));
        // The first candidate, by which the next is known, and that one; and the one that is taken.
        assert_eq!(tried.get(), 2 * 1000 + 1);
    }

    #[test]
    fn names_that_are_kept_lose_only_what_a_header_would_escape() {
        assert_eq!(sanitized("blk.0.attn_q.weight").as_deref(), Some("blk.0.attn_q.weight"));
        assert_eq!(sanitized("__metadata__").as_deref(), Some("metadata__"));
        assert_eq!(sanitized("a\"b\\c d\u{e9}").as_deref(), Some("a_b_c_d_"));
        assert_eq!(sanitized(""), None);
    }
}
