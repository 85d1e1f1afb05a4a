//! Splits the arena into the part that an operator writes and the rest, which it may read.

use core::ops::Range;
use tealight_format::{Model, Value, ValueRecord};

/// The byte range of a value.
pub(crate) const fn range(value: &Value) -> Range<usize> {
    value.offset as usize..value.offset as usize + value.len as usize
}

/// The byte range of a value's record.
pub(crate) fn range_of(value: ValueRecord<'_>) -> Range<usize> {
    let start = value.offset() as usize;
    start..start + value.byte_len() as usize
}

/// The arena without the state that an operator writes: the bytes below that state, and those above it, which start at
/// arena byte `base`. For an operator that writes no state, `above` is the whole arena.
pub(crate) struct WithoutState<'s> {
    pub(crate) below: &'s [u8],
    pub(crate) above: &'s mut [u8],
    pub(crate) base: usize,
}

/// Splits off the arena range `at`, above the state, for writing, and returns it with a reader of all the rest. For a
/// range outside of that part, both are empty.
pub(crate) fn split_output<'s>(
    model: &'s Model<'s>,
    rest: &'s mut WithoutState<'_>,
    at: Range<usize>,
) -> (&'s mut [u8], Reader<'s>) {
    let len = at.end.wrapping_sub(at.start);
    if let Some((before, above)) = rest.above.split_at_mut_checked(at.start.wrapping_sub(rest.base))
        && let Some((middle, after)) = above.split_at_mut_checked(len)
    {
        let parts = [(rest.base, &*before), (at.end, after), (0, rest.below)];
        return (middle, Reader { model, parts, strips: None });
    }
    (&mut [], Reader { model, parts: [(0, &[]); 3], strips: None })
}

/// Reads values that do not overlap the range being written.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'s> {
    model: &'s Model<'s>,
    /// Parts of the arena: the offset of each, and its bytes.
    parts: [(usize, &'s [u8]); 3],
    /// What is read in the place of the operands of an operator in a group.
    pub(crate) strips: Option<&'s Strips<'s>>,
}

/// The rows that one call of an operator in a group reads and writes, each as a record of its own.
pub(crate) struct Strips<'s> {
    pub(crate) output: ValueRecord<'s>,
    pub(crate) inputs: [ValueRecord<'s>; 2],
}

impl<'s> Reader<'s> {
    /// A reader of the whole arena, for an operator that writes elsewhere.
    #[cfg(feature = "threads")]
    pub(crate) fn of_all(model: &'s Model<'s>, memory: &'s [u8]) -> Self {
        Self { model, parts: [(0, memory), (0, &[]), (0, &[])], strips: None }
    }

    /// Value `index`; a constant without bytes for that of an absent operand, which is past the last value.
    // Out of line, as `bytes`: every operator calls it for each of its operands.
    #[inline(never)]
    pub(crate) fn value(&self, index: u16) -> ValueRecord<'s> {
        self.model.record_of_value(index.into())
    }

    /// The bytes of a value, in the file or in the arena.
    #[inline(never)]
    pub(crate) fn bytes(&self, value: ValueRecord<'_>) -> &'s [u8] {
        if value.is_constant() {
            return self.model.constant_bytes(value);
        }
        let within = |&(at, bytes): &(usize, &'s [u8])| {
            let start = (value.offset() as usize).checked_sub(at)?;
            bytes.get(start..start.checked_add(value.byte_len() as usize)?)
        };
        self.parts.iter().find_map(within).unwrap_or(&[])
    }
}
