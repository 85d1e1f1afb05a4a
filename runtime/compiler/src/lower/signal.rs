//! TensorFlow Lite Micro's signal operators: their tables.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, TensorId};
use std::f64::consts::PI;
use tealight_format::Operator;
use tealight_format::ops::SignalLog;

/// The maximum number of weights of all bands of a filter bank together.
const MAX_WEIGHTS: i64 = 1 << 18;

impl Lowering<'_> {
    /// Lowers a node of `operator`, which may need tables.
    pub(super) fn signal(&mut self, node: &Node, operator: Operator) -> Result<()> {
        let output = self.graph.output(node)?;
        let inputs = match operator {
            Operator::SignalRfft(rfft) => {
                let table = self.twiddles(output, rfft.length.unsigned_abs())?;
                vec![node.inputs[0], Some(table)]
            }
            Operator::SignalLog(_) => vec![node.inputs[0], Some(self.logarithms(output)?)],
            Operator::SignalFilterBank(_) => self.filter_bank(node, output)?.to_vec(),
            _ => node.inputs.clone(),
        };
        self.emit(node, operator, &inputs, output);
        Ok(())
    }

    /// The table of a transform of so many samples: cosines and sines as kissfft computes them.
    fn twiddles(&mut self, owner: TensorId, length: u32) -> Result<TensorId> {
        let half = length / 2;
        let of_pairs = (0..half).map(|k| -2.0 * PI * f64::from(k) / f64::from(half));
        let last = (0..half / 2).map(|k| -PI * (f64::from(k + 1) / f64::from(half) + 0.5));
        let fixed = |x: f64| (0.5 + f64::from(i16::MAX) * x).floor() as i16;
        let numbers = of_pairs.chain(last).flat_map(|phase| [fixed(phase.cos()), fixed(phase.sin())]);
        let bytes = numbers.flat_map(i16::to_le_bytes).collect();
        self.add_constant(owner, "twiddles", ElementType::I16, vec![length / 4 * 3, 2], bytes)
    }

    fn logarithms(&mut self, owner: TensorId) -> Result<TensorId> {
        let numbers = (0..SignalLog::TABLE).map(|i| {
            let x = f64::from(i) / 128.0;
            (((1.0 + x).log2() - x) * 65_536.0).round() as i16
        });
        let bytes = numbers.flat_map(i16::to_le_bytes).collect();
        self.add_constant(owner, "table", ElementType::I16, vec![SignalLog::TABLE], bytes)
    }

    /// The inputs of a filter bank. Its weights are stored in the order of its bands.
    fn filter_bank(&mut self, node: &Node, output: TensorId) -> Result<[Option<TensorId>; 4]> {
        if node.inputs.len() != 7 {
            return Err(self.graph.unsupported(node, "a SignalFilterBankSquareRoot, which alone reads its sums"));
        }
        let mut lists = Vec::new();
        for k in 1..6 {
            self.constant(node, k, ElementType::I16)?;
            let id = self.graph.input(node, k)?;
            lists.push(self.tensor(id).integers().unwrap_or_default());
        }
        let [own, next, energies, starts, counts] = &lists[..] else { return Err(self.wrong_bands(node)) };
        let bands = energies.len();
        if [starts.len(), counts.len()] != [bands; 2] || bands != self.tensor(output).elements() + 1 {
            return Err(self.wrong_bands(node));
        }
        let total: i64 = counts.iter().map(|&count| count.max(0)).sum();
        if total > MAX_WEIGHTS {
            let accepted = format!("bands of at most {MAX_WEIGHTS} weights together, not {total}");
            return Err(self.graph.unsupported(node, accepted));
        }
        let known = self.tensor(self.graph.input(node, 0)?).elements();
        let (mut table, mut weights) = (Vec::new(), Vec::new());
        for ((&energy, &start), &count) in energies.iter().zip(starts).zip(counts) {
            let (count, start) = (count.max(0) as usize, usize::try_from(start).unwrap_or(usize::MAX));
            let (Some(own), Some(next)) = (run(own, start, count), run(next, start, count)) else {
                return Err(self.wrong_bands(node));
            };
            if count > 0 && !usize::try_from(energy).is_ok_and(|energy| energy + count <= known) {
                return Err(self.wrong_bands(node));
            }
            table.extend([energy, count as i64]);
            weights.extend(own.iter().zip(next).flat_map(|(&own, &next)| [own, next]));
        }
        let mut added = |what: &str, numbers: Vec<i64>| {
            let shape = vec![u32::try_from(numbers.len() / 2).unwrap_or(u32::MAX), 2];
            let bytes = numbers.into_iter().flat_map(|number| (number as i16).to_le_bytes()).collect();
            self.add_constant(output, what, ElementType::I16, shape, bytes)
        };
        let (weights, table) = (added("weights", weights)?, added("bands", table)?);
        Ok([node.inputs[0], Some(weights), Some(table), node.inputs[6]])
    }

    fn wrong_bands(&self, node: &Node) -> crate::diag::CompileError {
        self.graph.invalid(node, "its bands do not fit its energies, weights or channels")
    }
}

/// The numbers from `start` on; none are inside if there are to be none.
fn run(numbers: &[i64], start: usize, count: usize) -> Option<&[i64]> {
    if count == 0 { Some(&[]) } else { numbers.get(start..start.checked_add(count)?) }
}
