//! Composes tables: two consecutive lookups become one, a table that changes nothing is removed, and one that only
//! clamps becomes the activation of the operator before it.

use crate::ir::graph::{Content, Graph, NodeOp, TensorId};
use tealight_format::ops::{ActivationRange, Fused};
use tealight_format::{Operator, ops};

/// Fuses tables with each other and with the operators before them.
pub(crate) fn fuse_lookup(mut graph: Graph) -> Graph {
    let mut uses = base_uses(&graph);
    let mut producer = vec![usize::MAX; graph.tensors.len()];
    let mut gone = vec![false; graph.nodes.len()];
    for at in 0..graph.nodes.len() {
        let Some((input, output, table)) = lookup(&graph, at) else {
            for &id in &graph.nodes[at].outputs {
                producer[id] = at;
            }
            continue;
        };
        producer[output] = at;
        let alike = graph.tensors[input].dtype == graph.tensors[output].dtype
            && graph.tensors[input].shape == graph.tensors[output].shape;
        if is_identity(&table) && alike {
            let base = graph.base(input);
            // The read by the removed lookup itself no longer counts.
            uses[base] = uses[base] + uses[output] - 1;
            graph.tensors[output].content = graph.tensors[base].content.clone();
            graph.tensors[output].alias = Some(base);
            gone[at] = true;
            continue;
        }
        // A producer can be fused only if this lookup alone reads its result.
        let before = producer[input];
        if before == usize::MAX || gone[before] || uses[input] != 1 || graph.base(input) != input {
            continue;
        }
        if let Some((first, _, first_table)) = lookup(&graph, before) {
            let composed: Vec<u8> = first_table.iter().map(|&byte| table[usize::from(byte)]).collect();
            let table_id = graph.nodes[at].inputs[1];
            let Some(mut tensor) = table_id.map(|id| graph.tensors[id].clone()) else { continue };
            tensor.content = Content::Constant(composed.into());
            let composed = graph.add(tensor);
            producer.push(usize::MAX);
            uses.push(1);
            let function = ops::Function::Composed;
            graph.nodes[at].op = NodeOp::Kernel(Operator::Lookup(ops::Lookup { function }));
            graph.nodes[at].inputs = vec![Some(first), Some(composed)];
            gone[before] = true;
            continue;
        }
        let same = alike && graph.tensors[input].quantization == graph.tensors[output].quantization;
        if let Some(range) = clamp(&table).filter(|_| same)
            && clamp_activation(&mut graph.nodes[before].op, range)
        {
            graph.nodes[before].outputs = vec![output];
            producer[output] = before;
            gone[at] = true;
        }
    }
    let mut gone = gone.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or(false));
    graph
}

/// Counts how often the bytes of each tensor are read, directly or through its views.
fn base_uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.tensors.len()];
    for &id in graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten()).chain(&graph.outputs) {
        uses[graph.base(id)] += 1;
    }
    uses
}

/// Returns input, output and table of node `at`, if it is a lookup.
fn lookup(graph: &Graph, at: usize) -> Option<(TensorId, TensorId, Vec<u8>)> {
    let node = &graph.nodes[at];
    let NodeOp::Kernel(Operator::Lookup(_)) = node.op else { return None };
    let (&[Some(input), Some(table)], &[output]) = (&node.inputs[..], &node.outputs[..]) else { return None };
    let table = graph.tensors[table].bytes().filter(|table| table.len() == 256)?;
    Some((input, output, table.to_vec()))
}

fn is_identity(table: &[u8]) -> bool {
    table.iter().enumerate().all(|(i, &byte)| i == usize::from(byte))
}

/// Returns the int8 range that the table clamps to, if it does nothing else.
fn clamp(table: &[u8]) -> Option<ActivationRange> {
    let value = |x: i8| table[usize::from(x.cast_unsigned())].cast_signed();
    let range = ActivationRange::new(value(i8::MIN), value(i8::MAX))?;
    (i8::MIN..=i8::MAX).all(|x| value(x) == range.clamp(x.into())).then_some(range)
}

