//! The memory map as a picture. Time runs to the right, one operator after another; the arena runs down, from its first
//! byte to its last. A value is a block, as wide as its live range and as high as its size.
//!
//! With colours, a line of text shows two lines of the picture (half blocks), and touching blocks have different
//! colours. Without colours, blocks are filled with shades. A block has a label where it fits.
//!
//! An output that overwrites its input while the operator runs appears as a step: the left half of the operator's
//! column belongs to the input, the right half to the output.

use crate::table::bytes;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;

/// The number of text lines for a large arena.
const LINES: usize = 18;

/// The maximum width of an operator, in columns.
const WIDEST: usize = 8;

/// Columns for offsets, before the picture.
const MARGIN: usize = 13;

/// The maximum number of live blocks in one line for which overlaps are drawn, because they are compared in pairs.
const MAX_LIVE: usize = 64;

/// Background colours of the 256-colour palette on which dark text is readable.
const PALETTE: [u8; 10] = [110, 179, 108, 174, 146, 186, 73, 180, 139, 151];

/// Fill characters without colour, the most different ones first.
const SHADES: [char; 4] = ['░', '▓', '▒', '█'];

/// A value in the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// The label: the long form where there is room, otherwise the short one.
    pub labels: [String; 2],
    /// Offset of its first byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// The first operator of its live range.
    pub first: usize,
    /// The last operator of its live range.
    pub last: usize,
}

/// The data of the picture.
#[derive(Clone, Debug)]
pub(crate) struct Picture<'a> {
    /// The values.
    pub regions: &'a [Region],
    /// The number of operators.
    pub ops: usize,
    /// Bytes of the arena.
    pub arena_len: u64,
}

/// The block that each cell belongs to, line by line.
struct Grid {
    columns: usize,
    cells: Vec<Option<usize>>,
}

impl Grid {
    fn at(&self, line: usize, column: usize) -> Option<usize> {
        self.cells[line * self.columns + column]
    }

    fn lines(&self) -> usize {
        self.cells.len() / self.columns
    }
}

