//! Sparse constants become dense as they are read.
//!
//! A sparse tensor is a tree. Its levels are the tensor's dimensions, and then those of blocks that some of them are cut
//! into, in a stated order. The children of an entry are all indices of a dense level, or those that a compressed level
//! lists; each leaf is a stored element. All other elements are zero.

use super::schema;
use flatbuffers::Vector;

/// The maximum number of levels.
const MAX_LEVELS: usize = 32;

/// One level of the tree.
struct Level {
    /// The dimension of the tensor that it indexes, or an index of a block in that.
    dimension: usize,
    /// The number of elements of the tensor, along that dimension, from one index to the next.
    step: usize,
    /// The number of indices.
    size: usize,
    /// The segments and indices of a compressed level.
    compressed: Option<[Vec<i64>; 2]>,
}

/// The elements that a sparse tensor stores, and where they belong.
struct Tree<'b> {
    levels: Vec<Level>,
    /// For each dimension of the tensor, the number of elements from one index to the next.
    strides: Vec<usize>,
    /// The stored elements, `size` bytes each, that have not been placed.
    left: &'b [u8],
    size: usize,
    dense: Vec<u8>,
}

/// Returns the elements of a sparse tensor of this shape, of `size` bytes each, in the order of a dense one. The shape has
/// at most as many elements as may be allocated.
pub(super) fn densify(
    sparsity: &schema::SparsityParameters<'_>,
    shape: &[u32],
    size: usize,
    stored: &[u8],
) -> Result<Vec<u8>, String> {
    let shape: Vec<usize> = shape.iter().map(|&dim| dim as usize).collect();
    let len = shape.iter().try_fold(size, |len, &dim| len.checked_mul(dim)).ok_or("its shape is too large")?;
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    let levels = levels(sparsity, &shape)?;
    let mut tree = Tree { levels, strides, left: stored, size, dense: vec![0; len] };
    tree.place(0, 0, 0)?;
    match tree.left.len() {
        0 => Ok(tree.dense),
        left => Err(format!("{left} bytes of its elements belong nowhere")),
    }
}

fn levels(sparsity: &schema::SparsityParameters<'_>, shape: &[usize]) -> Result<Vec<Level>, String> {
    let metadata: Vec<_> = sparsity.dim_metadata().iter().flat_map(Vector::iter).collect();
    let list = |list: Option<Vector<'_, i32>>| -> Vec<usize> {
        list.iter().flat_map(Vector::iter).map(|value| usize::try_from(value).unwrap_or(usize::MAX)).collect()
    };
    let (order, blocks) = (list(sparsity.traversal_order()), list(sparsity.block_map()));
    let rank = shape.len();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let count = rank + blocks.len();
    if metadata.len() != count || count > MAX_LEVELS || !sorted.into_iter().eq(0..count) {
        return Err(format!("its {count} dimensions are not each described once"));
    }
    // What is left of each dimension once it is cut into blocks.
    let mut cut = shape.to_vec();
    let mut block_sizes = vec![0; blocks.len()];
    for (&level, metadata) in order.iter().zip(&metadata).filter(|(level, _)| **level >= rank) {
        let block = level - rank;
        let size = usize::try_from(metadata.dense_size()).unwrap_or(0);
        match blocks.get(block).and_then(|&dimension| cut.get_mut(dimension)) {
            Some(dim) if size > 0 && dim.is_multiple_of(size) => *dim /= size,
            _ => return Err(format!("block dimension {block} of size {size} does not divide a dimension")),
        }
        block_sizes[block] = size;
    }
    let level = |(&level, metadata): (&usize, &schema::DimensionMetadata<'_>)| {
        let (dimension, size, step) = match level.checked_sub(rank) {
            // The elements of the blocks of a dimension that come after this block lie within it.
            Some(block) => (blocks[block], block_sizes[block], inner(&blocks, &block_sizes, blocks[block], block + 1)),
            None => (level, cut[level], inner(&blocks, &block_sizes, level, 0)),
        };
        let compressed = match metadata.format() {
            0 => None,
            1 => Some([metadata.segments(), metadata.indices()].map(Option::unwrap_or_default)),
            other => return Err(format!("dimension {level} has the unknown format {other}")),
        };
        Ok(Level { dimension, step, size, compressed })
    };
    order.iter().zip(&metadata).map(level).collect()
}

