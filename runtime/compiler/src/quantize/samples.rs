//! The inputs for calibration and measurement of a network.

use super::{QuantizeError, Result};
use crate::ir::graph::{ElementType, Graph, TensorId};

/// Inputs in the order in which they are run.
///
/// A sample is the input of one inference: the elements of all inputs, one input after another. A stream is a sequence
/// of samples before which the network's state is reset; without state, the division into streams has no effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samples<'a> {
    streams: &'a [Vec<Vec<f32>>],
}

/// One of the samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    /// The number of samples before it, in all streams.
    pub(super) index: usize,
    /// Whether it is the first of a stream.
    pub(super) first: bool,
    /// The elements of all inputs.
    pub(super) numbers: &'a [f32],
}

impl<'a> Samples<'a> {
    /// Checks `streams` against the inputs of `graph`.
    ///
    /// # Errors
    /// There are no samples, one has the wrong size, or an input has the same value throughout.
    pub(super) fn new(graph: &Graph, streams: &'a [Vec<Vec<f32>>]) -> Result<Self> {
        let samples = Self { streams };
        if samples.count() == 0 {
            return Err(QuantizeError::Empty);
        }
        let sizes: Vec<usize> = graph.inputs.iter().map(|&id| graph.tensors[id].elements()).collect();
        let expected = sizes.iter().fold(0usize, |sum, &size| sum.saturating_add(size));
        for sample in samples.iter() {
            let Sample { index, numbers, .. } = sample;
            if numbers.len() != expected {
                let shape = graph.inputs.iter().map(|&id| format!("{:?}", graph.tensors[id].shape));
                let shape = shape.collect::<Vec<_>>().join(" and ");
                return Err(QuantizeError::Shape { sample: index, found: numbers.len(), expected, shape });
            }
        }
        let mut start = 0;
        for (&id, &size) in graph.inputs.iter().zip(&sizes) {
            let range = start..start + size;
            start = range.end;
            check_input(graph, id, samples.iter().map(|sample| (sample.index, &sample.numbers[range.clone()])))?;
        }
        Ok(samples)
    }

    /// Wraps samples that were derived from checked ones.
    pub(super) fn of_checked(streams: &'a [Vec<Vec<f32>>]) -> Self {
        Self { streams }
    }

    /// Iterates over all samples.
    pub(super) fn iter(self) -> impl Iterator<Item = Sample<'a>> + Clone {
        let streams = self.streams.iter().flat_map(|stream| stream.iter().enumerate());
        streams.enumerate().map(|(index, (at, numbers))| Sample { index, first: at == 0, numbers })
    }

    /// Returns a copy, stream by stream.
    pub(super) fn to_vec(self) -> Vec<Vec<Vec<f32>>> {
        self.streams.to_vec()
    }

    /// Returns the number of samples.
    pub(super) fn count(self) -> usize {
        self.streams.iter().map(Vec::len).sum()
    }
}

/// Checks that the values of input `id` are finite, not all the same, and valid for its type.
fn check_input<'a>(graph: &Graph, id: TensorId, samples: impl Iterator<Item = (usize, &'a [f32])>) -> Result<()> {
    let tensor = &graph.tensors[id];
    let mut range = [f32::INFINITY, f32::NEG_INFINITY];
    for (sample, numbers) in samples {
        if let Some((index, &value)) = numbers.iter().enumerate().find(|(_, number)| !number.is_finite()) {
            return Err(QuantizeError::NotFinite { sample, input: tensor.name.clone(), index, value });
        }
        range = numbers.iter().fold(range, |[low, high], &number| [low.min(number), high.max(number)]);
        // f32 holds whole numbers exactly up to this magnitude.
        let whole = |number: f32| number.fract() == 0.0 && number.abs() <= (1 << 24) as f32;
        let wrong = numbers.iter().enumerate().find(|(_, number)| tensor.dtype == ElementType::I32 && !whole(**number));
        if let Some((index, &value)) = wrong {
            let input = tensor.name.clone();
            return Err(QuantizeError::NotWhole { sample, input, index, value });
        }
    }
    if range[0] == range[1] && tensor.dtype == ElementType::F32 {
        return Err(QuantizeError::Constant { input: tensor.name.clone(), value: range[0] });
    }
    Ok(())
}

