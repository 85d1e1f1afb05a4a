//! Every section lies in a memory of the board, all of them fit, and the stack has a place of its own.

use super::image::{Image, Section};
use crate::board::{Board, Boot};
use std::ops::Range;
use tealight_cli::grouped;

/// What is wrong with where things lie.
pub(super) fn check(board: &Board, image: &Image) -> Vec<String> {
    let mut findings = Vec::new();
    for section in &image.sections {
        if place(board, &section.range()).is_none() {
            findings.push(format!("{} lies in no memory of board.toml", told(section)));
        }
        let Some(stored) = &section.stored else { continue };
        let range = stored.address..stored.address.saturating_add(stored.bytes.len() as u64);
        // Espressif's boot loader copies what belongs into RAM there; all others start in flash, or where `reset` says,
        // and copy by themselves.
        let copied = board.boot == Some(Boot::EspIdf);
        if !copied && place(board, &range).is_none_or(|(memory, _)| !["flash", "reset"].contains(&memory)) {
            findings.push(format!("{} is stored at {:#x}, which is not flash", told(section), stored.address));
        }
    }
    findings.extend(stack(board, image));
    let (needed, length) = (image.stored(), board.length("flash"));
    if needed > length {
        findings.push(format!("it needs {} bytes of flash, and there are {}", grouped(needed), grouped(length)));
    }
    findings
}

/// What is wrong with the stack.
fn stack(board: &Board, image: &Image) -> Vec<String> {
    let Some(stack) = image.stack() else {
        return vec!["it does not say where the stack is: `_stack_start` and `_stack_end` are missing".into()];
    };
    let told = format!("the stack, {:#x} down to {:#x},", stack.end, stack.start);
    let mut findings = Vec::new();
    if place(board, &stack).is_none_or(|(memory, _)| memory != "ram") {
        findings.push(format!("{told} does not lie in RAM"));
    }
    let size = stack.end.saturating_sub(stack.start);
    if size < board.stack {
        let (size, wanted) = (grouped(size), grouped(board.stack));
        findings.push(format!("{told} has {size} bytes, and board.toml keeps {wanted} for it"));
    }
    if !stack.end.is_multiple_of(8) {
        findings.push(format!("{told} does not begin on a multiple of 8"));
    }
    for section in image.sections.iter().filter(|section| !section.is_stack()) {
        if section.address < stack.end && stack.start < section.range().end {
            findings.push(format!("{told} overlaps {}", section.name));
        }
    }
    findings
}

/// Bytes of RAM that sections take, the stack's room left out, each byte counted once.
pub(super) fn variables(board: &Board, image: &Image) -> u64 {
    let sections = image.sections.iter().filter(|section| !section.is_stack());
    let mut taken: Vec<Range<u64>> = sections
        .filter_map(|section| place(board, &section.range()))
        .filter_map(|(memory, range)| (memory == "ram").then_some(range))
        .collect();
    taken.sort_by_key(|range| range.start);
    let (mut bytes, mut end) = (0, 0);
    for range in taken {
        bytes += range.end.saturating_sub(range.start.max(end));
        end = end.max(range.end);
    }
    bytes
}

/// The memory in which a range lies whole, and where in it. What is seen through a window lies in the memory behind it.
fn place<'a>(board: &'a Board, range: &Range<u64>) -> Option<(&'a str, Range<u64>)> {
    let (name, region) = board.memory.iter().find(|(_, region)| {
        range.start >= region.origin && range.end <= region.origin + region.length && range.start <= range.end
    })?;
    let memory = region.window_of.as_ref().unwrap_or(name);
    Some((memory, range.start - region.origin..range.end - region.origin))
}

fn told(section: &Section) -> String {
    format!("{} ({:#x}, {} bytes)", section.name, section.address, grouped(section.size))
}
