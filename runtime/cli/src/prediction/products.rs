//! The terms of int8 convolutions and matrix products: the kernels multiply the windows of adjacent pixels with all
//! filters, in place where each of their kernel rows is one long run of input, else copied to a buffer
//! (`runtime/kernels/src/conv2d.rs`). Each such product has a number of pixels, and of lines and elements of a window.

use super::terms::{Axis, Layer, Terms, add, elements};
use tealight_format::Operator;
use tealight_types::Window2d;

/// The number of elements in the kernels' buffer for copied windows.
const GATHERED: u64 = 576;

/// The minimum number of elements of a run that is used in place.
const LONG_RUN: u64 = 16;

/// The number of elements in the buffer that some kernels copy whole lines of windows to, with their padding.
const PADDED: u64 = 4096;

/// Products of the same shape: windows of `pixels` adjacent pixels with all filters.
struct Product {
    pixels: u64,
    times: f64,
    /// Kernel rows of a window, which are not adjacent, and their elements.
    lines: u64,
    run: u64,
    gathered: bool,
}

/// The products of a layer.
struct Products {
    products: Vec<Product>,
    /// Output channels of a group.
    channels: u64,
    /// Elements of a window, and of its kernel rows and taps.
    window: [u64; 3],
    /// Pixels whose windows are too large for the buffer.
    large: f64,
    /// Pixels whose windows are copied, and reach into the padding.
    clipped: f64,
}

/// Adds the terms of a matrix product; `None` if it is not valid.
pub(super) fn add_product(layer: &Layer<'_>, terms: &mut Terms) -> Option<()> {
    let weights = layer.operands.input(1)?.shape;
    let [units, depth] = [u64::from(weights.dim(0)), u64::from(weights.dim(weights.rank().checked_sub(1)?))];
    let times = elements(&layer.operands.output) / units.max(1) as f64;
    let product = Product { pixels: 1, times, lines: 1, run: depth, gathered: false };
    Products { products: vec![product], channels: units, window: [depth; 3], large: 0.0, clipped: 0.0 }
        .add_to("", terms);
    Some(())
}

/// Adds the terms of a convolution; `None` if it is not valid.
pub(super) fn add_convolution(layer: &Layer<'_>, terms: &mut Terms) -> Option<()> {
    let Operator::Conv2d(conv) = layer.op.operator else { return None };
    let weights = layer.operands.input(1)?;
    let (input, output) = (Layer::nhwc(&layer.operands.input(0)?)?, Layer::nhwc(&layer.operands.output)?);
    let depth = Layer::nhwc(&weights)?[3].max(1);
    let groups = (input[3] / depth).max(1);
    let (axes, exchanged) = Axis::pair(input, output, &conv.window2d(&weights.shape), true);
    let [vertical, horizontal] = axes;
    let line = horizontal.kernel.saturating_mul(depth);
    let mut all = Products {
        products: Vec::new(),
        channels: output[3] / groups,
        window: [vertical.kernel.saturating_mul(line), line, depth],
        large: 0.0,
        clipped: 0.0,
    };
    let calls = layer.calls;
    if axes.iter().all(Axis::is_pointwise) {
        let of_row = if exchanged { 1 } else { horizontal.output };
        for (rows, times) in calls.sizes() {
            all.push(rows.saturating_mul(of_row), times.saturating_mul(groups) as f64, 1, depth, false);
        }
        all.add_to("", terms);
        return Some(());
    }
    let contiguous = horizontal.kernel == 1 || (groups == 1 && horizontal.dilation <= 1);
    let is_long = contiguous && (vertical.kernel == 1 || line >= LONG_RUN);
    let whole_lines = vertical.whole().end - vertical.whole().start;
    let images = (input[0] * groups) as f64;
    // A column is computed in pieces of the rows of a call.
    let piece = if exchanged { calls.mean() } else { horizontal.output.max(1) };
    for start in (0..horizontal.output).step_by(usize::try_from(piece).ok()?).take(1 << 16) {
        let end = (start + piece).min(horizontal.output);
        let whole = horizontal.whole().start.clamp(start, end)..horizontal.whole().end.clamp(start, end);
        let in_place = if is_long && whole_lines > 0 { whole.clone() } else { start..start };
        let times = images * whole_lines as f64;
        all.gather(in_place.start - start, times);
        all.push(in_place.end - in_place.start, times, vertical.kernel, line, false);
        all.gather(end - in_place.end, times);
        all.gather(end - start, images * (vertical.output - whole_lines) as f64);
        let of_row = end - start - (whole.end - whole.start);
        let of_clipped = (end - start) * (vertical.output - whole_lines);
        all.clipped += images * (of_row * whole_lines + of_clipped) as f64;
    }
    all.add_to("", terms);
    // Kernels that copy lines with their padding have no clipped windows.
    let columns = horizontal.columns(piece.min(horizontal.output));
    if contiguous && columns.saturating_mul(vertical.kernel).saturating_mul(input[3]) <= PADDED {
        let len = all.window[0];
        all.products.clear();
        (all.large, all.clipped) = (0.0, 0.0);
        for start in (0..horizontal.output).step_by(usize::try_from(piece).ok()?).take(1 << 16) {
            let pixels = piece.min(horizontal.output - start);
            let times = images * vertical.output as f64;
            let (lines, run) = if line >= LONG_RUN { (vertical.kernel, line) } else { (1, len) };
            all.push(pixels, times, lines, run, line < LONG_RUN);
        }
    }
    all.add_to("lines", terms);
    Some(())
}

