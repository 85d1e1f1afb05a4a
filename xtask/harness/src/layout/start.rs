//! Where the core starts: on Cortex-M the vector table, elsewhere the entry point.

use super::image::Image;
use crate::board::{Board, Boot};

/// Bytes of the RP2040's second boot stage, before the vector table.
const BOOT2: u64 = 256;

/// Vectors that every Cortex-M takes without being asked: reset, NMI, hard fault.
const VECTORS: [&str; 3] = ["reset", "NMI", "hard fault"];

/// What is wrong with the start.
pub(super) fn check(board: &Board, image: &Image) -> Vec<String> {
    let thumb = board.target.starts_with("thumb");
    let mut findings = if thumb { vectors(board, image) } else { Vec::new() };
    // The lowest bit of a Thumb address says that it is one.
    let entry = if thumb { image.entry & !1 } else { image.entry };
    if image.code_at(entry).is_none() {
        findings.push(format!("the entry point {:#x} leads into no code", image.entry));
    }
    let first = board.memory.get("flash").map_or(0, |flash| flash.origin);
    if board.boot == Some(Boot::Rp2350) && !thumb && entry != first {
        findings.push(format!("the entry point is {entry:#x}, and the boot ROM enters a RISC-V image at {first:#x}"));
    }
    findings
}

/// What is wrong with the vector table.
fn vectors(board: &Board, image: &Image) -> Vec<String> {
    let first = board.memory.get("flash").map_or(0, |flash| flash.origin);
    let address = if board.boot == Some(Boot::Rp2040) { first + BOOT2 } else { first };
    let words: Vec<u32> =
        image.stored_from(address).map_or(Vec::new(), |bytes| bytes.as_chunks().0.iter().map(le).collect());
    // The core's own exceptions (Arm v6-M and v7-M Architecture Reference Manuals, B1.5.3).
    let Some(([stack, handlers @ ..], _)) = words.split_first_chunk::<16>() else {
        return vec![format!("there is no vector table at {address:#x}, where the chip looks for it")];
    };
    let mut findings = Vec::new();
    let stack = u64::from(*stack);
    if image.stack().is_some_and(|kept| kept.end != stack) {
        findings.push(format!("the vector table starts the stack at {stack:#x}, which is not its upper end"));
    }
    for (name, &handler) in VECTORS.iter().zip(handlers) {
        let handler = u64::from(handler);
        if handler & 1 == 0 {
            findings.push(format!("the {name} vector {handler:#x} has no Thumb bit"));
        }
        let code = image.code_at(handler & !1);
        if code.is_none_or(|section| section.stored.as_ref().is_none_or(|stored| stored.address != section.address)) {
            findings.push(format!("the {name} vector {handler:#x} leads into no code in flash"));
        }
    }
    findings
}

fn le(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes)
}
