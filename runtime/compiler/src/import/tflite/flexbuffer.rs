//! The options of custom operators that are a map in the FlexBuffers form, which files write backwards: what is last names
//! what lies before it, by offsets.
//!
//! Every read is checked: bytes may be any.

/// The type codes of values that are read.
mod code {
    pub(super) const INT: u8 = 1;
    pub(super) const UINT: u8 = 2;
    pub(super) const FLOAT: u8 = 3;
    pub(super) const INDIRECT_INT: u8 = 6;
    pub(super) const INDIRECT_UINT: u8 = 7;
    pub(super) const INDIRECT_FLOAT: u8 = 8;
    pub(super) const MAP: u8 = 9;
    pub(super) const VECTOR: u8 = 10;
    pub(super) const VECTOR_INT: u8 = 11;
    pub(super) const VECTOR_UINT: u8 = 12;
    pub(super) const VECTOR_INT_2: u8 = 16;
    pub(super) const VECTOR_UINT_2: u8 = 17;
    pub(super) const VECTOR_INT_3: u8 = 19;
    pub(super) const VECTOR_UINT_3: u8 = 20;
    pub(super) const VECTOR_INT_4: u8 = 22;
    pub(super) const VECTOR_UINT_4: u8 = 23;
    pub(super) const BOOL: u8 = 26;
}

/// Whole numbers up to this one are exact in f64.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// A value: where it is, with how many bytes, and its packed type.
#[derive(Clone, Copy)]
struct Value {
    at: usize,
    width: usize,
    packed: u8,
}

impl Value {
    fn code(self) -> u8 {
        self.packed >> 2
    }

    /// Returns the number of bytes of what the value refers to, or of its elements.
    fn referred_width(self) -> usize {
        1 << (self.packed & 3)
    }
}

/// A map, whose values are found by their keys.
pub(super) struct Map<'a> {
    bytes: &'a [u8],
    /// Where the values begin, the number of bytes of each, and how many there are.
    at: usize,
    width: usize,
    count: usize,
    /// Where the offsets of the keys begin, and the number of bytes of each.
    keys: usize,
    key_width: usize,
}

impl<'a> Map<'a> {
    /// Returns the map that `bytes` are; `None` if they are something else, or it is not inside them.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[packed, width], before) = bytes.split_last_chunk::<2>().map(|(before, last)| (last, before))?;
        let width = usize::from(width);
        let root = Value { at: before.len().checked_sub(width)?, width, packed };
        if root.code() != code::MAP {
            return None;
        }
        let (at, width) = (referred(bytes, root)?, root.referred_width());
        let count = usize::try_from(unsigned(bytes, at.checked_sub(width)?, width)?).ok()?;
        let offset_at = at.checked_sub(3 * width)?;
        let keys = offset_at.checked_sub(usize::try_from(unsigned(bytes, offset_at, width)?).ok()?)?;
        let key_width = usize::try_from(unsigned(bytes, at - 2 * width, width)?).ok()?;
        // The values and a byte for the type of each.
        let end = count.checked_mul(width + 1)?.checked_add(at)?;
        (end <= bytes.len()).then_some(Self { bytes, at, width, count, keys, key_width })
    }

    /// Returns the number with this key; a truth value is 0 or 1.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        number(self.bytes, self.value(key)?)
    }

    /// Returns the whole numbers with this key.
    pub(super) fn integers(&self, key: &str) -> Option<Vec<i64>> {
        let list = self.value(key)?;
        let (at, width) = (referred(self.bytes, list)?, list.referred_width());
        let count = match list.code() {
            code::VECTOR_INT | code::VECTOR_UINT | code::VECTOR => {
                usize::try_from(unsigned(self.bytes, at.checked_sub(width)?, width)?).ok()?
            }
            code::VECTOR_INT_2 | code::VECTOR_UINT_2 => 2,
            code::VECTOR_INT_3 | code::VECTOR_UINT_3 => 3,
            code::VECTOR_INT_4 | code::VECTOR_UINT_4 => 4,
            _ => return None,
        };
        // What follows are the types of the elements.
        let types = at.checked_add(count.checked_mul(width)?)?;
        self.bytes.get(at..types)?;
        let read = |i: usize| {
            let packed = match list.code() {
                code::VECTOR => *self.bytes.get(types + i)?,
                code::VECTOR_UINT | code::VECTOR_UINT_2 | code::VECTOR_UINT_3 | code::VECTOR_UINT_4 => code::UINT << 2,
                _ => code::INT << 2,
            };
            let number = number(self.bytes, Value { at: at + i * width, width, packed })?;
            (number.fract() == 0.0 && number.abs() < LARGEST).then_some(number as i64)
        };
        (0..count).map(read).collect()
    }

    fn value(&self, key: &str) -> Option<Value> {
        let i = (0..self.count).find(|&i| self.has_key(i, key) == Some(true))?;
        let packed = *self.bytes.get(self.at + self.count * self.width + i)?;
        Some(Value { at: self.at + i * self.width, width: self.width, packed })
    }

    /// Returns whether value `i` has this key.
    fn has_key(&self, i: usize, key: &str) -> Option<bool> {
        let at = self.keys.checked_add(i.checked_mul(self.key_width)?)?;
        let offset = usize::try_from(unsigned(self.bytes, at, self.key_width)?).ok()?;
        let found = self.bytes.get(at.checked_sub(offset)?..)?;
        Some(found.strip_prefix(key.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)))
    }
}

