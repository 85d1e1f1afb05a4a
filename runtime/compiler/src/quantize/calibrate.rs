//! Runs the float network on the samples and keeps what quantization needs to know.

use super::range::{Params, Ranges, Seen};
use super::{QuantizeError, Result};
use crate::float::{Layer, Network, ValueId};
use std::collections::HashMap;

/// What the samples showed.
#[derive(Debug)]
pub(super) struct Calibration<'a> {
    network: &'a Network,
    samples: &'a [Vec<f32>],
    seen: Vec<Seen>,
    input_range: Option<[f32; 2]>,
}

impl<'a> Calibration<'a> {
    /// Checks the samples and runs them, twice: for the extremes, then for what lies between.
    pub(super) fn collect(
        network: &'a Network,
        samples: &'a [Vec<f32>],
        input_range: Option<[f32; 2]>,
    ) -> Result<Self> {
        check(&network.values()[network.input()].shape, samples)?;
        check_range(input_range)?;
        let mut extremes = vec![[f32::INFINITY, f32::NEG_INFINITY]; network.values().len()];
        for (index, sample) in samples.iter().enumerate() {
            for (id, numbers) in run(network, sample, index)?.iter().enumerate() {
                if let Some(&value) = numbers.iter().find(|number| !number.is_finite()) {
                    let layer = network.values()[id].name.clone();
                    return Err(QuantizeError::Overflow { layer, sample: index, value });
                }
                for &number in numbers {
                    extremes[id] = [extremes[id][0].min(number), extremes[id][1].max(number)];
                }
            }
        }
        let [low, high] = extremes[network.input()];
        if low == high {
            return Err(QuantizeError::Constant { value: low });
        }
        let mut seen: Vec<Seen> = extremes.iter().map(|&[low, high]| Seen::new(low, high)).collect();
        for (index, sample) in samples.iter().enumerate() {
            for (seen, numbers) in seen.iter_mut().zip(run(network, sample, index)?) {
                seen.add(&numbers);
            }
        }
        Ok(Self { network, samples, seen, input_range })
    }

    /// The quantization of a value by what it held.
    pub(super) fn params(&self, value: ValueId, ranges: Ranges) -> Params {
        match self.input_range {
            Some([low, high]) if value == self.network.input() => Params::of(low, high),
            _ => self.seen[value].params(ranges),
        }
    }

    /// The mean, over samples and places, of what each layer of `layers` (in the place of the node with that index)
    /// gives for the float network's own values, by output channel.
    pub(super) fn means(&self, layers: &HashMap<usize, Layer>) -> HashMap<usize, Vec<f64>> {
        let mut sums: HashMap<usize, (Vec<f64>, usize)> = HashMap::new();
        for sample in self.samples {
            let Ok(values) = self.network.run(sample) else { continue };
            for (&index, layer) in layers {
                let node = &self.network.nodes()[index];
                let inputs: Vec<&[f32]> = node.inputs.iter().map(|&id| &values[id][..]).collect();
                let output = self.network.run_node(node, layer, &inputs);
                let channels = self.network.values()[node.output].shape.last().map_or(1, |&dim| dim as usize);
                let (sum, count) = sums.entry(index).or_insert_with(|| (vec![0.0; channels], 0));
                for place in output.chunks(channels) {
                    sum.iter_mut().zip(place).for_each(|(sum, &number)| *sum += f64::from(number));
                    *count += 1;
                }
            }
        }
        let mean = |(sum, count): (Vec<f64>, usize)| sum.into_iter().map(|sum| sum / count as f64).collect();
        sums.into_iter().map(|(index, sum)| (index, mean(sum))).collect()
    }
}

fn run(network: &Network, sample: &[f32], index: usize) -> Result<Vec<Vec<f32>>> {
    let input = &network.values()[network.input()];
    network.run(sample).map_err(|_| QuantizeError::Shape {
        sample: index,
        found: sample.len(),
        expected: input.len(),
        shape: input.shape.clone(),
    })
}

/// Whether the input's range is one.
pub(super) fn check_range(input_range: Option<[f32; 2]>) -> Result<()> {
    match input_range {
        Some([low, high]) if !(low.is_finite() && high.is_finite() && low < high) => {
            Err(QuantizeError::InputRange { low, high })
        }
        _ => Ok(()),
    }
}

/// Whether the samples are numbers of the count that an input of `shape` has.
pub(super) fn check(shape: &[u32], samples: &[Vec<f32>]) -> Result<()> {
    let expected = shape.iter().fold(1usize, |count, &dim| count.saturating_mul(dim as usize));
    if samples.is_empty() {
        return Err(QuantizeError::Empty);
    }
    for (sample, numbers) in samples.iter().enumerate() {
        if numbers.len() != expected {
            let shape = shape.to_vec();
            return Err(QuantizeError::Shape { sample, found: numbers.len(), expected, shape });
        }
        if let Some((index, &value)) = numbers.iter().enumerate().find(|(_, number)| !number.is_finite()) {
            return Err(QuantizeError::NotFinite { sample, index, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::Constant;

    fn network() -> Network {
        let mut network = Network::new("x", &[1, 2]).unwrap();
        let weights = Constant::new(&[1, 2], vec![1e30, 1e30]);
        network.add("fc", Layer::FullyConnected { weights, bias: vec![0.0] }, &[0]).unwrap();
        network
    }

    fn refused(samples: &[Vec<f32>]) -> String {
        Calibration::collect(&network(), samples, None).unwrap_err().to_string()
    }

    #[test]
    fn bad_calibration_data_is_named() {
        assert!(refused(&[]).contains("empty"));
        assert!(
            refused(&[vec![0.0, 1.0], vec![1.0]])
                .starts_with("calibration sample 1 has 1 numbers; the network takes 2")
        );
        assert!(refused(&[vec![0.0, f32::NAN]]).contains("sample 0 is NaN at index 1"));
        assert!(refused(&[vec![f32::INFINITY, 0.0]]).contains("sample 0 is inf at index 0"));
        assert!(refused(&[vec![0.5, 0.5], vec![0.5, 0.5]]).contains("constant: every number is 0.5"));
        assert!(refused(&[vec![1e20, 0.0]]).contains("layer `fc` gives inf on calibration sample 0"));
    }

    #[test]
    fn an_input_range_that_is_none_is_refused() {
        let samples = [vec![0.0, 1.0]];
        for range in [[1.0, 1.0], [1.0, 0.0], [0.0, f32::NAN], [0.0, f32::INFINITY]] {
            let error = Calibration::collect(&network(), &samples, Some(range)).unwrap_err();
            assert!(matches!(error, QuantizeError::InputRange { .. }), "{error}");
        }
    }
}
