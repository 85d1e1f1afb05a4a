//! Groups of operators that run together in passes, so that of the values between them only some rows are in memory.
//!
//! The schedule of a group follows from its end: the last operator computes some rows in each pass, and each operator
//! before it as many as its readers need by then. A value keeps the rows that windows of later passes share. What the
//! group's first operator has read for the last time is free for the group's values.
//!
//! A group can lower the peak only if it contains the operator at which it is reached, so all groups of up to
//! [`MAX_GROUP`] operators around that one are tried.

use super::place::{ALIGN, Overlap};
use crate::diag::Result;
use crate::ir::graph::{Graph, Node, NodeOp, TensorId};
use crate::lower::operands;
use tealight_format::ops::CALL_COST;
use tealight_format::{
    Group, MAX_GROUP, Op, Operands, Operator, Reading, Reuse, RowAccess, Rows, Schedule, Value, Work,
};

/// The numbers of rows of a group's last operator in each pass that are tried.
const STEPS: [u32; 4] = [1, 2, 4, 8];

/// An operator that can be in a group.
pub(super) struct Image {
    operator: Operator,
    operands: Operands,
    output: TensorId,
    /// The operand number of each input in memory, the tensor that owns its bytes, and whether it is a view of it.
    inputs: Vec<(usize, TensorId, bool)>,
    work: Work,
}

/// Consecutive nodes, and how the output of each is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grouping {
    /// Index of the first node.
    pub(crate) first: usize,
    /// Index of the last node.
    pub(crate) last: usize,
    /// How the output of each node from the first to the last is written.
    pub(crate) outputs: Vec<Schedule>,
    /// The model's input, if it comes in rows, and how.
    pub(crate) input: Option<(TensorId, Schedule)>,
    /// The maximum of the cost that running in passes adds: entering the operators again, and moving rows.
    pub(crate) cost: u64,
}

impl Grouping {
    /// The number of passes.
    pub(crate) fn passes(&self) -> u64 {
        self.outputs.last().map_or(1, |output| output.last() + 1)
    }

    /// Whether node `at` is in the group.
    pub(crate) fn contains(&self, at: usize) -> bool {
        (self.first..=self.last).contains(&at)
    }

    /// The rows of the output of node `at`, if it is in the group.
    pub(crate) fn rows(&self, at: usize) -> Option<Rows> {
        let at = at.checked_sub(self.first)?;
        Some(self.outputs.get(at)?.rows)
    }
}

/// The maximum of the cost that computing an output in passes adds.
fn added_cost(image: &Image, output: &Schedule) -> u64 {
    let value = strip(&image.operands.output, output.rows);
    let op = Op::new(image.operator, &[], 0, &image.work).in_group(Group { before: 0, after: 1 }, &image.work, &value);
    let passes = output.last() + 1;
    (passes - 1) * u64::from(CALL_COST) + passes * u64::from(op.prepare_cost)
}

/// The value whose rows are written so.
pub(crate) fn strip(value: &Value, rows: Rows) -> Value {
    let len = value.image_row().unwrap_or(0) * rows.held;
    Value { rows: Some(rows), len, ..*value }
}

/// For each node, what must be known of it to be in a group; `None` if it cannot be in one.
pub(super) fn images(graph: &Graph, works: &[Work]) -> Result<Vec<Option<Image>>> {
    graph.nodes.iter().zip(works).map(|(node, work)| image(graph, node, work)).collect()
}

fn image(graph: &Graph, node: &Node, &work: &Work) -> Result<Option<Image>> {
    let NodeOp::Kernel(operator) = node.op else { return Ok(None) };
    let operands = operands(graph, node)?;
    let output = graph.output(node)?;
    let is_image = operands.output.is_arena() && operands.output.image_row().is_some();
    let fits = is_image && work.rows == operands.output.shape.dim(1) && graph.base(output) == output;
    if !fits || !operator.can_group(&operands) {
        return Ok(None);
    }
    let in_memory = |&k: &usize| operands.input(k).is_some_and(|value| value.is_arena());
    let inputs = (0..node.inputs.len()).filter(in_memory).filter_map(|k| {
        let id = node.inputs[k]?;
        Some((k, graph.base(id), graph.base(id) != id))
    });
    let inputs = inputs.collect();
    Ok(Some(Image { operator, operands, output, inputs, work }))
}