impl Picture<'_> {
    /// Draws the picture, at most `width` columns wide. Empty if there is nothing to draw.
    pub(crate) fn draw(&self, width: usize, colour: bool) -> String {
        if self.ops == 0 || self.arena_len == 0 {
            return String::new();
        }
        let space = width.saturating_sub(MARGIN).max(8);
        let columns = space.min(self.ops * WIDEST);
        let lines = LINES.min(self.arena_len.div_ceil(16) as usize);
        let parts = if colour { 2 } else { 1 };
        let grid = self.grid(columns, lines * parts);
        let paint = colours(&grid, self.regions.len(), if colour { PALETTE.len() } else { SHADES.len() });
        let labels = self.labels(&grid, lines, parts);
        let mut text = self.axis(columns);
        for line in 0..lines {
            let offset = line as u64 * self.arena_len / lines as u64;
            let mark = if line % 3 == 0 { bytes(offset) } else { String::new() };
            let _ = write!(text, "{mark:>11} │");
            for column in 0..columns {
                let label = labels[line * columns + column];
                let upper = grid.at(line * parts, column);
                let lower = grid.at(line * parts + parts - 1, column);
                if colour {
                    cell(&mut text, upper.map(|b| PALETTE[paint[b]]), lower.map(|b| PALETTE[paint[b]]), label);
                } else {
                    text.push(label.unwrap_or_else(|| upper.map_or(' ', |b| SHADES[paint[b]])));
                }
            }
            if colour {
                text.push_str("\x1b[0m");
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        let _ = writeln!(text, "{:>11} └{}", bytes(self.arena_len), "─".repeat(columns));
        text
    }

    /// Returns when each block is visible, in operators from 0: in the operator in which an output overwrites its input,
    /// the first half belongs to the input.
    pub(crate) fn spans(&self) -> Vec<[f64; 2]> {
        let shares = |a: &Region, b: &Region| a.offset < b.offset + b.len && b.offset < a.offset + a.len;
        let span = |region: &Region| {
            let meets = |earlier: &Region, later: &Region| earlier.first < later.first && earlier.last == later.first;
            let others = || self.regions.iter().filter(|other| shares(region, other));
            let (after, before) =
                (others().any(|other| meets(other, region)), others().any(|other| meets(region, other)));
            let half = |yes: bool| if yes { 0.5 } else { 0.0 };
            [region.first as f64 + half(after), (region.last + 1) as f64 - half(before)]
        };
        self.regions.iter().map(span).collect()
    }

    /// Returns the operators' numbers, each above its column where there is room.
    fn axis(&self, columns: usize) -> String {
        let mut line = String::new();
        for op in 0..self.ops {
            let at = op * columns / self.ops;
            if (line.is_empty() || at > line.len()) && at + op.to_string().len() <= columns {
                let _ = write!(line, "{:at$}{op}", "", at = at - line.len());
            }
        }
        format!("{:>11}  {line}\n", "operator")
    }

    fn grid(&self, columns: usize, lines: usize) -> Grid {
        let mut cells = Vec::with_capacity(columns * lines);
        for line in 0..lines {
            let from = line as u64 * self.arena_len / lines as u64;
            let to = (line as u64 + 1) * self.arena_len / lines as u64;
            for column in 0..columns {
                cells.push(self.region_at(from, to, column, columns));
            }
        }
        Grid { columns, cells }
    }

    /// Returns the block with the largest part of the bytes `from..to` in the time span of `column`.
    fn region_at(&self, from: u64, to: u64, column: usize, columns: usize) -> Option<usize> {
        let (op, last_op, late) = if columns >= self.ops {
            // The operator at the middle of the column, and whether it is in the second half, in which the output has
            // overwritten the input.
            let halves = (2 * column + 1) * self.ops / columns;
            (halves / 2, halves / 2, halves % 2 == 1)
        } else {
            (column * self.ops / columns, ((column + 1) * self.ops).div_ceil(columns) - 1, true)
        };
        let live = |region: &&(usize, &Region)| region.1.first <= last_op && op <= region.1.last;
        let shared = |region: &Region| (region.offset + region.len).min(to).saturating_sub(region.offset.max(from));
        let with_overlap = self.regions.iter().enumerate().filter(|(_, region)| shared(region) > 0);
        let candidates: Vec<_> = with_overlap.collect::<Vec<_>>();
        let live: Vec<_> = candidates.iter().filter(live).collect();
        let taken_over = |region: &Region| {
            live.len() <= MAX_LIVE
                && live.iter().any(|(_, other)| {
                    let apart = region.offset + region.len <= other.offset || other.offset + other.len <= region.offset;
                    !apart && if late { other.first > region.first } else { other.first < region.first }
                })
        };
        let clear = live.iter().filter(|(_, region)| !taken_over(region)).max_by_key(|(_, region)| shared(region));
        clear.or(live.first()).map(|(index, _)| *index)
    }

    /// Returns the labels' letters, cell by cell of the text.
    fn labels(&self, grid: &Grid, lines: usize, parts: usize) -> Vec<Option<char>> {
        let mut letters = vec![None; lines * grid.columns];
        for (index, region) in self.regions.iter().enumerate() {
            let inside =
                |line: usize, column: usize| (0..parts).all(|part| grid.at(line * parts + part, column) == Some(index));
            let runs: Vec<_> = (0..lines)
                .filter_map(|line| longest_run(grid.columns, |c| inside(line, c)).map(|run| (line, run)))
                .collect();
            let Some((label, room)) = Self::label(region, &runs) else { continue };
            let fitting: Vec<_> = runs.iter().filter(|(_, run)| run.len() >= room).collect();
            let Some((line, run)) = fitting.get(fitting.len() / 2) else { continue };
            // Spaces separate a label from the fill, as long as some of the fill stays.
            let spaced = run.len() >= label.chars().count() + if runs.len() > 1 { 2 } else { 4 };
            let padded = if spaced { format!(" {label} ") } else { label.clone() };
            let start = run.start + (run.len() - padded.chars().count()) / 2;
            for (i, letter) in padded.chars().enumerate() {
                letters[line * grid.columns + start + i] = Some(letter);
            }
        }
        letters
    }

    /// Returns the label that fits a block whose lines are `runs`, and the minimum length of the runs that it is
    /// written in.
    fn label<'b>(region: &'b Region, runs: &[(usize, Range<usize>)]) -> Option<(&'b String, usize)> {
        let longest = runs.iter().map(|(_, run)| run.len()).max()?;
        let [long, short] = &region.labels;
        let choices = [(long, 4), (long, 2), (short, 2), (long, 0), (short, 0)];
        let needed = choices.map(|(label, margin)| (label, label.chars().count() + margin));
        needed.into_iter().find(|(_, room)| *room <= longest)
    }
}

/// Returns the longest range of columns for which `inside` holds.
fn longest_run(columns: usize, inside: impl Fn(usize) -> bool) -> Option<Range<usize>> {
    let mut best: Option<Range<usize>> = None;
    let mut start = None;
    for column in 0..=columns {
        if column < columns && inside(column) {
            start.get_or_insert(column);
        } else if let Some(from) = start.take()
            && best.as_ref().is_none_or(|best| best.len() < column - from)
        {
            best = Some(from..column);
        }
    }
    best
}

