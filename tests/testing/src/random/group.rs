//! Groups: consecutive steps that run together in passes, with the rows of their outputs.

use super::{Builder, Ref};
use tealight_format::{Group, OpCode, Operands, Reading, Reuse, RowAccess, Rows, Schedule};

/// Operators that can be in a group, on int8 images.
const I8_CODES: &[OpCode] = &[
    OpCode::Conv2d,
    OpCode::DepthwiseConv2d,
    OpCode::AvgPool2d,
    OpCode::MaxPool2d,
    OpCode::Add,
    OpCode::Mul,
    OpCode::Lookup,
];

/// Those on f32 images.
const F32_CODES: &[OpCode] =
    &[OpCode::Conv2dF32, OpCode::DepthwiseConv2dF32, OpCode::MaxPool2dF32, OpCode::AddF32, OpCode::UnaryF32];

/// Those on int16 images.
const I16_CODES: &[OpCode] =
    &[OpCode::Conv2dI16, OpCode::DepthwiseConv2dI16, OpCode::MaxPool2dI16, OpCode::AddI16, OpCode::RequantizeI16];

/// Operators that can be in a group, by the type of the images that they read.
pub(super) const IMAGE_CODES: [&[OpCode]; 3] = [I8_CODES, F32_CODES, I16_CODES];

impl Builder<'_, '_> {
    fn operands(&self, at: usize) -> Operands {
        let step = &self.steps[at];
        Operands {
            inputs: core::array::from_fn(|k| step.inputs.get(k).copied().flatten().map(|i| self.get(i))),
            count: step.inputs.len(),
            output: self.parts.values[step.output],
        }
    }

    /// Makes some consecutive steps a group, if there are any that can be one.
    pub(super) fn group(&mut self) {
        let start = self.steps.iter().rposition(|step| !step.group.is_none()).map_or(0, |at| at + 1);
        if self.steps.len() < start + 2 {
            return;
        }
        let back = if self.chained { 0 } else { self.choose.below((self.steps.len() - start) as u32 - 1) as usize };
        let first = start + back;
        let last = first + 1 + self.choose.below((self.steps.len() - first - 1) as u32) as usize;
        let Some(schedules) = self.schedules(first, last) else { return };
        for (at, schedule) in (first..=last).zip(schedules) {
            let v = &mut self.parts.values[self.steps[at].output];
            v.len = v.image_row().unwrap_or(0) * schedule.rows.held;
            v.rows = Some(schedule.rows);
            self.steps[at].group = Group { before: (at - first) as u8, after: (last - at) as u8 };
        }
        if self.chained && first == 0 {
            self.input_in_rows(last);
        }
    }

    /// Lets the rows of the only input come to the group of the steps up to `last`, if only they read it.
    fn input_in_rows(&mut self, last: usize) {
        let &[input] = &self.inputs[..] else { return };
        let v = self.parts.values[input];
        let (height, wrong) = (v.shape.dim(1), self.choose.one_in(16));
        let has_views = self.parts.values.iter().any(|v| v.alias == Some(input as u16));
        if v.image_row().is_none() || ((usize::from(v.last) > last || has_views) && !wrong) {
            return;
        }
        let mut readings = Vec::new();
        for at in 0..=last {
            let operands = self.operands(at);
            for (k, read) in self.steps[at].inputs.iter().enumerate() {
                if *read == Some(Ref::Value(input)) {
                    let access = self.steps[at].operator.row_access(&operands, k);
                    let (Some(access), Some(output)) = (access, operands.output.schedule()) else { return };
                    readings.push((access, output));
                }
            }
        }
        let whole = self.operands(last).output.schedule();
        let rows = self.rows_for(&readings, height, [1, 1], whole);
        let v = &mut self.parts.values[input];
        v.len = v.image_row().unwrap_or(0) * rows.held;
        v.rows = Some(rows);
    }

