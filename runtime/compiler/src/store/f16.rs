//! Weights as f16: half the bytes, rounded to 11 significant bits.

use crate::ir::graph::{ElementType, Graph, Tensor, TensorId};
use tealight_kernels::float::f16;

/// Returns the weights `tensor` as f16.
///
/// # Errors
/// One of them is out of range, or not finite.
pub(super) fn stored(tensor: &Tensor) -> Result<Tensor, String> {
    let values = tensor.f32_values().ok_or("it is not a constant")?;
    if let Some(i) = values.iter().position(|&real| !f16::from_f32(real).is_finite()) {
        return Err(format!("{} at index {i} is beyond the maximum of f16, {}", values[i], f16::MAX));
    }
    let bytes: Vec<u8> = values.iter().flat_map(|&real| f16::from_f32(real).to_le_bytes()).collect();
    Ok(Tensor::constant(tensor.name.clone(), ElementType::F16, tensor.shape.clone(), bytes))
}

/// Returns whether the source stores floats as f16, and these weights are some that f16 holds exactly.
pub(super) fn are_halves(graph: &Graph, weights: &[TensorId]) -> bool {
    let exact = |real: f32| f16::from_f32(real).to_f32().to_bits() == real.to_bits();
    let all = |id: &TensorId| graph.tensors[*id].f32_values().is_some_and(|values| values.into_iter().all(exact));
    graph.halves && weights.iter().all(all)
}

#[cfg(test)]
mod tests {
    use crate::ir::graph::{ElementType, Graph, Tensor};
    use crate::options::Options;
    use crate::store::store;
    use crate::testing::Builder;
    use tealight_format::Operator;
    use tealight_format::ops::{FullyConnectedF32, LstmF32};

    fn values(b: &mut Builder, shape: &[u32], value: f32) -> usize {
        let count = shape.iter().product::<u32>() as usize;
        b.graph.add(Tensor::constant("w", ElementType::F32, shape.to_vec(), value.to_le_bytes().repeat(count)))
    }

    fn store_f16(graph: Graph, report: &mut Vec<String>) -> Graph {
        store(graph, &Options { f16: true, ..Options::default() }, &[], report).unwrap()
    }

    fn types(graph: &Graph) -> Vec<ElementType> {
        graph.nodes[0].inputs.iter().flatten().map(|&id| graph.tensors[id].dtype).collect()
    }

    /// A neuron of two inputs.
    fn layer(weight: f32) -> (Vec<ElementType>, Vec<String>) {
        let mut b = Builder::default();
        let (x, y) = (b.int8(&[2]), b.int8(&[1]));
        let (weights, bias) = (values(&mut b, &[1, 2], weight), values(&mut b, &[1], 0.1));
        let layer = FullyConnectedF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] };
        b.node(Operator::FullyConnectedF32(layer), &[x, weights, bias], &[y]);
        let mut report = Vec::new();
        (types(&store_f16(b.output(y), &mut report)), report)
    }

    #[test]
    fn weights_become_f16_and_biases_stay_f32() {
        let (types, report) = layer(0.1);
        assert_eq!(types, [ElementType::I8, ElementType::F16, ElementType::F32]);
        assert_eq!(report, ["w: f16, 8 B to 4 B"]);
    }

    #[test]
    fn weights_beyond_f16_stay_f32_and_are_reported() {
        for weight in [65_520.0, -1e30, f32::INFINITY, f32::NAN] {
            let (types, report) = layer(weight);
            assert_eq!(types, [ElementType::I8, ElementType::F32, ElementType::F32]);
            assert!(report[0].contains("at index 0 is beyond the maximum of f16"), "{report:?}");
        }
        // The largest whole number that rounds to a value in range.
        assert_eq!(layer(65_519.0).0[1], ElementType::F16);
    }

    #[test]
    fn the_two_matrices_of_a_cell_keep_one_type() {
        let mut b = Builder::default();
        let (x, cell, hidden, y) = (b.int8(&[1]), b.state(&[1]), b.state(&[1]), b.int8(&[1]));
        let (weights, recurrent) = (values(&mut b, &[4, 1], 0.5), values(&mut b, &[4, 1], 1e9));
        let bias = values(&mut b, &[4], 0.0);
        b.node(Operator::LstmF32(LstmF32), &[x, weights, recurrent, bias, cell, hidden], &[y]);
        let mut report = Vec::new();
        let graph = store_f16(b.output(y), &mut report);
        assert_eq!(types(&graph)[1..3], [ElementType::F32; 2]);
        assert!(report.len() == 1 && report[0].contains("1000000000 at index 0"), "{report:?}");
    }
}