/// Checks that the input range is valid.
pub(super) fn check_range(input_range: Option<[f32; 2]>) -> Result<()> {
    match input_range {
        Some([low, high]) if !(low.is_finite() && high.is_finite() && low < high) => {
            Err(QuantizeError::InputRange { low, high })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::graph::Tensor;

    fn graph(inputs: &[(ElementType, &[u32])]) -> Graph {
        let mut graph = Graph::default();
        for (k, (dtype, shape)) in inputs.iter().enumerate() {
            let id = graph.add(Tensor::computed(format!("x{k}"), *dtype, shape.to_vec()));
            graph.inputs.push(id);
        }
        graph
    }

    fn refused(graph: &Graph, samples: &[Vec<f32>]) -> String {
        Samples::new(graph, &[samples.to_vec()]).unwrap_err().to_string()
    }

    #[test]
    fn rejects_bad_calibration_data_with_the_reason() {
        let graph = graph(&[(ElementType::F32, &[1, 2])]);
        assert!(refused(&graph, &[]).contains("empty"));
        assert!(Samples::new(&graph, &[]).unwrap_err().to_string().contains("empty"));
        let error = refused(&graph, &[vec![0.0, 1.0], vec![1.0]]);
        assert!(error.starts_with("calibration sample 1 has 1 numbers; the network takes 2 ([1, 2])"), "{error}");
        assert!(refused(&graph, &[vec![0.0, f32::NAN]]).contains("sample 0 is NaN at index 1"));
        assert!(refused(&graph, &[vec![f32::INFINITY, 0.0]]).contains("sample 0 is inf at index 0"));
        assert!(refused(&graph, &[vec![0.5, 0.5], vec![0.5, 0.5]]).contains("constant: every number of `x0` is 0.5"));
    }

    #[test]
    fn each_input_is_checked_by_itself() {
        let graph = graph(&[(ElementType::F32, &[1, 2]), (ElementType::I32, &[1])]);
        let error = refused(&graph, &[vec![0.0, 1.0]]);
        assert!(error.contains("takes 3 ([1, 2] and [1])"), "{error}");
        assert!(Samples::new(&graph, &[vec![vec![0.0, 1.0, 7.0]], vec![vec![2.0, 1.0, 7.0]]]).is_ok());
        let error = refused(&graph, &[vec![0.0, 1.0, 0.5]]);
        assert!(error.contains("`x1` of calibration sample 0 is 0.5 at index 0"), "{error}");
        assert!(refused(&graph, &[vec![3.0, 3.0, 0.0], vec![3.0, 3.0, 1.0]]).contains("every number of `x0` is 3"));
        let error = refused(&graph, &[vec![0.0, 1.0, 0.0], vec![0.0, 1.0, f32::NAN]]);
        assert!(error.starts_with("input `x1` of calibration sample 1 is NaN at index 0;"), "{error}");
    }

    #[test]
    fn streams_follow_one_another() {
        let graph = graph(&[(ElementType::F32, &[1])]);
        let streams = [vec![vec![1.0], vec![2.0]], vec![], vec![vec![3.0]]];
        let samples = Samples::new(&graph, &streams).unwrap();
        let range: Vec<_> = samples.iter().map(|sample| (sample.index, sample.first, sample.numbers[0])).collect();
        assert_eq!(range, [(0, true, 1.0), (1, false, 2.0), (2, true, 3.0)]);
    }

    #[test]
    fn rejects_an_invalid_input_range() {
        assert!(check_range(Some([0.0, 1.0])).is_ok());
        for range in [[1.0, 1.0], [1.0, 0.0], [0.0, f32::NAN], [0.0, f32::INFINITY]] {
            let error = check_range(Some(range)).unwrap_err();
            assert!(matches!(error, QuantizeError::InputRange { .. }), "{error}");
        }
    }
}
