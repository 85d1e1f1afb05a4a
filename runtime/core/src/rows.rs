//! A model input that comes in rows: the program writes some of its rows before each pass of the group that reads them.
//!
//! While an inference waits for rows, its position is behind the last row of the pass before. [`next_rows`] moves it on, and
//! the rows that stay to the front of their memory; so what has been asked for is never forgotten, and no state is needed for
//! it.

use crate::group::{discard, next, rows_left, starts_pass};
use crate::linked::Ops;
use crate::memory::{range, range_of};
use crate::session::Position;
use crate::tensor::{TensorError, TensorMut};
use core::fmt;
use core::ops::Range;
use tealight_format::{Model, Shape, Value, ValueRecord};

/// Rows of a model's input that are to be written, from [`Session::input_rows`](crate::Session::input_rows).
pub struct InputRows<'s> {
    /// Which of the image's rows they are, counted from 0.
    pub range: Range<u32>,
    /// Their memory, as an image of these rows: `[1, rows, width, channels]`.
    pub tensor: TensorMut<'s>,
}

impl fmt::Debug for InputRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputRows").field("range", &self.range).finish_non_exhaustive()
    }
}

impl InputRows<'_> {
    /// Writes these rows from the bytes of the whole image.
    ///
    /// # Errors
    /// [`TensorError::Bytes`] if the image has too few bytes for them; nothing was copied then.
    pub fn copy_from_whole(&mut self, image: &[u8]) -> Result<(), TensorError> {
        let row = self.tensor.as_bytes_mut().len().checked_div(self.range.len()).unwrap_or(0);
        let at = |row_index: u32| (row_index as usize).saturating_mul(row);
        let expected = at(self.range.end);
        let bytes = image.get(at(self.range.start)..expected);
        self.tensor.copy_from_bytes(bytes.ok_or(TensorError::Bytes { expected, found: image.len() })?)
    }
}

/// The record of the model's input.
fn input<'m>(model: &Model<'m>) -> ValueRecord<'m> {
    model.record_of_value(model.input(0).unwrap_or(usize::MAX))
}

/// The rows of the input that come before pass `pass`.
fn rows_of_pass(input: ValueRecord<'_>, pass: u32) -> Range<u32> {
    let (schedule, height) = (input.rows(), input.dim(1));
    if schedule.held == 0 {
        return 0..0;
    }
    schedule.written_before(pass, height)..schedule.written(pass, height)
}

/// The position after `position`, if that is behind the last row of a pass, and rows of the input come before the next pass.
fn after_pass<O: Ops>(model: &Model<'_>, position: Position) -> Option<Position> {
    if position.op >= model.op_count() {
        return None;
    }
    let op = model.record_of_op(position.op);
    if rows_left::<O>(model, op, position) > 0 {
        return None;
    }
    let following = next::<O>(model, op, position);
    let wanted = following.op == 0 && !rows_of_pass(input(model), following.pass).is_empty();
    wanted.then_some(following)
}

/// Whether the inference waits at `position` for rows of the input.
pub(crate) fn wants_rows<O: Ops>(model: &Model<'_>, position: Position) -> bool {
    after_pass::<O>(model, position).is_some()
}

/// The position from `position` on, at the start of a pass if the inference waits for the rows that come before it. The rows of
/// the input that are read again move to the front.
pub(crate) fn next_rows<O: Ops>(model: &Model<'_>, memory: &mut [u8], position: Position) -> Position {
    let Some(following) = after_pass::<O>(model, position) else { return position };
    let (input, rows) = (input(model), rows_of_pass(input(model), following.pass));
    let gone = input.rows().oldest(rows.end).saturating_sub(input.rows().oldest(rows.start));
    let bytes = memory.get_mut(range_of(input)).unwrap_or(&mut []);
    discard(bytes, gone.wrapping_mul(input.image_row()) as usize);
    following
}

/// The rows of the input that come before the pass that begins at `position`.
pub(crate) fn rows_of_input<'s, O: Ops>(
    model: &Model<'_>,
    memory: &'s mut [u8],
    position: Position,
) -> Option<InputRows<'s>> {
    if position.op != 0 || model.op_count() == 0 || !starts_pass::<O>(model, model.record_of_op(0), position) {
        return None;
    }
    let record = input(model);
    let rows = rows_of_pass(record, position.pass);
    if rows.is_empty() {
        return None;
    }
    let (schedule, row) = (record.rows(), record.image_row());
    let first = rows.start.saturating_sub(schedule.oldest(rows.end));
    let count = rows.end.saturating_sub(rows.start);
    let value = model.input_value(0)?;
    let shape = Shape::new(&[1, count, value.shape.dim(2), value.shape.dim(3)])?;
    let (offset, len) = (value.offset.wrapping_add(first.wrapping_mul(row)), count.wrapping_mul(row));
    let value = Value { shape, offset, len, rows: None, ..value };
    Some(InputRows { range: rows, tensor: TensorMut { value, bytes: memory.get_mut(range(&value))? } })
}