/// The groups to try that the nodes begin with and that read the model's input `input` in rows, with different numbers of rows in
/// each pass.
pub(super) fn candidates_of_input(
    graph: &Graph,
    images: &[Option<Image>],
    live_ranges: &[Option<(u32, u32)>],
    input: TensorId,
) -> Result<Vec<Grouping>> {
    let (_, last_reader) = live_ranges[input].unwrap_or_default();
    let lasts = (1..images.len()).take(MAX_GROUP - 1).take_while(|&at| images[at].is_some());
    let mut found = Vec::new();
    for last in lasts.filter(|&last| last >= last_reader as usize) {
        for step in STEPS {
            let Some(group) = schedule(&images[..=last], 0, live_ranges, step) else { continue };
            let Some(rows) = rows_of_input(graph, &images[..=last], &group, input)? else { continue };
            if group.passes() > 1 {
                found.push(Grouping { input: Some((input, rows)), ..group });
            }
        }
    }
    Ok(found)
}

/// How the rows of the model's input `input` come to the nodes of `group`, all of which are in `images`; `None` if one of them
/// does not read it by rows.
fn rows_of_input(
    graph: &Graph,
    images: &[Option<Image>],
    group: &Grouping,
    input: TensorId,
) -> Result<Option<Schedule>> {
    let tensor = &graph.tensors[input];
    let &[1, height, ..] = &tensor.shape[..] else { return Ok(None) };
    let mut readings = Vec::new();
    for (reader, &output) in images.iter().flatten().zip(&group.outputs) {
        for &(k, base, is_view) in &reader.inputs {
            if base != input {
                continue;
            }
            let Some(access) = reader.operator.row_access(&reader.operands, k) else { return Ok(None) };
            let row = reader.operands.input(k).and_then(|value| value.image_row());
            if is_view || row != Some(access.row_bytes) {
                return Ok(None);
            }
            readings.push((access, output));
        }
    }
    if readings.is_empty() {
        return Ok(None);
    }
    let [first, step] = rows_needed(&readings, height).map(|rows| rows.unwrap_or(1));
    // Rows that no window reads must have come by the last pass, too.
    let later = step.saturating_mul(u32::try_from(group.passes() - 1).unwrap_or(u32::MAX));
    let first = first.max(height.saturating_sub(later));
    Ok(held(Rows { held: height, first, step }, height, &readings))
}

/// The rows that readings of a value of `height` rows need in the first pass, and in each further one; `None` if there is no
/// reading.
fn rows_needed(readings: &[(RowAccess, Schedule)], height: u32) -> [Option<u32>; 2] {
    let needed = |&(access, output): &(RowAccess, Schedule)| {
        let Rows { first, step, .. } = output.rows;
        let rows = (u64::from(first) - 1) * u64::from(access.stride) + u64::from(access.extent);
        [rows.saturating_sub(access.lead.into()), u64::from(step) * u64::from(access.stride)]
    };
    [0, 1].map(|i| {
        let rows = readings.iter().map(|reading| needed(reading)[i]).max();
        rows.map(|rows| rows.clamp(1, height.into()) as u32)
    })
}

/// The schedule of a value of which these rows are written, with as few of them held as the readings allow; `None` if one reads
/// rows before they are written.
fn held(rows: Rows, height: u32, readings: &[(RowAccess, Schedule)]) -> Option<Schedule> {
    let whole = Schedule { rows: Rows { held: height, ..rows }, height };
    let mut held = rows.first.max(rows.step);
    for &(access, output) in readings {
        held = held.max(Reading { access, input: whole, output }.held()?);
    }
    Some(Schedule { rows: Rows { held: held.min(height), ..rows }, height })
}

/// The groups to try around node `peak`, with different numbers of rows in each pass.
pub(super) fn candidates(images: &[Option<Image>], live_ranges: &[Option<(u32, u32)>], peak: usize) -> Vec<Grouping> {
    let mut found = Vec::new();
    for first in (0..=peak).rev().take(MAX_GROUP).take_while(|&at| images[at].is_some()) {
        let lasts = (first + 1..images.len()).take(MAX_GROUP - 1).take_while(|&at| images[at].is_some());
        for last in lasts.filter(|&last| last >= peak) {
            let of = |&step: &u32| schedule(&images[first..=last], first, live_ranges, step);
            found.extend(STEPS.iter().filter_map(of).filter(|group: &Grouping| group.passes() > 1));
        }
    }
    found
}

