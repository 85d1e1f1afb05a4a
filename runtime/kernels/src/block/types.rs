//! Maps a block type to the Rust type of its blocks.

use super::{
    Block, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
    BlockQ8_1, BlockQ8K,
};
use tealight_types::{BlockType, for_each_block};

/// An operation on a block type.
pub(crate) trait Visit {
    type Output;
    fn visit<B: Block>(self) -> Self::Output;
}

macro_rules! visit_each {
    ($of:ident, $visitor:ident; $( $name:ident $block:ident $row:tt )+) => {
        match $of { $( BlockType::$name => $visitor.visit::<$block>(), )+ }
    };
}

/// Calls `visitor` with the Rust type of blocks of type `of`.
#[inline]
pub(crate) fn visit<V: Visit>(of: BlockType, visitor: V) -> V::Output {
    for_each_block!(visit_each! { of, visitor; })
}

macro_rules! check_each {
    ($( $name:ident $block:ident $row:tt )+) => { $(
        const _: () = {
            assert!(size_of::<$block>() == BlockType::$name.bytes() as usize);
            assert!($block::LEN == BlockType::$name.elements() as usize);
            assert!($block::TYPE as u8 == BlockType::$name as u8);
            let activations = <<$block as Block>::Activation as Block>::TYPE;
            assert!(activations as u8 == BlockType::$name.activations() as u8);
        };
    )+ };
}

for_each_block!(check_each! {});
