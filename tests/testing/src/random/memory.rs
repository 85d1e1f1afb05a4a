//! Live ranges and offsets of values, with reuse and overlap.

use super::{Builder, Ref};
use tealight_format::{Operands, Value, align16};

impl Builder<'_, '_> {
    /// Computes the live range of each value.
    pub(super) fn assign_live_ranges(&mut self) {
        let ops = self.steps.len() as u16;
        for (at, step) in self.steps.iter().enumerate() {
            for i in [Some(step.output), step.scratch].into_iter().flatten() {
                (self.parts.values[i].first, self.parts.values[i].last) = (at as u16, at as u16);
            }
        }
        for at in 0..self.steps.len() {
            for k in 0..self.steps[at].inputs.len() {
                if let Some(Ref::Value(i)) = self.steps[at].inputs[k] {
                    let base = self.base(i);
                    self.parts.values[base].last = self.parts.values[base].last.max(at as u16);
                }
            }
        }
        for k in 0..self.outputs.len() {
            let base = self.base(self.outputs[k]);
            self.parts.values[base].last = ops;
        }
    }

    /// Assigns offsets: state first, then each value where nothing live is, or over an input whose live range ends.
    pub(super) fn memory(&mut self) {
        let mut end = 0;
        for v in self.parts.values.iter_mut().filter(|v| v.is_state() && v.alias.is_none()) {
            v.offset = end;
            end = align16(v.end()) as u32;
        }
        // Room below, for outputs that start before their inputs.
        let base = end + 16 * self.choose.below(40);
        let mut placed: Vec<usize> = Vec::new();
        for k in 0..self.inputs.len() {
            self.place(self.inputs[k], base, &mut placed);
        }
        for at in 0..self.steps.len() {
            let output = self.steps[at].output;
            let sharing = if !self.steps[at].group.is_none() {
                self.reused_offset(at, end, &placed)
            } else if self.steps[at].scratch.is_some() {
                self.shared_offset(at, end, &placed)
            } else {
                None
            };
            if let Some(offset) = sharing {
                self.parts.values[output].offset = offset;
                placed.push(output);
            } else if self.parts.values[output].is_arena() {
                self.place(output, base, &mut placed);
            }
            if let Some(scratch) = self.steps[at].scratch {
                self.place(scratch, base, &mut placed);
            }
        }
        for i in 0..self.parts.values.len() {
            self.parts.values[i].offset = self.parts.values[self.base(i)].offset;
        }
    }

    pub(super) fn free(&self, i: usize, offset: u32, placed: &[usize], besides: Option<usize>) -> bool {
        let a = Value { offset, ..self.parts.values[i] };
        let (first, last) = self.residence(i);
        placed.iter().filter(|&&j| Some(j) != besides).all(|&j| {
            let b = self.parts.values[j];
            let (b_first, b_last) = self.residence(j);
            let together = first <= b_last && b_first <= last;
            !together || u64::from(a.offset) >= b.end() || u64::from(b.offset) >= a.end()
        })
    }

    fn place(&mut self, i: usize, base: u32, placed: &mut Vec<usize>) {
        let mut offsets: Vec<u32> = placed.iter().map(|&j| align16(self.parts.values[j].end()) as u32).collect();
        offsets.push(base);
        offsets.sort_unstable();
        let free: Vec<u32> = offsets.into_iter().filter(|&offset| self.free(i, offset, placed, None)).collect();
        // The end of the last is always free.
        let which = if self.choose.one_in(4) { free.len() - 1 } else { 0 };
        self.parts.values[i].offset = free[which];
        placed.push(i);
    }

    /// Where the output of step `at` may lie over one of its inputs.
    fn shared_offset(&mut self, at: usize, lowest: u32, placed: &[usize]) -> Option<u32> {
        let first = self.choose.below(3) as usize;
        let step = &self.steps[at];
        let operands = Operands {
            inputs: core::array::from_fn(|k| step.inputs.get(k).copied().flatten().map(|i| self.get(i))),
            count: step.inputs.len(),
            output: self.parts.values[step.output],
        };
        for (k, input) in step.inputs.iter().enumerate().cycle().skip(first).take(step.inputs.len()) {
            let Some(Ref::Value(i)) = *input else { continue };
            let base = self.base(i);
            let v = self.parts.values[base];
            let Some(access) = step.operator.row_access(&operands, k) else { continue };
            if usize::from(v.last) != at || !placed.contains(&base) {
                continue;
            }
            let distance = align16(u64::from(access.distance(&step.work))) as u32;
            let offset = v.offset.checked_sub(distance).filter(|&offset| offset >= lowest);
            if let Some(offset) = offset.filter(|&offset| self.free(step.output, offset, placed, Some(base))) {
                return Some(offset);
            }
        }
        None
    }
}
