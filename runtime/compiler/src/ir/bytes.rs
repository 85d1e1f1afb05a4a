//! The bytes of constants: ranges of shared memory that is held once, however many tensors use it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

/// Bytes that are shared, not copied: a whole allocation, or a range of one.
///
/// A clone refers to the same bytes. Equality compares contents, wherever they are stored; the hash is computed once
/// for all clones.
///
/// ```
/// use tealight_compiler::graph::Bytes;
///
/// let bytes = Bytes::from(vec![1, 2, 3]);
/// assert_eq!(bytes, Bytes::from([1, 2, 3]));
/// assert_eq!(bytes.len(), 3);
/// ```
#[derive(Clone)]
pub struct Bytes(Arc<Shared>);

struct Shared {
    owner: Arc<[u8]>,
    range: Range<usize>,
    hash: OnceLock<u64>,
}

impl Bytes {
    fn shared(owner: Arc<[u8]>, range: Range<usize>) -> Self {
        Self(Arc::new(Shared { owner, range, hash: OnceLock::new() }))
    }

    /// Returns a number that identifies these bytes and their clones, as long as one of them is held. Other bytes of
    /// equal content have another one.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Returns the address and the length of the memory that these bytes are a range of.
    pub(crate) fn owner(&self) -> (usize, usize) {
        (self.0.owner.as_ptr().addr(), self.0.owner.len())
    }

    fn digest(&self) -> u64 {
        *self.0.hash.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self[..].hash(&mut hasher);
            hasher.finish()
        })
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // The range was taken from the owner's own bytes.
        self.0.owner.get(self.0.range.clone()).unwrap_or_default()
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity() || (self.len() == other.len() && self[..] == other[..])
    }
}

impl Eq for Bytes {}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest());
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        let range = 0..bytes.len();
        Self::shared(bytes, range)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Arc::<[u8]>::from(bytes))
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self::from(Arc::<[u8]>::from(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for Bytes {
    fn from(bytes: [u8; N]) -> Self {
        Self::from(Arc::<[u8]>::from(bytes))
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<T: IntoIterator<Item = u8>>(bytes: T) -> Self {
        Self::from(Arc::<[u8]>::from_iter(bytes))
    }
}

/// A file that is held once. What is read from it are ranges of it, and equal ranges share one [`Bytes`].
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// The file as the caller holds it: slices read from it point into this memory.
    original: &'a [u8],
    file: Arc<[u8]>,
    ranges: HashMap<Range<usize>, Bytes>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(original: &'a [u8]) -> Self {
        Self { original, file: original.into(), ranges: HashMap::new() }
    }

    /// Returns these bytes, a range of the file as the caller holds it. Bytes from elsewhere are copied.
    pub(crate) fn bytes(&mut self, shared: &[u8]) -> Bytes {
        let start = shared.as_ptr().addr().checked_sub(self.original.as_ptr().addr());
        let range = start.and_then(|start| Some(start..start.checked_add(shared.len())?));
        match range.filter(|range| range.end <= self.file.len()) {
            Some(range) => {
                let new = || Bytes::shared(self.file.clone(), range.clone());
                self.ranges.entry(range.clone()).or_insert_with(new).clone()
            }
            None => Bytes::from(shared),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Source};
    use std::collections::HashSet;

    #[test]
    fn equal_ranges_of_a_file_are_one_and_none_is_a_copy() {
        let file: Vec<u8> = (0..100).collect();
        let mut source = Source::new(&file);
        let (a, b, c) = (source.bytes(&file[10..20]), source.bytes(&file[10..20]), source.bytes(&file[10..21]));
        assert_eq!(a[..], file[10..20]);
        assert_eq!(a.identity(), b.identity());
        assert_ne!(a.identity(), c.identity());
        assert_eq!(a.as_ptr(), c.as_ptr());
        assert_eq!((a.owner(), a.owner().1), (c.owner(), 100));
        // Copied, because it is not part of the original, and still equal.
        let copy = source.bytes(&file.clone()[10..20]);
        assert_ne!(copy.owner(), a.owner());
        assert_eq!(copy, a);
        assert_eq!(HashSet::from([a, copy, c]).len(), 2);
    }

    #[test]
    fn an_empty_range_has_no_bytes() {
        assert!(Source::new(&[1, 2]).bytes(&[]).is_empty());
        let file = [1, 2];
        assert!(Source::new(&file).bytes(&file[2..]).is_empty());
        assert!(Bytes::from([]).is_empty());
    }
}
