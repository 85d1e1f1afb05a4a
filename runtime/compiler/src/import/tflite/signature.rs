//! Signatures: names under which a file offers its graphs, with names for what each takes and returns.

use super::fault::{MAX_NAME, corrupt, truncated};
use super::schema;
use crate::diag::{CompileError, Result, Site};
use crate::import::given::{listed, unknown};
use crate::ir::graph::{Graph, NodeOp, TensorId};
use flatbuffers::{ForwardsUOffset, Vector};
use std::collections::HashSet;

/// The names that a signature has for tensors.
type Names<'a> = Option<Vector<'a, ForwardsUOffset<schema::TensorMap<'a>>>>;

/// Returns the graph of the signature `name`, or the first graph, with the others in its `subgraphs`.
///
/// # Errors
/// There is no graph or no such signature, the signatures stand for several graphs and none is chosen, or the chosen one
/// contradicts its graph.
pub(super) fn choose(model: &schema::Model<'_>, mut graphs: Vec<Graph>, name: Option<&str>) -> Result<Graph> {
    if graphs.is_empty() {
        return Err(corrupt("it has no graph"));
    }
    let signatures: Vec<_> = model.signatures().iter().flat_map(Vector::iter).collect();
    let Some(name) = name else {
        if signatures.iter().any(|signature| signature.subgraph() != signatures[0].subgraph()) {
            return Err(CompileError::Signatures(listed(signatures.iter().map(key))));
        }
        let main = graphs.remove(0);
        return Ok(Graph { subgraphs: graphs, ..main });
    };
    let Some(signature) = signatures.iter().find(|signature| key(signature) == name) else {
        return Err(unknown("signature", name, signatures.iter().map(key)));
    };
    let chosen = signature.subgraph() as usize;
    if chosen >= graphs.len() {
        return Err(corrupt(format!("a signature names graph {chosen} of {}", graphs.len())));
    }
    // The chosen graph comes to the front, and those before it move by one.
    graphs[..=chosen].rotate_right(1);
    for node in graphs.iter_mut().flat_map(|graph| &mut graph.nodes) {
        let NodeOp::Ir(op) = &mut node.op else { continue };
        for number in op.subgraphs_mut() {
            *number = match *number {
                before if before < chosen => before + 1,
                it if it == chosen => 0,
                after => after,
            };
        }
    }
    let mut main = graphs.remove(0);
    main.subgraphs = graphs;
    let inputs = rename(&mut main, signature.inputs(), "input", |graph| &graph.inputs)?;
    if let Some(id) = main.inputs.iter().find(|id| !inputs.contains(id)) {
        let what = format!("the signature has no name for the input {}", main.describe(*id));
        return Err(CompileError::InvalidModel { site: Site::Graph, what });
    }
    let outputs = rename(&mut main, signature.outputs(), "output", |graph| &graph.outputs)?;
    main.outputs.retain(|id| outputs.contains(id));
    Ok(main)
}

fn key<'a>(signature: &schema::SignatureDef<'a>) -> &'a str {
    signature.key().unwrap_or("")
}

/// Gives tensors the names that a signature has for them, and returns the tensors. Of several names for one, the first
/// counts.
fn rename(
    graph: &mut Graph,
    names: Names<'_>,
    kind: &str,
    interface: fn(&Graph) -> &[TensorId],
) -> Result<HashSet<TensorId>> {
    let known: HashSet<TensorId> = interface(graph).iter().copied().collect();
    let mut named = HashSet::new();
    for map in names.iter().flat_map(Vector::iter) {
        let (id, name) = (map.tensor() as usize, truncated(map.name().unwrap_or(""), MAX_NAME));
        if !known.contains(&id) {
            return Err(corrupt(format!(
                "the signature's {kind} `{name}` is tensor {id}, which is no {kind} of its graph"
            )));
        }
        if named.insert(id) {
            graph.tensors[id].name = name.to_string();
        }
    }
    Ok(named)
}
