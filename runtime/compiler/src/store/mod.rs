//! The types in which the weights of float layers are stored: f32, f16, blocks, or int8, int4 and f16 as in the source.
//!
//! [`Options`] selects a type for all layers and others for single ones. A layer is selected by the name of its
//! weights. If a layer cannot have the type (blocks that its rows do not fill, f16 for values out of its range), its
//! weights stay as they are and the report states why; if the type was selected for that very layer, it is an error.

mod block;
pub(crate) mod codes;
mod f16;
pub(crate) mod rounded;

use crate::diag::{CompileError, Result};
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, TensorId};
use crate::names::layer_name;
use crate::options::Options;
use crate::weight_type::WeightType;
use std::collections::{HashMap, HashSet};
use wildmatch::WildMatch;

/// The constants that were converted, or why they could not be. The key is the identity of the bytes, the shape, and
/// the name of the type.
pub(crate) type Stored = HashMap<(usize, Vec<u32>, &'static str), std::result::Result<TensorId, String>>;

/// Stores the weights of the layers of `graph` as `options` select, and adds the results to `report`. `chosen` lists
/// types for weights that no name in the options matches.
///
/// # Errors
/// [`Options::layers`] selects a layer that does not exist, or a type that it cannot have.
pub(crate) fn store(
    mut graph: Graph,
    options: &Options,
    chosen: &[(TensorId, WeightType)],
    report: &mut Vec<String>,
) -> Result<Graph> {
    let mut selections = Selections::new(options);
    let chosen: HashMap<TensorId, WeightType> = chosen.iter().rev().copied().collect();
    let (mut stored, mut kept) = (Stored::new(), codes::Kept::default());
    for at in 0..graph.nodes.len() {
        let Some(weights) = weights(&graph, &graph.nodes[at]) else { continue };
        let (name, full) = (layer_name(&graph, &graph.nodes[at]), graph.tensors[weights[0]].name.clone());
        let selection = selections.of(&name, &full);
        let chosen = chosen.get(&weights[0]).copied();
        let result = match selection.map(|selection| selection.of).or(chosen) {
            Some(of) => store_one(&mut graph, at, of, &mut stored),
            None => store_by_default(&mut graph, at, options, &mut stored),
        };
        let result = match (result, selection) {
            (Err(why), Some(selection)) if selection.exact => {
                return Err(CompileError::LayerType { layer: name, wanted: selection.of.to_string(), why });
            }
            (result, _) => result,
        };
        let may_keep = selection.is_none_or(|selection| selection.of != WeightType::F32);
        let left = may_keep && self::weights(&graph, &graph.nodes[at]).is_some();
        let has_codes = left && codes::keep(&mut graph, at, &mut kept);
        let halves = if left && !has_codes && f16::are_halves(&graph, &weights) {
            store_one(&mut graph, at, WeightType::F16, &mut stored).ok()
        } else {
            None
        };
        match (result, halves) {
            (Err(why), _) if has_codes => {
                let name = stored_as(&graph, &graph.nodes[at]).unwrap_or_default();
                report.push(format!("{full}: {name} as in the source, {why}"));
            }
            (Err(why), Some(_)) => report.push(format!("{full}: {} as in the source, {why}", WeightType::F16)),
            (Err(why), None) => report.push(format!("{full}: float32, {why}")),
            (Ok(None), _) if has_codes => report.extend(kept.line(&graph, weights[0], at)),
            (Ok(line), halves) => report.extend(line.or(halves.flatten())),
        }
    }
    selections.check()?;
    graph.codes.clear();
    Ok(graph)
}

/// The types that the options select for layers by name.
pub(crate) struct Selections {
    all: Vec<LayerSelection>,
    /// The layers that were asked for, in order.
    names: Vec<String>,
    known: HashSet<String>,
}

impl Selections {
    pub(crate) fn new(options: &Options) -> Self {
        let all = options.layers.iter().map(|(name, of)| LayerSelection::new(name, *of)).collect();
        Self { all, names: Vec::new(), known: HashSet::new() }
    }

    /// Returns what is selected for the layer `name`, whose weights are `weights`: the last entry that matches.
    pub(crate) fn of(&mut self, name: &str, weights: &str) -> Option<Selection> {
        if self.known.insert(name.to_string()) {
            self.names.push(name.to_string());
        }
        let mut selection = None;
        for one in self.all.iter_mut().filter(|one| one.names(name) || one.names(weights)) {
            one.met = true;
            selection = Some(Selection { of: one.of, exact: one.exact });
        }
        selection
    }

    /// Checks that every entry has matched a layer.
    ///
    /// # Errors
    /// The first that has not.
    pub(crate) fn check(self) -> Result<()> {
        let Some(unmet) = self.all.into_iter().find(|one| !one.met) else { return Ok(()) };
        let known = if self.names.is_empty() { "none".to_string() } else { self.names.join(", ") };
        Err(CompileError::UnknownLayer { pattern: unmet.name, known })
    }
}

/// What is selected for a layer.
#[derive(Clone, Copy)]
pub(crate) struct Selection {
    pub(crate) of: WeightType,
    /// Whether the layer was selected by its name, without wildcards.
    pub(crate) exact: bool,
}

/// A type that the options select for layers by name.
struct LayerSelection {
    name: String,
    pattern: WildMatch,
    of: WeightType,
    /// Whether it is a single name, without wildcards.
    exact: bool,
    /// Whether it has matched a layer.
    met: bool,
}

impl LayerSelection {
    fn new(name: &str, of: WeightType) -> Self {
        let exact = !name.contains(['*', '?']);
        Self { name: name.to_string(), pattern: WildMatch::new(name), of, exact, met: false }
    }

    fn names(&self, layer: &str) -> bool {
        self.pattern.matches(layer)
    }
}

/// Returns the weights of a layer of float tensors; `None` for other nodes, or if they are already stored in another
/// type.
pub(crate) fn weights(graph: &Graph, node: &Node) -> Option<Vec<TensorId>> {
    let NodeOp::Kernel(operator) = &node.op else { return None };
    let inputs = operator.weight_inputs();
    let ids: Vec<TensorId> = inputs.filter_map(|k| node.inputs.get(k).copied().flatten()).collect();
    let float = ids.iter().all(|&id| graph.tensors[id].dtype == ElementType::F32);
    (float && !ids.is_empty() && ids.len() == operator.weight_inputs().len()).then_some(ids)
}

/// Returns the name of the type in which the weights of `node` are stored; `None` if it has no weights.
pub(crate) fn stored_as(graph: &Graph, node: &Node) -> Option<&'static str> {
    let NodeOp::Kernel(operator) = &node.op else { return None };
    if let Some(block) = operator.block_type() {
        return Some(block.name());
    }
    let id = node.inputs.get(operator.weight_inputs().next()?).copied().flatten()?;
    match graph.tensors[id].dtype {
        ElementType::F32 => Some(WeightType::F32.name()),
        ElementType::F16 => Some(WeightType::F16.name()),
        dtype => codes::name(dtype),
    }
}

