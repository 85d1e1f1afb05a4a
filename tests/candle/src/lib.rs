//! Compares the block kernels of `tealight-kernels` with those of `candle-core`: the same operations of both, on bytes.
//!
//! Building candle-core takes minutes, so this crate is not a default member of the workspace: `cargo test --package
//! tealight-candle-tests`.

use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants as candle;
use tealight_kernels::block::BlockType;
use tealight_kernels::selftest::Blocks;

/// One block type of candle-core, on bytes.
pub struct Candle {
    /// Bytes of a block.
    pub bytes: usize,
    /// `from_float`.
    pub quantize: fn(&[f32]) -> Vec<u8>,
    /// `to_float`.
    pub dequantize: fn(&[u8]) -> Vec<f32>,
    /// `vec_dot_unopt` of weights and activations.
    pub vec_dot: fn(&[u8], &[u8]) -> f32,
}

macro_rules! of_each {
    ($of:ident; $( $name:ident $block:ident $row:tt )+) => {
        match $of { $( BlockType::$name => Self::new::<candle::$block>(), )+ }
    };
}

impl Candle {
    /// The type of the same name.
    #[must_use]
    pub fn of(block: BlockType) -> Self {
        tealight_types::for_each_block!(of_each! { block; })
    }

    const fn new<T: GgmlType>() -> Self {
        Self {
            bytes: size_of::<T>(),
            quantize: |x| {
                let mut blocks = zeros::<T>(x.len() / T::BLCK_SIZE);
                T::from_float(x, &mut blocks);
                to_bytes(&blocks)
            },
            dequantize: |bytes| {
                let blocks = from_bytes::<T>(bytes);
                let mut y = vec![0.0; blocks.len() * T::BLCK_SIZE];
                T::to_float(&blocks, &mut y);
                y
            },
            vec_dot: |weights, activations| {
                let (w, x) = (from_bytes::<T>(weights), from_bytes(activations));
                T::vec_dot_unopt(w.len() * T::BLCK_SIZE, &w, &x)
            },
        }
    }
}

fn zeros<T: GgmlType>(count: usize) -> Vec<T> {
    (0..count).map(|_| T::zeros()).collect()
}

fn to_bytes<T: GgmlType>(blocks: &[T]) -> Vec<u8> {
    // SAFETY: a block type is `repr(C)`, of integers and floats, without padding.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), size_of_val(blocks)) }.to_vec()
}

fn from_bytes<T: GgmlType>(bytes: &[u8]) -> Vec<T> {
    let mut blocks = zeros::<T>(bytes.len() / size_of::<T>());
    let len = size_of_val(&blocks[..]);
    // SAFETY: both hold `len` bytes, they do not overlap, and any bytes are a block.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), blocks.as_mut_ptr().cast::<u8>(), len);
    }
    blocks
}

/// Candle, for the digests that boards compare ([`tealight_kernels::selftest`]).
#[derive(Debug)]
pub struct Recorder;

impl Blocks for Recorder {
    fn quantize(&self, block: BlockType, row: &[f32], bytes: &mut [u8]) {
        bytes.copy_from_slice(&(Candle::of(block).quantize)(row));
    }

    fn dequantize(&self, block: BlockType, bytes: &[u8], row: &mut [f32]) {
        row.copy_from_slice(&(Candle::of(block).dequantize)(bytes));
    }

    fn vec_dot(&self, block: BlockType, weights: &[u8], activations: &[u8]) -> f32 {
        (Candle::of(block).vec_dot)(weights, activations)
    }
}

/// Pages whose Rust code is compiled and run as documentation tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    mod front_page {}
    #[doc = include_str!("../../../docs/src/linux.md")]
    mod linux {}
}