/// Returns where the value that `value` refers to begins.
fn referred(bytes: &[u8], value: Value) -> Option<usize> {
    value.at.checked_sub(usize::try_from(unsigned(bytes, value.at, value.width)?).ok()?)
}

fn number(bytes: &[u8], value: Value) -> Option<f64> {
    let Value { at, width, .. } = match value.code() {
        code::INDIRECT_INT..=code::INDIRECT_FLOAT => {
            Value { at: referred(bytes, value)?, width: value.referred_width(), packed: value.packed }
        }
        _ => value,
    };
    match value.code() {
        code::INT | code::INDIRECT_INT => signed(bytes, at, width).map(|x| x as f64),
        code::FLOAT | code::INDIRECT_FLOAT => match width {
            4 => Some(f32::from_bits(unsigned(bytes, at, width)? as u32).into()),
            8 => Some(f64::from_bits(unsigned(bytes, at, width)?)),
            _ => None,
        },
        code::UINT | code::BOOL | code::INDIRECT_UINT => unsigned(bytes, at, width).map(|x| x as f64),
        _ => None,
    }
}

/// Returns the unsigned number of `width` bytes: 1, 2, 4 or 8.
fn unsigned(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let found = bytes.get(at..at.checked_add(width)?).filter(|_| matches!(width, 1 | 2 | 4 | 8))?;
    Some(found.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn signed(bytes: &[u8], at: usize, width: usize) -> Option<i64> {
    let unused = 64 - 8 * u32::try_from(width).ok().filter(|&width| width <= 8)?;
    let number = unsigned(bytes, at, width)?.cast_signed();
    Some(number.wrapping_shl(unused).wrapping_shr(unused))
}

#[cfg(test)]
mod tests {
    use super::Map;
    use tealight_testing::rng::Rng;

    fn sample() -> Vec<u8> {
        let mut builder = flexbuffers::Builder::default();
        let mut map = builder.start_map();
        map.push("small", -7i8);
        map.push("large", 1u64 << 40);
        map.push("half", 0.5f32);
        map.push("third", 1.0 / 3.0);
        map.push("yes", true);
        map.push("text", "seven");
        map.push("lists", &[3i32, -1, 70_000]);
        map.push("bytes", &[1u8, 255]);
        map.push("four", &[-1i64, 5, 70_000, 1 << 40]);
        map.push("many", &[1i32, 2, 3, 4, -5]);
        map.push("most", &[9u32; 7][..]);
        let mut mixed = map.start_vector("mixed");
        mixed.push(-3);
        mixed.push(4u8);
        mixed.push(2.0);
        mixed.end_vector();
        map.push("far", flexbuffers::IndirectFloat(2.25));
        map.end_map();
        builder.view().to_vec()
    }

    #[test]
    fn numbers_and_lists_are_found_by_their_keys() {
        let bytes = sample();
        let map = Map::read(&bytes).unwrap();
        for (key, expected) in [
            ("small", Some(-7.0)),
            ("large", Some((1u64 << 40) as f64)),
            ("half", Some(0.5)),
            ("third", Some(1.0 / 3.0)),
            ("yes", Some(1.0)),
            ("far", Some(2.25)),
            ("text", None),
            ("lists", None),
            ("list", None),
            ("nothing", None),
        ] {
            assert_eq!(map.number(key), expected, "{key}");
        }
        assert_eq!(map.integers("lists"), Some(vec![3, -1, 70_000]));
        assert_eq!(map.integers("bytes"), Some(vec![1, 255]));
        assert_eq!(map.integers("four"), Some(vec![-1, 5, 70_000, 1 << 40]));
        assert_eq!(map.integers("many"), Some(vec![1, 2, 3, 4, -5]));
        assert_eq!(map.integers("most"), Some(vec![9; 7]));
        assert_eq!(map.integers("mixed"), Some(vec![-3, 4, 2]));
        assert_eq!(map.integers("small"), None);
    }

    #[test]
    fn any_bytes_are_a_map_or_not() {
        let mut rng = Rng(3);
        for _ in 0..50_000 {
            let mut bytes = sample();
            for _ in 0..rng.below(4) {
                let at = rng.index(bytes.len());
                bytes[at] = rng.below(256) as u8;
            }
            if rng.below(4) == 0 {
                bytes.drain(..rng.index(bytes.len()));
            }
            let Some(map) = Map::read(&bytes) else { continue };
            for key in ["small", "third", "far", "lists", "bytes", "many", "mixed", "none"] {
                let _ = (map.number(key), map.integers(key));
            }
        }
    }
}
