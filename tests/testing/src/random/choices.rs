//! Choices made by bytes.

/// Choices, from bytes; zeros when they have run out.
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    pub fn word(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    /// From 0 to `n - 1`; 0 for `n` = 0.
    pub fn below(&mut self, n: u32) -> u32 {
        let raw = if n <= 256 { u32::from(self.byte()) } else { self.word() };
        raw % n.max(1)
    }

    pub fn between(&mut self, from: i32, to: i32) -> i32 {
        from + self.below((to - from + 1) as u32) as i32
    }

    /// True in one of `n` cases, and not when the bytes have run out.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == n - 1
    }

    pub fn pick<T: core::marker::Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    /// Numbers at which arithmetic goes wrong.
    pub fn odd(&mut self) -> i32 {
        match self.below(4) {
            0 => self.word() as i32,
            1 => self.pick(&[i32::MIN, i32::MAX, i32::MIN + 1, -1, 0, 1, 2, 255, 256, 65_535, 65_536]),
            2 => 1 << self.below(31),
            _ => self.between(-9, 9),
        }
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        // A few choices spread over many bytes (xorshift64; George Marsaglia, "Xorshift RNGs", 2003).
        let mut state = u64::from(self.word()).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = vec![0; n];
        for chunk in bytes.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}