/// Stores the weights of node `at` in the type selected for all layers, and returns a description of the result.
///
/// # Errors
/// Describes why they stay unchanged.
fn store_by_default(
    graph: &mut Graph,
    at: usize,
    options: &Options,
    stored: &mut Stored,
) -> std::result::Result<Option<String>, String> {
    let blocks = options.quantize.filter(|_| block::has_form(&graph.nodes[at].op));
    let result = match blocks {
        Some(block) => store_one(graph, at, WeightType::Blocks(block), stored),
        None => Ok(None),
    };
    match result {
        Ok(None) | Err(_) if options.f16 => store_one(graph, at, WeightType::F16, stored),
        result => result,
    }
}

/// Stores the weights of node `at` as `of`. Returns a description of the result unless that is f32.
///
/// # Errors
/// Describes why they cannot be stored so.
pub(crate) fn store_one(
    graph: &mut Graph,
    at: usize,
    of: WeightType,
    stored: &mut Stored,
) -> std::result::Result<Option<String>, String> {
    let ids = weights(graph, &graph.nodes[at]).ok_or("it has no float32 weights")?;
    let operator = match of {
        WeightType::F32 => return Ok(None),
        WeightType::F16 => None,
        WeightType::Int4 => return codes::round(graph, at, stored).map(|()| None),
        WeightType::Blocks(block) => Some(block::operator(graph, &graph.nodes[at], block)?),
    };
    let mut new_line = false;
    // The weights of a layer have one type: all are converted before any is replaced. Layers with shared weights also
    // share the converted ones, or the reason why there are none.
    let mut made = Vec::new();
    for &id in &ids {
        let tensor = &graph.tensors[id];
        let Content::Constant(bytes) = &tensor.content else { return Err("it is not a constant".into()) };
        let key = (bytes.identity(), tensor.shape.clone(), of.name());
        let new = match stored.get(&key) {
            Some(known) => known.clone()?,
            None => {
                let new = match of {
                    WeightType::Blocks(block) => block::stored(tensor, block),
                    _ => f16::stored(tensor),
                };
                let new = new.map(|new| graph.add(new));
                stored.insert(key, new.clone());
                new_line |= new.is_ok();
                new?
            }
        };
        made.push(new);
    }
    let inputs: Vec<usize> = match &graph.nodes[at].op {
        NodeOp::Kernel(operator) => operator.weight_inputs().collect(),
        NodeOp::Ir(_) => Vec::new(),
    };
    let size = |id: TensorId| graph.tensors[id].bytes().map_or(0, <[u8]>::len);
    let line = |(&old, &new): (&TensorId, &TensorId)| {
        format!("{}: {of}, {} B to {} B", graph.tensors[old].name, size(old), size(new))
    };
    let lines: Vec<String> = ids.iter().zip(&made).map(line).collect();
    for (k, new) in inputs.into_iter().zip(made) {
        graph.nodes[at].inputs[k] = Some(new);
    }
    if let Some(operator) = operator {
        graph.nodes[at].op = NodeOp::Kernel(operator);
    }
    Ok(new_line.then(|| lines.join("; ")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::driver::compile_kernel_graph;
    use crate::ir::builder::Builder;
    use tealight_format::ops::{BlockType, FullyConnectedF32, GatherF32};
    use tealight_format::{Model, Operator};

    const NO_BOUNDS: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

    /// Tokens are looked up in a table, multiplied by two matrices, and compared with the table.
    pub(crate) fn tied() -> Graph {
        let mut b = Builder::new();
        let x = b.input("token", ElementType::I32, &[1]);
        let numbers = |seed: usize, count: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0).collect()
        };
        let table = b.floats("embedding.weight", &[8, 32], &numbers(1, 256));
        let mut y = b.op("embedded", Operator::GatherF32(GatherF32), [x, table], ElementType::F32, &[1, 32]);
        let product = Operator::FullyConnectedF32(FullyConnectedF32 { activation: NO_BOUNDS });
        for (k, name) in ["layers.0.up.weight", "layers.1.up.weight"].into_iter().enumerate() {
            let w = b.floats(name, &[32, 32], &numbers(k + 2, 1024));
            y = b.op(name, product, [Some(y), Some(w), None], ElementType::F32, &[1, 32]);
        }
        let y = b.op("logits", product, [Some(y), Some(table), None], ElementType::F32, &[1, 8]);
        b.output(y);
        b.finish()
    }

    fn compiled(options: &Options) -> (Vec<String>, Vec<String>) {
        let compiled = compile_kernel_graph(tied(), b"", options).unwrap();
        let model = Model::parse(&compiled.bytes).unwrap();
        let ops = (0..model.op_count()).map(|i| {
            let op = model.op(i);
            let of = op.operator.block_type().map_or("", BlockType::name);
            format!("{} {of}", op.operator.code().name())
        });
        (ops.collect(), compiled.report.quantized)
    }

    fn layers(selections: &[(&str, WeightType)]) -> Options {
        let layers = selections.iter().map(|&(name, of)| (name.to_string(), of)).collect();
        Options { quantize: Some(BlockType::Q4_0), layers, ..Options::default() }
    }

    #[test]
    fn stores_a_table_that_is_also_a_matrix_once() {
        let (ops, report) = compiled(&layers(&[]));
        assert_eq!(ops[0], "GatherBlock q4_0");
        assert_eq!(ops[3], "FullyConnectedBlock q4_0");
        assert_eq!(report.iter().filter(|line| line.starts_with("embedding.weight: q4_0")).count(), 1, "{report:?}");
        assert_eq!(report.len(), 3);
    }

    #[test]
    fn layers_are_named_by_patterns_and_the_last_that_fits_counts() {
        let q8 = WeightType::Blocks(BlockType::Q8_0);
        let (ops, _) = compiled(&layers(&[("layers.*", WeightType::F16), ("layers.1.up", q8)]));
        assert_eq!(
            ops,
            ["GatherBlock q4_0", "FullyConnectedF32 ", "FullyConnectedBlock q8_0", "FullyConnectedBlock q4_0"]
        );
        let (ops, _) = compiled(&layers(&[("embedding.weight", WeightType::F32)]));
        assert_eq!([ops[0].as_str(), ops[3].as_str()], ["GatherF32 ", "FullyConnectedF32 "]);
    }

    #[test]
    fn rejects_an_unknown_layer_and_a_type_that_the_layer_cannot_have() {
        let refused = |selection| compile_kernel_graph(tied(), b"", &layers(&[selection])).unwrap_err().to_string();
        let error = refused(("layer.9", WeightType::F16));
        assert!(error.contains("`layer.9`") && error.contains("embedding, layers.0.up, layers.1.up"), "{error}");
        let error = refused(("layers.0.up", WeightType::Blocks(BlockType::Q4K)));
        assert!(error.contains("`layers.0.up` cannot be q4k") && error.contains("blocks of 256"), "{error}");
        // A pattern applies only to the layers that can have the type.
        let (ops, report) = compiled(&layers(&[("*", WeightType::Blocks(BlockType::Q4K))]));
        assert_eq!(ops[1], "FullyConnectedF32 ");
        assert!(
            report[1].contains("layers.0.up.weight: float32, its 32 inputs are not whole blocks of 256"),
            "{report:?}"
        );
    }

    #[test]
    fn every_type_has_a_name_that_is_read_back() {
        for of in WeightType::all() {
            assert_eq!(of.to_string().parse(), Ok(of));
        }
        assert!("q9".parse::<WeightType>().unwrap_err().starts_with("accepted: f32, f16, int4, q4_0"));
    }
}
