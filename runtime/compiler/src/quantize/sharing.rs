//! Groups tensors that must share a quantization under TensorFlow Lite's specification of quantized operators.
//!
//! An operator that only moves or selects values has one quantization for its inputs and its output, so these tensors
//! have one common range. Functions with a known range have a fixed output quantization.

use super::range::Params;
use super::rule::{Rule, Rules, f32_inputs};
use crate::ir::graph::{Graph, Node, TensorId};
use std::collections::HashSet;

/// The groups of tensors with one quantization.
#[derive(Debug)]
pub(super) struct Sharing {
    parent: Vec<TensorId>,
    fixed: Vec<Option<Params>>,
}

impl Sharing {
    /// Groups the float tensors of `graph`, whose nodes have these rules.
    pub(super) fn of(graph: &Graph, rules: &Rules) -> Self {
        let count = graph.tensors.len();
        let mut sharing = Self { parent: (0..count).collect(), fixed: vec![None; count] };
        for (node, rule) in graph.nodes.iter().zip(&rules.of) {
            match *rule {
                Rule::Layer | Rule::Own | Rule::Float => {}
                Rule::Fixed(params) => node.outputs.iter().for_each(|&id| sharing.fixed[id] = Some(params)),
                Rule::Same => sharing.join(graph, node),
            }
        }
        for id in 0..count {
            sharing.shorten(id);
        }
        sharing
    }

    /// Returns the tensor that represents the group of `id`.
    pub(super) fn root(&self, mut id: TensorId) -> TensorId {
        while self.parent[id] != id {
            id = self.parent[id];
        }
        id
    }

    /// Like [`Self::root`], and shortens the path to the root for all tensors on it.
    fn shorten(&mut self, id: TensorId) -> TensorId {
        let root = self.root(id);
        let mut at = id;
        while self.parent[at] != root {
            at = std::mem::replace(&mut self.parent[at], root);
        }
        root
    }

    /// Returns the group's quantization, if an operator prescribes it.
    pub(super) fn fixed(&self, root: TensorId) -> Option<Params> {
        self.fixed[root]
    }

    /// Merges the groups of inputs and outputs; inputs with different fixed quantizations stay separate and are
    /// converted.
    fn join(&mut self, graph: &Graph, node: &Node) {
        let inputs: Vec<TensorId> = f32_inputs(graph, node).map(|id| self.shorten(id)).collect();
        let all_alike = inputs.windows(2).all(|pair| self.fixed[pair[0]] == self.fixed[pair[1]]);
        let mut shared: Vec<TensorId> =
            inputs.into_iter().filter(|&input| all_alike || self.fixed[input].is_none()).collect();
        for &output in &node.outputs {
            // After the first output, the inputs are in only a few groups.
            let mut seen = HashSet::new();
            shared = shared.into_iter().map(|id| self.shorten(id)).filter(|&root| seen.insert(root)).collect();
            for &input in &shared {
                let (from, to) = (self.shorten(output), self.shorten(input));
                // Two functions with different fixed quantizations write the same variable.
                if self.fixed[from].is_some() && self.fixed[to].is_some() && self.fixed[from] != self.fixed[to] {
                    continue;
                }
                self.fixed[to] = self.fixed[to].or(self.fixed[from]);
                self.parent[from] = to;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::graph::{Content, ElementType, Tensor};
    use crate::ir::{Activation, Op};
    use crate::quantize::Activations;
    use crate::testing::Builder;
    use tealight_format::{Operator, Quantization, ops};

    fn sharing(graph: &Graph) -> Sharing {
        Sharing::of(graph, &Rules::of(graph, Activations::Int8))
    }

    fn real(b: &mut Builder) -> TensorId {
        let name = format!("t{}", b.graph.tensors.len());
        b.graph.add(Tensor::computed(name, ElementType::F32, vec![1, 4]))
    }

    #[test]
    fn data_movement_shares_ranges_and_fixed_ranges_are_converted() {
        let mut b = Builder::default();
        let [x, moved, a, soft, joined, flat] = std::array::from_fn(|_| real(&mut b));
        b.node(Op::Transpose, &[x], &[moved]);
        b.node(Op::Relu, &[moved], &[a]);
        b.node(Op::Softmax { beta: 1.0 }, &[a], &[soft]);
        b.node(Op::Concat { axis: 1, activation: Activation::None }, &[a, soft], &[joined]);
        b.node(Op::Squeeze { dims: vec![] }, &[soft], &[flat]);
        let sharing = sharing(&b.graph);
        let root = |id| sharing.root(id);
        assert_eq!(root(x), root(moved));
        assert_ne!(root(moved), root(a));
        assert_eq!(root(a), root(joined));
        assert_ne!(root(joined), root(soft));
        assert_eq!(root(flat), root(soft));
        assert_eq!(
            sharing.fixed(root(flat)),
            Some(Params::new(Quantization::new(1.0 / 256.0, -128), Activations::Int8))
        );
        assert_eq!(sharing.fixed(root(joined)), None);
    }

    #[test]
    fn a_variable_shares_its_quantization_with_its_writer_and_readers() {
        let mut b = Builder::default();
        let [x, y, old, state] = std::array::from_fn(|_| real(&mut b));
        b.graph.tensors[state].content = Content::State(None);
        b.node(Operator::Copy(ops::Copy), &[state], &[old]);
        b.node(Op::Relu, &[x], &[y]);
        b.node(Operator::Copy(ops::Copy), &[y], &[state]);
        let sharing = sharing(&b.graph);
        assert_eq!(sharing.root(old), sharing.root(y));
        assert_eq!(sharing.root(state), sharing.root(y));
        assert_ne!(sharing.root(x), sharing.root(y));
    }

    #[test]
    fn the_path_to_the_root_of_a_large_group_is_short() {
        let mut b = Builder::default();
        let parts: Vec<TensorId> = (0..20_000).map(|_| real(&mut b)).collect();
        let [all, again] = std::array::from_fn(|_| real(&mut b));
        let join = Op::Concat { axis: 0, activation: Activation::None };
        b.node(join.clone(), &parts, &[all]);
        b.node(join, &parts, &[again]);
        let sharing = sharing(&b.graph);
        let root = sharing.root(parts[0]);
        assert!(parts.iter().chain([&all, &again]).all(|&id| sharing.parent[id] == root));
    }
}