/// Adds the terms of a convolution in f32 for cores whose kernels multiply the windows of adjacent pixels that lie inside
/// the input, those of a column too, and the others one by one.
pub(super) fn add_whole_windows(layer: &Layer<'_>, window: &Window2d, terms: &mut Terms) -> Option<()> {
    let depth = Layer::nhwc(&layer.operands.input(1)?)?[3].max(1);
    let (input, output) = (Layer::nhwc(&layer.operands.input(0)?)?, Layer::nhwc(&layer.operands.output)?);
    let groups = (input[3] / depth).max(1);
    let (axes, exchanged) = Axis::pair(input, output, window, true);
    let [vertical, horizontal] = axes;
    let line = horizontal.kernel.saturating_mul(depth);
    let [whole_lines, whole] = axes.map(|axis| axis.whole().end - axis.whole().start);
    // Each of a column's taps starts at lane 0.
    let joined = groups == 1 && horizontal.dilation <= 1 && (!exchanged || depth.is_multiple_of(8));
    let (lines, run) =
        if joined { (vertical.kernel, line) } else { (vertical.kernel.saturating_mul(horizontal.kernel), depth) };
    let calls = if exchanged { layer.calls.sizes() } else { [(whole, 1), (0, 0), (0, 0)] };
    let images = (input[0] * groups) as f64;
    let all = images * (vertical.output * horizontal.output) as f64;
    let mut products = Products {
        products: Vec::new(),
        channels: output[3] / groups,
        window: [vertical.kernel.saturating_mul(line), line, depth],
        large: all - images * (whole_lines * whole) as f64,
        clipped: 0.0,
    };
    for (pixels, times) in calls {
        products.push(pixels.min(whole), images * (whole_lines * times) as f64, lines, run, false);
    }
    products.add_to("whole", terms);
    Some(())
}

impl Products {
    fn push(&mut self, pixels: u64, times: f64, lines: u64, run: u64, gathered: bool) {
        if pixels > 0 && times > 0.0 {
            self.products.push(Product { pixels, times, lines, run, gathered });
        }
    }

    /// Adds the windows of `pixels` adjacent pixels, as many at a time as fit the buffer.
    fn gather(&mut self, pixels: u64, times: f64) {
        let [len, ..] = self.window;
        if len > GATHERED {
            self.large += pixels as f64 * times;
            return;
        }
        let together = (GATHERED / len.max(1)).max(1).min(pixels.max(1));
        self.push(together, (pixels / together) as f64 * times, 1, len, true);
        self.push(pixels % together, times, 1, len, true);
    }

    /// Adds all terms, whose names begin with `set`.
    fn add_to(&self, set: &str, terms: &mut Terms) {
        let channels = self.channels as f64;
        let by = |size: u64| self.channels.div_ceil(size) as f64;
        for kind in Kind::ALL {
            let products = || self.products.iter().filter(|product| product.kind() == kind);
            let counts = tile_terms(products());
            let filters = [
                ("", 1.0),
                ("c", channels),
                ("2c", by(2)),
                ("4c", by(4)),
                ("8c", by(8)),
                ("16c", by(16)),
                ("32c", by(32)),
                ("128c", by(128)),
                ("c%4", channels % 4.0),
            ];
            for (pixels, of_elements) in counts {
                for (elements, count) in of_elements {
                    let name = format!("{set} {} {pixels} {elements}", kind.name());
                    add(terms, name.trim(), &[("", count)], &filters);
                }
            }
        }
        self.add_gathered(set, terms);
    }