    /// The rows of a value of height `height` that these readings need, and sometimes more, or less; `own` in the first pass and
    /// in each further one if there is no reading. The passes are those of the group's last output, if it is known.
    fn rows_for(
        &mut self,
        readings: &[(RowAccess, Schedule)],
        height: u32,
        own: [u32; 2],
        whole: Option<Schedule>,
    ) -> Rows {
        let slack = if self.choose.one_in(4) { self.choose.between(-1, 2) } else { 0 };
        let first = readings.iter().map(|(access, output)| {
            let rows = (output.rows.first - 1).saturating_mul(access.stride).saturating_add(access.extent);
            rows.saturating_sub(access.lead)
        });
        let step = readings.iter().map(|(access, output)| output.rows.step.saturating_mul(access.stride));
        let clamped = |rows: u32| rows.saturating_add_signed(slack).clamp(1, height);
        let [mut first, step] = [first.max().unwrap_or(own[0]), step.max().unwrap_or(own[1])].map(clamped);
        // The last pass has to write the last row, also where it is not read.
        if let Some(whole) = whole.filter(|_| !self.choose.one_in(16)) {
            let later = u32::try_from(whole.last()).unwrap_or(u32::MAX).saturating_mul(step);
            first = first.max(height.saturating_sub(later));
        }
        let input = Schedule { rows: Rows { held: height, first, step }, height };
        let held = readings.iter().map(|&(access, output)| Reading { access, input, output }.held().unwrap_or(1));
        let held = held.max().unwrap_or(1).max(first).max(step);
        let less = u32::from(held > first.max(step) && self.choose.one_in(3));
        Rows { held: held.min(height).saturating_sub(less).max(1), first, step }
    }

    /// The rows of the outputs of steps `first` to `last`: what the later ones need, and sometimes more, or less.
    fn schedules(&mut self, first: usize, last: usize) -> Option<Vec<Schedule>> {
        let mut schedules: Vec<Option<Schedule>> = vec![None; self.steps.len()];
        for at in (first..=last).rev() {
            let operands = self.operands(at);
            let output = operands.output;
            let (height, index) = (output.shape.dim(1), self.steps[at].output);
            let is_image = output.image_row().is_some() && output.is_arena() && self.steps[at].work.rows == height;
            if !is_image || self.steps[at].scratch.is_some() || !self.steps[at].operator.can_group(&operands) {
                return None;
            }
            let mut readings = Vec::new();
            for (reader, schedule) in schedules.iter().enumerate().take(last + 1).skip(at + 1) {
                let operands = self.operands(reader);
                for (k, input) in self.steps[reader].inputs.iter().enumerate() {
                    if *input == Some(Ref::Value(index)) {
                        readings.push((self.steps[reader].operator.row_access(&operands, k)?, (*schedule)?));
                    }
                }
            }
            let own = self.choose.between(1, 3) as u32;
            let mut rows = self.rows_for(&readings, height, [own; 2], schedules[last]);
            if usize::from(output.last) > last {
                rows.held = height;
            }
            schedules[at] = Some(Schedule { rows, height });
        }
        schedules.into_iter().skip(first).take(last + 1 - first).collect()
    }

    /// The first and the last step during which value `i` must keep its bytes.
    pub(super) fn residence(&self, i: usize) -> (usize, usize) {
        let v = self.parts.values[i];
        let group = |at: u16| self.steps.get(usize::from(at)).map_or(Group::NONE, |step| step.group);
        let (first, last) = (usize::from(v.first), usize::from(v.last));
        (first - usize::from(group(v.first).before), last + usize::from(group(v.last).after))
    }

    /// Where the output of step `at` of a group may lie over an input that dies in the group's first step.
    pub(super) fn reused_offset(&mut self, at: usize, lowest: u32, placed: &[usize]) -> Option<u32> {
        let group = self.steps[at].group;
        let first = at - usize::from(group.before);
        let last = self.parts.values[self.steps[at + usize::from(group.after)].output].schedule()?.last();
        let (reader, operands) = (&self.steps[first], self.operands(first));
        let output = self.parts.values[self.steps[at].output];
        for (k, input) in reader.inputs.iter().enumerate() {
            let Some(Ref::Value(i)) = *input else { continue };
            let base = self.base(i);
            let v = self.parts.values[base];
            let Some(access) = reader.operator.row_access(&operands, k) else { continue };
            if usize::from(v.last) != first || (v.rows.is_some() && first == 0) || !placed.contains(&base) {
                continue;
            }
            let reuse = Reuse {
                access,
                input_rows: self.get(Ref::Value(i)).len / access.row_bytes,
                reader: operands.output.schedule()?,
                output: output.schedule()?,
                row_bytes: output.image_row()?,
                by_reader: at == first,
                last,
            };
            let distance = u32::try_from(reuse.distance()).ok()?.next_multiple_of(16);
            let offset = v.offset.checked_sub(distance).filter(|&offset| offset >= lowest);
            let Some(offset) = offset else { continue };
            if self.free(self.steps[at].output, offset, placed, Some(base)) {
                return Some(offset);
            }
        }
        None
    }
}
