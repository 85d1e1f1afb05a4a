//! One arena, seen as the one part that an operator writes and the rest that it reads.

use crate::tensor::{Tensor, slice_of};
use core::ops::Range;
use tealight_format::{Model, Value};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// The byte range of a value.
pub(crate) const fn range(value: &Value) -> Range<usize> {
    value.offset as usize..value.offset as usize + value.len as usize
}

/// A value as it stands in the file or in `memory`.
pub(crate) fn tensor<'s>(model: &Model<'s>, memory: &'s [u8], value: Value) -> Tensor<'s> {
    let bytes = if value.is_constant() { model.constant(&value) } else { memory.get(range(&value)).unwrap_or(&[]) };
    Tensor { value, bytes }
}

/// Cuts `memory`, which starts at arena byte `base`, into the arena range `at`, to write, and a reader of all the rest.
/// A range outside gives nothing to write.
pub(crate) fn cut<'s>(
    model: &'s Model<'s>,
    memory: &'s mut [u8],
    base: usize,
    at: Range<usize>,
) -> (&'s mut [u8], Reader<'s>) {
    let len = at.end.wrapping_sub(at.start);
    if let Some((before, rest)) = memory.split_at_mut_checked(at.start.wrapping_sub(base))
        && let Some((middle, after)) = rest.split_at_mut_checked(len)
    {
        return (middle, Reader { model, before_at: base, before, after_at: at.end, after });
    }
    (&mut [], Reader { model, before_at: 0, before: &[], after_at: 0, after: &[] })
}

/// Reads values that lie apart from the range being written.
pub(crate) struct Reader<'s> {
    model: &'s Model<'s>,
    before_at: usize,
    before: &'s [u8],
    after_at: usize,
    after: &'s [u8],
}

impl<'s> Reader<'s> {
    /// The bytes of a value, in the file or in the arena; nothing for an operand left out.
    pub(crate) fn bytes(&self, value: Option<Value>) -> &'s [u8] {
        let Some(value) = value else { return &[] };
        if value.is_constant() {
            return self.model.constant(&value);
        }
        let part = |bytes: &'s [u8], at: usize| {
            let start = (value.offset as usize).checked_sub(at)?;
            bytes.get(start..start.checked_add(value.len as usize)?)
        };
        part(self.before, self.before_at).or_else(|| part(self.after, self.after_at)).unwrap_or(&[])
    }

    /// The elements of a value.
    pub(crate) fn slice<T: FromBytes + Immutable + KnownLayout>(&self, value: Option<Value>) -> &'s [T] {
        slice_of(self.bytes(value))
    }
}