/// Narrows the activation of `op` and returns whether it has one.
fn clamp_activation(op: &mut NodeOp, range: ActivationRange) -> bool {
    let NodeOp::Kernel(operator) = op else { return false };
    let Fused::Int8(at) = operator.code().fused() else { return false };
    let (at, mut attrs) = (usize::from(at), operator.emit());
    let Some(bounds) = attrs.get_mut(at..at + 2) else { return false };
    bounds.iter_mut().for_each(|bound| *bound = range.clamp(*bound).into());
    match Operator::parse(operator.code(), &attrs) {
        Ok(narrowed) => *operator = narrowed,
        Err(_) => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::fuse_lookup;
    use crate::ir::graph::{ElementType, NodeOp, Tensor, TensorId};
    use crate::testing::{Builder, names};
    use tealight_format::{Operator, ops};

    fn lookup(b: &mut Builder, from: TensorId, to: TensorId, function: impl Fn(i32) -> i32) {
        let table: Vec<u8> = (0..=255u8).map(|byte| function(i32::from(byte.cast_signed())) as u8).collect();
        let table = b.graph.add(Tensor::constant("table", ElementType::U8, vec![256], table));
        b.node(Operator::Lookup(ops::Lookup { function: ops::Function::Requantize }), &[from, table], &[to]);
    }

    fn mul(b: &mut Builder, x: TensorId, y: TensorId) {
        let activation = ops::ActivationRange::new(-100, 127).unwrap();
        b.node(Operator::Mul(ops::Mul { output: ops::Multiplier::new(1 << 30, 0), activation }), &[x, x], &[y]);
    }

    #[test]
    fn composes_two_lookups_in_a_row() {
        let mut b = Builder::default();
        let (x, m, y) = (b.input(&[4]), b.int8(&[4]), b.int8(&[4]));
        lookup(&mut b, x, m, |x| x / 2);
        lookup(&mut b, m, y, |x| 10 - x);
        let graph = fuse_lookup(b.output(y));
        assert_eq!(names(&graph), ["Lookup"]);
        let table = graph.tensors[graph.nodes[0].inputs[1].unwrap()].bytes().unwrap();
        assert_eq!([table[100], table[156]].map(u8::cast_signed), [10 - 50, 10 + 50]);
        assert_eq!(graph.nodes[0].inputs[0], Some(x));
    }

    #[test]
    fn a_lookup_with_another_reader_is_not_fused() {
        let mut b = Builder::default();
        let (x, m, y) = (b.input(&[4]), b.int8(&[4]), b.int8(&[4]));
        lookup(&mut b, x, m, |x| x / 2);
        lookup(&mut b, m, y, |x| 10 - x);
        b.graph.outputs.push(m);
        assert_eq!(names(&fuse_lookup(b.output(y))), ["Lookup", "Lookup"]);
    }

    #[test]
    fn a_clamp_becomes_the_activation_of_what_it_clamps() {
        let mut b = Builder::default();
        let (x, m, y) = (b.input(&[4]), b.int8(&[4]), b.int8(&[4]));
        mul(&mut b, x, m);
        lookup(&mut b, m, y, |x| x.clamp(3, 15));
        let graph = fuse_lookup(b.output(y));
        assert_eq!(names(&graph), ["Mul"]);
        assert_eq!(graph.nodes[0].outputs, [y]);
        let NodeOp::Kernel(Operator::Mul(mul)) = graph.nodes[0].op else { panic!() };
        assert_eq!(mul.activation.bounds(), [3, 15]);
    }

    #[test]
    fn a_clamp_into_another_quantization_is_not_fused() {
        let mut b = Builder::default();
        let (x, m, y) = (b.input(&[4]), b.int8(&[4]), b.int8_with(&[4], 0.25, 3));
        mul(&mut b, x, m);
        lookup(&mut b, m, y, |x| x.clamp(3, 15));
        assert_eq!(names(&fuse_lookup(b.output(y))), ["Mul", "Lookup"]);
    }

    #[test]
    fn removes_an_identity_lookup() {
        let mut b = Builder::default();
        let (x, m, y) = (b.input(&[4]), b.int8(&[4]), b.int8(&[4]));
        lookup(&mut b, x, m, |x| x);
        mul(&mut b, m, y);
        let graph = fuse_lookup(b.output(y));
        assert_eq!(names(&graph), ["Mul"]);
        assert_eq!(graph.base(m), x);
    }
}