/// Returns a paint for each block. Touching blocks differ, as far as `paints` are enough.
fn colours(grid: &Grid, regions: usize, paints: usize) -> Vec<usize> {
    let mut touching = vec![BTreeSet::new(); regions];
    for line in 0..grid.lines() {
        for column in 0..grid.columns {
            let Some(own) = grid.at(line, column) else { continue };
            let right = (column + 1 < grid.columns).then(|| grid.at(line, column + 1)).flatten();
            let below = (line + 1 < grid.lines()).then(|| grid.at(line + 1, column)).flatten();
            for other in [right, below].into_iter().flatten().filter(|other| *other != own) {
                touching[own].insert(other);
                touching[other].insert(own);
            }
        }
    }
    let mut paint = vec![0; regions];
    for region in 0..regions {
        // Each block starts its search at another paint, which spreads them.
        let choice = (0..paints).map(|i| (region + i) % paints);
        let free = |paint: &[usize], p: usize| touching[region].range(..region).all(|other| paint[*other] != p);
        paint[region] = choice.clone().find(|p| free(&paint, *p)).unwrap_or(region % paints);
    }
    paint
}

/// Writes one character of the coloured picture: two cells, or a letter of a label on the block's colour.
fn cell(text: &mut String, upper: Option<u8>, lower: Option<u8>, label: Option<char>) {
    let _ = match (upper, lower, label) {
        (Some(paint), _, Some(letter)) => write!(text, "\x1b[0;38;5;16;48;5;{paint}m{letter}"),
        (Some(upper), Some(lower), _) if upper == lower => write!(text, "\x1b[0;48;5;{upper}m "),
        (Some(upper), Some(lower), _) => write!(text, "\x1b[0;38;5;{upper};48;5;{lower}m▀"),
        (Some(upper), None, _) => write!(text, "\x1b[0;38;5;{upper}m▀"),
        (None, Some(lower), _) => write!(text, "\x1b[0;38;5;{lower}m▄"),
        (None, None, _) => write!(text, "\x1b[0m "),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(label: &str, offset: u64, len: u64, first: usize, last: usize) -> Region {
        Region { labels: [format!("{label} long"), label.into()], offset, len, first, last }
    }

    #[test]
    fn draws_values_at_their_offset_and_live_range() {
        let regions = [region("a", 0, 32, 0, 1), region("b", 32, 16, 1, 1)];
        let drawn = Picture { regions: &regions, ops: 2, arena_len: 48 }.draw(MARGIN + 16, false);
        let expected = "   operator  0       1\n\
                        \x20       0 B │░░░░░░░░░░░░░░░░\n\
                        \x20           │░░░░ a long ░░░░\n\
                        \x20           │        ▓b long▓\n\
                        \x20      48 B └────────────────\n";
        assert_eq!(drawn, expected, "{drawn}");
    }

    #[test]
    fn draws_an_in_place_output_from_the_middle_of_its_operator() {
        let regions = [region("a", 0, 16, 0, 0), region("b", 0, 16, 0, 1)];
        let mut regions = regions.to_vec();
        regions[0].last = 1;
        regions[1].first = 1;
        let picture = Picture { regions: &regions, ops: 2, arena_len: 16 };
        let grid = picture.grid(8, 1);
        assert_eq!(grid.cells.iter().map(|cell| cell.unwrap()).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn draws_a_value_without_gaps_at_any_width() {
        let regions = [region("a", 0, 16, 0, 1), region("b", 0, 16, 1, 2), region("c", 0, 16, 2, 6)];
        for columns in 7..60 {
            let grid = Picture { regions: &regions, ops: 7, arena_len: 16 }.grid(columns, 1);
            let drawn: Vec<_> = grid.cells.iter().map(|cell| cell.unwrap()).collect();
            assert!(drawn.is_sorted(), "{columns} columns: {drawn:?}");
        }
    }

    #[test]
    fn no_line_is_wider_than_requested_for_any_number_of_operators() {
        for ops in [1, 3, 50, 67, 68, 200] {
            let regions: Vec<_> =
                (0..ops).map(|op| region(&op.to_string(), 16 * (op as u64 % 7), 40, op, op)).collect();
            let drawn = Picture { regions: &regions, ops, arena_len: 160 }.draw(80, true);
            for line in drawn.lines() {
                assert!(console::measure_text_width(line) <= 80, "{ops} operators: {line}");
            }
            assert!(!Picture { regions: &regions, ops, arena_len: 160 }.draw(80, false).contains('\x1b'));
        }
    }

    #[test]
    fn adjacent_values_have_different_colours() {
        let regions = [region("a", 0, 16, 0, 3), region("b", 16, 16, 0, 1), region("c", 16, 16, 2, 3)];
        let grid = Picture { regions: &regions, ops: 4, arena_len: 32 }.grid(8, 2);
        let paint = colours(&grid, 3, 4);
        assert!(paint[0] != paint[1] && paint[0] != paint[2] && paint[1] != paint[2]);
    }

    #[test]
    fn an_empty_picture_is_empty() {
        assert_eq!(Picture { regions: &[], ops: 0, arena_len: 0 }.draw(80, false), "");
    }
}
