//! Little-endian reads and writes that work in `const fn` and cannot fail: out-of-range reads return zero.
//!
//! `Model::parse` checks every length before it reads, so the zero is never used. It makes the readers total, in
//! constants and on a board.

/// The byte at `at`, or 0 past the end.
pub(crate) const fn u8_at(bytes: &[u8], at: usize) -> u8 {
    if at < bytes.len() { bytes[at] } else { 0 }
}

/// The little-endian `u16` at `at`.
pub(crate) const fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([u8_at(bytes, at), u8_at(bytes, at.wrapping_add(1))])
}

/// The little-endian `u32` at `at`.
pub(crate) const fn u32_at(bytes: &[u8], at: usize) -> u32 {
    (u16_at(bytes, at) as u32) | ((u16_at(bytes, at.wrapping_add(2)) as u32) << 16)
}

/// The little-endian `i32` at `at`.
pub(crate) const fn i32_at(bytes: &[u8], at: usize) -> i32 {
    u32_at(bytes, at).cast_signed()
}

/// The little-endian `u64` at `at`.
pub(crate) const fn u64_at(bytes: &[u8], at: usize) -> u64 {
    (u32_at(bytes, at) as u64) | ((u32_at(bytes, at.wrapping_add(4)) as u64) << 32)
}

/// Copies `value` into `record` at `at`; bytes that do not fit are dropped.
pub(crate) const fn put(record: &mut [u8], at: usize, value: &[u8]) {
    let mut i = 0;
    while i < value.len() && at + i < record.len() {
        record[at + i] = value[i];
        i += 1;
    }
}

/// The bytes `start..start + len`; empty if the range is not inside.
pub(crate) const fn slice(bytes: &[u8], start: usize, len: usize) -> &[u8] {
    match bytes.split_at_checked(start) {
        Some((_, rest)) => match rest.split_at_checked(len) {
            Some((part, _)) => part,
            None => &[],
        },
        None => &[],
    }
}

/// The `N` bytes from `start` on; zeros if they are not all inside. From an array, the reads above are single loads.
pub(crate) const fn array<const N: usize>(bytes: &[u8], start: usize) -> &[u8; N] {
    if let Some((_, rest)) = bytes.split_at_checked(start)
        && let Some(array) = rest.first_chunk()
    {
        return array;
    }
    const { &[0; N] }
}

/// `n` rounded up to a multiple of 16, the alignment of every buffer and tensor.
pub const fn align16(n: u64) -> u64 {
    (n + 15) & !15
}