/// The schedule of these nodes, the first of which is node `first`, with `step` rows of the last one in each pass;
/// `None` if they cannot be a group.
fn schedule(images: &[Option<Image>], first: usize, live_ranges: &[Option<(u32, u32)>], step: u32) -> Option<Grouping> {
    let last = first + images.len() - 1;
    let end = images.last()?.as_ref()?.work.rows;
    // From the last to the first.
    let mut outputs: Vec<Schedule> = Vec::new();
    for (at, image) in images.iter().enumerate().rev() {
        let image = image.as_ref()?;
        let height = image.work.rows;
        let later = || images[at + 1..].iter().flatten().zip(outputs.iter().rev());
        let mut readings = Vec::new();
        for (reader, &output) in later() {
            for &(k, _, is_view) in reader.inputs.iter().filter(|&&(_, base, _)| base == image.output) {
                let access = reader.operator.row_access(&reader.operands, k)?;
                let same_rows = image.operands.output.image_row() == Some(access.row_bytes);
                if is_view || !same_rows {
                    return None;
                }
                readings.push((access, output));
            }
        }
        // An output that no other operator of the group reads advances with the last one.
        let own = (u64::from(step) * u64::from(height)).div_ceil(end.into());
        let own = own.clamp(1, height.into()) as u32;
        let [first_rows, step_rows] = rows_needed(&readings, height).map(|rows| rows.unwrap_or(own));
        let mut schedule = held(Rows { held: height, first: first_rows, step: step_rows }, height, &readings)?;
        if live_ranges[image.output].is_none_or(|(_, end)| end as usize > last) {
            schedule.rows.held = height;
        }
        outputs.push(schedule);
    }
    outputs.reverse();
    let last_pass = outputs.last()?.last();
    let complete = outputs.iter().all(|output| output.last() <= last_pass);
    let cost = images.iter().flatten().zip(&outputs).map(|(image, output)| added_cost(image, output)).sum();
    complete.then_some(Grouping { first, last, outputs, input: None, cost })
}

/// The overlaps of the group's outputs with inputs of its first operator that no other operator reads. `buffer` is the
/// buffer of a tensor.
pub(super) fn overlaps(
    group: &Grouping,
    images: &[Option<Image>],
    live_ranges: &[Option<(u32, u32)>],
    buffer: impl Fn(TensorId) -> usize,
) -> Vec<Overlap> {
    let Some(Some(reader)) = images.get(group.first) else { return Vec::new() };
    let whole = |base: TensorId| group.input.is_none_or(|(input, _)| input != base);
    let dies = |base: TensorId| whole(base) && live_ranges[base].is_some_and(|(_, last)| last as usize == group.first);
    let mut inputs: Vec<TensorId> = reader.inputs.iter().map(|&(_, base, _)| base).filter(|&base| dies(base)).collect();
    inputs.sort_unstable();
    inputs.dedup();
    let mut overlaps = Vec::new();
    for (at, (image, &output)) in images.iter().skip(group.first).flatten().zip(&group.outputs).enumerate() {
        let Some(row_bytes) = image.operands.output.image_row() else { continue };
        let distance = |base: TensorId| {
            let reads = reader.inputs.iter().filter(|&&(_, other, _)| other == base);
            let distances = reads.map(|&(k, ..)| {
                let access = reader.operator.row_access(&reader.operands, k)?;
                let input_rows = reader.operands.input(k)?.len.checked_div(access.row_bytes)?;
                let (reader, by_reader, last) = (group.outputs[0], at == 0, group.passes() - 1);
                let reuse = Reuse { access, input_rows, reader, output, row_bytes, by_reader, last };
                u32::try_from(reuse.distance()).ok()
            });
            distances.collect::<Option<Vec<u32>>>()?.into_iter().max()
        };
        let inputs: Vec<(usize, u32)> =
            inputs.iter().filter_map(|&base| Some((buffer(base), distance(base)?))).collect();
        if !inputs.is_empty() {
            overlaps.push(Overlap { step: group.first as u32, output: buffer(image.output), inputs, scratch: 0 });
        }
    }
    overlaps
}

/// The bytes of a value of which these rows are in memory, rounded up to the alignment.
pub(super) fn buffer_len(group: &Grouping, images: &[Option<Image>], at: usize) -> Option<u32> {
    let value = &images.get(at)?.as_ref()?.operands.output;
    strip(value, group.rows(at)?).len.checked_next_multiple_of(ALIGN)
}

/// The live ranges of buffers if the nodes of each group are one step, its first node.
pub(super) fn together(live_ranges: &[Option<(u32, u32)>], groups: &[Grouping]) -> Vec<Option<(u32, u32)>> {
    let step = |at: u32| {
        let group = groups.iter().find(|group| group.contains(at as usize));
        group.map_or(at, |group| group.first as u32)
    };
    live_ranges.iter().map(|range| range.map(|(first, last)| (step(first), step(last)))).collect()
}