    /// Adds the terms of copied windows, and of those that are too large for it.
    fn add_gathered(&self, set: &str, terms: &mut Terms) {
        let named = |name: &str| format!("{set} {name}").trim_start().to_owned();
        let [len, line, tap] = self.window;
        let mut counts = [0.0; 5];
        for &Product { pixels, times, run, gathered, .. } in &self.products {
            let pixels = pixels as f64 * times;
            if gathered {
                let of = |part: u64| pixels * run.div_ceil(part.max(1)) as f64;
                let these = [times, pixels, pixels * run as f64, of(line), of(tap)];
                counts.iter_mut().zip(these).for_each(|(count, this)| *count += this);
            }
        }
        let in_place = self.products.iter().filter(|product| !product.gathered).map(|product| product.times).sum();
        let names = ["call", "p", "e", "line", "tap"];
        let counts: Vec<_> = names.into_iter().zip(counts).collect();
        add(terms, &named("gather"), &counts, &[("", 1.0)]);
        let of = |part: u64| self.clipped * len.div_ceil(part.max(1)) as f64;
        let clipped = [("p", self.clipped), ("line", of(line)), ("tap", of(tap)), ("e", of(1))];
        add(terms, &named("clipped"), &clipped, &[("", 1.0)]);
        add(terms, &named("in place"), &[("call", in_place)], &[("", 1.0)]);
        let channels = self.channels as f64;
        let len = len as f64;
        let by_4 = self.channels.div_ceil(4) as f64;
        add(
            terms,
            &named("large"),
            &[("p", self.large)],
            &[("", 1.0), ("c", channels), ("c e", channels * len), ("4c e", by_4 * len)],
        );
    }
}

/// What instruction sets compute in different ways: windows by their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Less than a register of 16 bytes.
    Short,
    /// Up to two registers, for several pixels.
    Two,
    /// Up to four registers.
    Four,
    /// All others.
    Long,
    /// Whole groups of eight registers.
    Whole,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Short, Self::Two, Self::Four, Self::Long, Self::Whole];

    fn name(self) -> &'static str {
        match self {
            Self::Short => "<16",
            Self::Two => "<=32",
            Self::Four => "<=64",
            Self::Long => "long",
            Self::Whole => "128",
        }
    }
}

impl Product {
    fn kind(&self) -> Kind {
        match *self {
            Self { lines: 1, run, .. } if run.is_multiple_of(128) => Kind::Whole,
            Self { lines, run, .. } if lines > 1 || run > 64 => Kind::Long,
            Self { run, .. } if run < 16 => Kind::Short,
            Self { pixels, run, .. } if pixels > 1 && run <= 32 => Kind::Two,
            _ => Kind::Four,
        }
    }

    /// Its pixels in whole tiles of several sizes, those left over, and those that are too few for large tiles.
    fn pixels(&self) -> [(&'static str, u64); 13] {
        let n = self.pixels;
        let if_few = |of: u64| if n < 8 { of } else { 0 };
        [
            ("call", 1),
            ("p", n),
            ("2p", n / 2),
            ("3p", n / 3),
            ("4p", n / 4),
            ("p%4/2", n % 4 / 2),
            ("p%2", n % 2),
            ("p%3", n % 3),
            ("p%4", n % 4),
            ("8p", n / 8),
            ("p%8", n % 8),
            ("few call", if_few(1)),
            ("few p", if_few(n)),
        ]
    }

    /// The elements of a window in vectors of several sizes, and those left over.
    fn elements(&self) -> [(&'static str, u64); 10] {
        let by = |size: u64| self.run.div_ceil(size);
        [
            ("", 1),
            ("line", self.lines),
            ("e", self.lines * self.run),
            ("4e", self.lines * by(4)),
            ("8e", self.lines * by(8)),
            ("16e", self.lines * by(16)),
            ("32e", self.lines * by(32)),
            ("64e", self.lines * by(64)),
            ("e%16", self.lines * (self.run % 16)),
            ("128e", self.lines * (self.run / 128)),
        ]
    }
}

/// The sums over `products` of pixels times elements, by name.
fn tile_terms<'a>(products: impl Iterator<Item = &'a Product>) -> Vec<(&'static str, Vec<(&'static str, f64)>)> {
    let mut sums: Vec<(&'static str, Vec<(&'static str, f64)>)> = Vec::new();
    for product in products {
        if sums.is_empty() {
            let elements = product.elements().map(|(name, _)| (name, 0.0)).to_vec();
            sums = product.pixels().iter().map(|(name, _)| (*name, elements.clone())).collect();
        }
        for ((_, sums), (_, pixels)) in sums.iter_mut().zip(product.pixels()) {
            for ((_, sum), (_, elements)) in sums.iter_mut().zip(product.elements()) {
                *sum += pixels as f64 * elements as f64 * product.times;
            }
        }
    }
    sums
}
