//! The kernels return the recorded bits on every target that runs this test.

use tealight_kernels::block::BlockType;
use tealight_kernels::selftest::{BLOCKS, TealightBlocks, block_digest, first_difference, float_digests};

#[test]
fn every_kernel_returns_the_recorded_bits() {
    // What a change of the kernels would put into the tables.
    for (name, digest) in float_digests() {
        println!("    (\"{name}\", {digest:#018x}),");
    }
    for &block in BlockType::ALL {
        println!("    (BlockType::{block:?}, {:#018x}),", block_digest(&TealightBlocks, block));
    }
    assert_eq!(first_difference(), None);
}

#[test]
fn every_block_type_has_its_digest() {
    assert_eq!(BLOCKS.map(|(block, _)| block), BlockType::ALL);
    let mut digests = BLOCKS.map(|(_, digest)| digest);
    digests.sort_unstable();
    assert!(digests.windows(2).all(|pair| pair[0] != pair[1]), "types differ, so their digests must");
}
