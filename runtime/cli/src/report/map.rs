//! The memory map as a picture: time runs to the right, the arena runs down, and a value is a block.

use super::html::Escaped;
use crate::picture::{Picture, Region};
use crate::table::{bytes, counted};
use std::fmt::Write as _;

/// Width and height of the map, in pixels, without the margins.
const SIZE: [f64; 2] = [840.0, 300.0];
/// The margin to the left, for offsets, and above, for the operators' numbers.
const MARGIN: [f64; 2] = [70.0, 22.0];
/// The width of a letter of a label, about.
const LETTER: f64 = 6.6;
/// The height of a label.
const LINE: f64 = 13.0;
/// The number of colours in the page's style.
const COLOURS: usize = 6;

/// Returns the picture of `regions` in an arena of `arena_len` bytes, over `ops` operators.
pub(super) fn map(regions: &[Region], ops: usize, arena_len: u64) -> String {
    let picture = Picture { regions, ops, arena_len };
    let [width, height] = [SIZE[0] + MARGIN[0] + 2.0, SIZE[1] + MARGIN[1] + 12.0];
    let mut svg = format!("<div class=\"scroll\"><svg viewBox=\"0 0 {width} {height}\" role=\"img\">\n");
    svg += "<title>Values in the arena over time</title>\n";
    svg += &axes(ops, arena_len);
    for (index, (region, span)) in regions.iter().zip(picture.spans()).enumerate() {
        svg += &block(region, span, ops, arena_len, index % COLOURS);
    }
    svg + "</svg></div>\n"
}

/// Returns the position of an operator.
fn x(op: f64, ops: usize) -> f64 {
    MARGIN[0] + SIZE[0] * op / ops.max(1) as f64
}

/// Returns the position of an offset in the arena.
fn y(offset: u64, arena_len: u64) -> f64 {
    MARGIN[1] + SIZE[1] * offset as f64 / arena_len.max(1) as f64
}

/// The operators' numbers and the offsets, each where there is room, with lines of a grid.
fn axes(ops: usize, arena_len: u64) -> String {
    let mut svg = String::new();
    let step = ops.div_ceil(30).max(1);
    for op in (0..ops).step_by(step) {
        let x = x(op as f64 + 0.5, ops);
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"14\" text-anchor=\"middle\">{op}</text>");
    }
    for part in 0..=4 {
        let offset = arena_len * part / 4;
        let (y, end) = (y(offset, arena_len), MARGIN[0] + SIZE[0]);
        let _ = writeln!(svg, "<line class=\"grid\" x1=\"{}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>", MARGIN[0]);
        let (x, below, shown) = (MARGIN[0] - 6.0, y + 4.0, bytes(offset));
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{below:.1}\" text-anchor=\"end\">{shown}</text>");
    }
    svg
}

/// A block with a description, and a label where it fits.
fn block(region: &Region, span: [f64; 2], ops: usize, arena_len: u64, colour: usize) -> String {
    let [left, right] = span.map(|op| x(op, ops));
    let (top, bottom) = (y(region.offset, arena_len), y(region.offset + region.len, arena_len));
    let (width, height) = ((right - left).max(0.5), (bottom - top).max(0.5));
    let [long, short] = &region.labels;
    let live = format!("operators {} to {}", region.first, region.last);
    let told = format!("{long}: {} at offset {}, {live}", counted(region.len as usize, "byte"), region.offset);
    let mut svg = format!("<g class=\"m{colour}\"><title>{}</title>", Escaped(&told));
    let _ = write!(svg, "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>");
    let fits = |label: &&String| label.chars().count() as f64 * LETTER + 4.0 <= width && LINE <= height;
    if let Some(label) = [long, short].into_iter().find(fits) {
        let (x, y) = (left + width / 2.0, top + height / 2.0 + 4.0);
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>", Escaped(label));
    }
    svg + "</g>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_at_their_offset_and_live_range() {
        let region = |label: &str, offset, len, first, last| Region {
            labels: [format!("{label} <long>"), label.into()],
            offset,
            len,
            first,
            last,
        };
        // The second overwrites the first while operator 1 runs.
        let regions = [region("a", 0, 64, 0, 1), region("b", 32, 64, 1, 3)];
        let svg = map(&regions, 4, 128);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let number = |node: &roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
        let rects: Vec<[f64; 4]> = document
            .descendants()
            .filter(|node| node.has_tag_name("rect"))
            .map(|rect| ["x", "y", "width", "height"].map(|name| number(&rect, name)))
            .collect();
        let [left, top] = MARGIN;
        let [op, byte] = [SIZE[0] / 4.0, SIZE[1] / 128.0];
        let expected =
            [[left, top, 1.5 * op, 64.0 * byte], [left + 1.5 * op, top + 32.0 * byte, 2.5 * op, 64.0 * byte]];
        for (found, expected) in rects.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() <= 0.06, "{rects:?}, not {expected:?}");
        }
        assert_eq!(rects.len(), 2);
        assert!(document.descendants().any(|node| node.text() == Some("b <long>")), "{svg}");
    }
}