/// Returns the product of the sizes of those blocks from number `from` that cut `dimension`.
fn inner(blocks: &[usize], sizes: &[usize], dimension: usize, from: usize) -> usize {
    let cutting = blocks.iter().zip(sizes).skip(from).filter(|(cut, _)| **cut == dimension);
    cutting.fold(1, |count, (_, &size)| count.saturating_mul(size))
}

impl Tree<'_> {
    /// Places the elements below entry `entry` of the levels before `level`; `at` is the position that their indices lead
    /// to.
    fn place(&mut self, level: usize, entry: usize, at: usize) -> Result<(), String> {
        let Some(Level { dimension, step, size, compressed }) = self.levels.get(level) else {
            let (element, left) = self.left.split_at_checked(self.size).ok_or("it stores too few elements")?;
            self.left = left;
            let place = at.checked_mul(self.size).and_then(|start| self.dense.get_mut(start..)?.get_mut(..self.size));
            place.ok_or("an element lies outside its shape")?.copy_from_slice(element);
            return Ok(());
        };
        let (size, stride) = (*size, step * self.strides[*dimension]);
        let Some([segments, _]) = compressed else {
            for index in 0..size {
                self.place(level + 1, entry.saturating_mul(size) + index, at + index * stride)?;
            }
            return Ok(());
        };
        let bound = |i: usize| segments.get(i).and_then(|&bound| usize::try_from(bound).ok());
        let bounds = bound(entry).zip(bound(entry + 1));
        let (start, end) = bounds.ok_or_else(|| format!("dimension {dimension} has too few segments"))?;
        for i in start..end {
            // Looked up again, because placing changes `self`.
            let Some(Level { compressed: Some([_, indices]), .. }) = self.levels.get(level) else { break };
            let index = indices.get(i).and_then(|&index| usize::try_from(index).ok()).filter(|&index| index < size);
            let index =
                index.ok_or_else(|| format!("index {i} of level {level} is missing or outside its dimension"))?;
            self.place(level + 1, i, at + index * stride)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

    /// A level of a file: dense of a size, or compressed by segments and indices, whose numbers have 1, 2 or 4 bytes.
    enum Of<'v> {
        Dense(i32),
        Compressed(&'v [u8], &'v [u16]),
        Wide(&'v [i32], &'v [u8]),
    }

    fn list<'b, T>(b: &mut FlatBufferBuilder<'b>, values: &[T]) -> WIPOffset<UnionWIPOffset>
    where
        T: flatbuffers::Push<Output: 'b> + Copy,
    {
        let values = b.create_vector(values);
        let start = b.start_table();
        b.push_slot_always(4, values);
        WIPOffset::new(b.end_table(start).value())
    }

    /// Makes the tensor dense, whose stored elements are bytes.
    fn dense(
        order: &[i32],
        blocks: &[i32],
        levels: &[Of<'_>],
        shape: &[u32],
        stored: &[u8],
    ) -> Result<Vec<u8>, String> {
        let mut b = FlatBufferBuilder::new();
        let mut metadata = Vec::new();
        for level in levels {
            let lists = match level {
                Of::Dense(_) => None,
                Of::Compressed(segments, indices) => Some([(3u8, list(&mut b, segments)), (2, list(&mut b, indices))]),
                Of::Wide(segments, indices) => Some([(1, list(&mut b, segments)), (3, list(&mut b, indices))]),
            };
            let start = b.start_table();
            match (level, lists) {
                (Of::Dense(size), _) => b.push_slot_always(6, *size),
                (_, lists) => {
                    b.push_slot_always(4, 1i8);
                    for (i, (code, table)) in lists.into_iter().flatten().enumerate() {
                        let slot = 8 + 4 * u16::try_from(i).unwrap();
                        b.push_slot_always(slot, code);
                        b.push_slot_always(slot + 2, table);
                    }
                }
            }
            metadata.push(b.end_table(start));
        }
        let (order, blocks, metadata) = (b.create_vector(order), b.create_vector(blocks), b.create_vector(&metadata));
        let start = b.start_table();
        b.push_slot_always(4, order);
        b.push_slot_always(6, blocks);
        b.push_slot_always(8, metadata);
        let root = b.end_table(start);
        b.finish_minimal(root);
        let sparsity = flatbuffers::root::<schema::SparsityParameters<'_>>(b.finished_data()).unwrap();
        densify(&sparsity, shape, 1, stored)
    }

    #[test]
    fn rows_list_the_columns_of_their_elements() {
        let levels = [Of::Dense(3), Of::Compressed(&[0, 2, 2, 3], &[1, 3, 0])];
        let expected = [0, 7, 0, 8, 0, 0, 0, 0, 9, 0, 0, 0];
        assert_eq!(dense(&[0, 1], &[], &levels, &[3, 4], &[7, 8, 9]).unwrap(), expected);
        // The columns first: rows of the transposed matrix.
        let levels = [Of::Dense(4), Of::Wide(&[0, 1, 2, 2, 3], &[2, 0, 0])];
        assert_eq!(dense(&[1, 0], &[], &levels, &[3, 4], &[9, 7, 8]).unwrap(), expected);
    }

    #[test]
    fn blocks_are_dense_within() {
        // Squares of 2 x 2: the second of the first row of blocks, the first of the second.
        let levels = [Of::Dense(2), Of::Compressed(&[0, 1, 2], &[1, 0]), Of::Dense(2), Of::Dense(2)];
        let stored = [1, 2, 3, 4, 5, 6, 7, 8];
        let expected = [0, 0, 1, 2, 0, 0, 3, 4, 5, 6, 0, 0, 7, 8, 0, 0];
        assert_eq!(dense(&[0, 1, 2, 3], &[0, 1], &levels, &[4, 4], &stored).unwrap(), expected);
        // A dimension cut twice, and walked in another order.
        let levels = [Of::Dense(2), Of::Dense(2), Of::Dense(2)];
        let order = dense(&[0, 2, 1], &[0, 0], &levels, &[8], &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert_eq!(order, [1, 3, 2, 4, 5, 7, 6, 8]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let columns: &[u16] = &[1, 3, 0];
        let of = |segments, indices, stored: &[u8]| {
            dense(&[0, 1], &[], &[Of::Dense(3), Of::Compressed(segments, indices)], &[3, 4], stored).unwrap_err()
        };
        assert!(of(&[0, 2, 2, 3], columns, &[7, 8]).contains("too few elements"));
        assert!(of(&[0, 2, 2, 3], columns, &[7, 8, 9, 10]).contains("belong nowhere"));
        assert!(of(&[0, 2, 2], columns, &[7, 8, 9]).contains("too few segments"));
        assert!(of(&[0, 2, 2, 4], columns, &[7, 8, 9, 10]).contains("index 3"));
        assert!(of(&[0, 2, 2, 3], &[1, 4, 0], &[7, 8, 9]).contains("index 1"));
        let levels = || [Of::Dense(3), Of::Dense(4)];
        assert!(dense(&[0, 0], &[], &levels(), &[3, 4], &[0; 12]).unwrap_err().contains("described once"));
        assert!(dense(&[0], &[], &levels(), &[3, 4], &[0; 12]).unwrap_err().contains("described once"));
        let blocked = [Of::Dense(3), Of::Dense(4), Of::Dense(3)];
        assert!(dense(&[0, 1, 2], &[1], &blocked, &[3, 4], &[0; 12]).unwrap_err().contains("does not divide"));
        assert!(dense(&[0, 1, 2], &[2], &blocked, &[3, 4], &[0; 12]).unwrap_err().contains("does not divide"));
    }
}
