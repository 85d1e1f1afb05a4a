//! The terms of operators whose kernels go over the taps of each pixel's window: depthwise convolutions, pooling, and
//! convolutions in f32 and int16.

use super::terms::{Axis, Layer, Terms};
use tealight_format::Operator;
use tealight_types::Window2d;

/// Adds the terms of an operator; `None` if it is not valid or has no window.
pub(super) fn add(layer: &Layer<'_>, terms: &mut Terms) -> Option<()> {
    let operands = layer.operands;
    let weights = operands.input(1).map(|value| value.shape);
    let (window, is_int8_depthwise, depth): (Window2d, bool, u64) = match (&layer.op.operator, weights) {
        (Operator::Conv2dI16(conv), Some(shape)) => (conv.window2d(&shape), false, u64::from(shape.dim(3)).max(1)),
        (Operator::DepthwiseConv2dI16(conv), Some(shape)) => (conv.0.window2d(&shape), false, 1),
        (Operator::DepthwiseConv2d(conv), Some(shape)) => (conv.0.window2d(&shape), true, 1),
        (Operator::DepthwiseConv2dF32(conv), Some(shape)) => (conv.0.window2d(&shape), false, 1),
        (Operator::Conv2dF32(conv), Some(shape)) => (conv.window2d(&shape), false, u64::from(shape.dim(3)).max(1)),
        (Operator::AvgPool2d(pool) | Operator::MaxPool2d(pool), _) => (pool.window2d(), false, 1),
        (Operator::AvgPool2dI16(pool) | Operator::MaxPool2dI16(pool), _) => (pool.window2d(), false, 1),
        (Operator::AvgPool2dF32(pool) | Operator::MaxPool2dF32(pool), _) => (pool.window2d(), false, 1),
        _ => return None,
    };
    let (input, output) = (Layer::nhwc(&operands.input(0)?)?, Layer::nhwc(&operands.output)?);
    let (axes, exchanged) = Axis::pair(input, output, &window, is_int8_depthwise);
    let piece = if exchanged { layer.calls.mean() } else { u64::MAX };
    let windows = Windows { images: input[0] as f64, axes, piece };
    if let Operator::Conv2dF32(_) | Operator::Conv2dI16(_) = layer.op.operator {
        windows.add_convolution(depth, input[3], output[3], terms);
        return Some(());
    }
    let multiplier = output[3].checked_div(input[3])?;
    let channels = if multiplier > 1 { shared_channels(input[3], multiplier) } else { own_channels(output[3]) };
    super::terms::add(terms, "", &windows.pixels(), &channels);
    super::terms::add(terms, "", &windows.tiles(), &channels);
    Some(())
}

/// The windows of all output pixels.
struct Windows {
    images: f64,
    axes: [Axis; 2],
    /// Pixels of a line that are computed in one call at most.
    piece: u64,
}

impl Windows {
    fn pieces(&self) -> f64 {
        self.axes[1].output.div_ceil(self.piece).max(1) as f64
    }

    fn lines(&self) -> f64 {
        self.images * self.axes[0].output as f64 * self.pieces()
    }

    /// The number of pixels, and of kernel rows and taps inside the input and outside of it.
    fn pixels(&self) -> [(&'static str, f64); 11] {
        let [vertical, horizontal] = self.axes;
        let all = self.images * (vertical.output * horizontal.output) as f64;
        let taps_of = (vertical.kernel.saturating_mul(horizontal.kernel)) as f64;
        let whole = self.axes.map(|axis| (axis.whole().end - axis.whole().start) as f64);
        let clipped = all - self.images * whole[0] * whole[1];
        let rows = self.images * vertical.taps();
        let inside = rows * horizontal.taps();
        [
            ("line", self.lines()),
            ("clipped line", self.images * (vertical.output as f64 - whole[0])),
            ("p", all),
            ("clipped p", clipped),
            ("line row", rows * self.pieces()),
            ("p row", rows * horizontal.output as f64),
            ("tap", inside),
            ("any tap", all * taps_of),
            ("clipped tap", clipped * taps_of),
            ("outside tap", all * taps_of - inside),
            ("clipped row", clipped * vertical.kernel as f64),
        ]
    }

    /// Pixels of lines in whole tiles of 2 to 4, and those left over, with their kernel rows and taps.
    fn tiles(&self) -> [(&'static str, f64); 18] {
        let [vertical, horizontal] = self.axes;
        let width = horizontal.output.min(self.piece);
        let whole = |size: u64| self.lines() * (width / size) as f64;
        let left = |size: u64| self.lines() * (width % size) as f64;
        let rows = vertical.kernel as f64;
        let taps = rows * horizontal.kernel as f64;
        [
            ("2p", whole(2)),
            ("3p", whole(3)),
            ("4p", whole(4)),
            ("p%2", left(2)),
            ("p%3", left(3)),
            ("p%4", left(4)),
            ("2p row", whole(2) * rows),
            ("3p row", whole(3) * rows),
            ("4p row", whole(4) * rows),
            ("p%2 row", left(2) * rows),
            ("p%3 row", left(3) * rows),
            ("p%4 row", left(4) * rows),
            ("2p tap", whole(2) * taps),
            ("3p tap", whole(3) * taps),
            ("4p tap", whole(4) * taps),
            ("p%2 tap", left(2) * taps),
            ("p%3 tap", left(3) * taps),
            ("p%4 tap", left(4) * taps),
        ]
    }

    /// Adds the terms of a convolution in f32 or int16, whose taps are runs of `depth` elements each, or whose kernel rows
    /// are.
    fn add_convolution(&self, depth: u64, input_channels: u64, channels: u64, terms: &mut Terms) {
        let [.., horizontal] = self.axes;
        let pixels = self.pixels();
        let filters = own_channels(channels);
        let is_outside = |name: &str| name.starts_with("clipped") || name.starts_with("outside");
        for count in pixels {
            super::terms::add(terms, "", &[count], if is_outside(count.0) { &filters[..1] } else { &filters });
        }
        let joined = input_channels == depth && horizontal.dilation <= 1;
        let (runs, run) =
            if joined { (pixels[5].1, horizontal.kernel.saturating_mul(depth)) } else { (pixels[6].1, depth) };
        let by = |size: u64| runs * run.div_ceil(size) as f64;
        let counts = [
            ("run", runs),
            ("run e", by(1)),
            ("run 4e", by(4)),
            ("run 8e", by(8)),
            ("run e%4", runs * (run % 4) as f64),
            ("run e%8", runs * (run % 8) as f64),
            ("run 8e whole", runs * (run / 8) as f64),
        ];
        let few: Vec<_> = filters.into_iter().filter(|(name, _)| ["", "c", "2c", "4c", "c%4"].contains(name)).collect();
        super::terms::add(terms, "", &counts, &few);
    }
}

/// Channels in vectors of several sizes, and those left over.
fn own_channels(channels: u64) -> [(&'static str, f64); 13] {
    let by = |size: u64| channels.div_ceil(size) as f64;
    let left = |size: u64| (channels % size) as f64;
    [
        ("", 1.0),
        ("c", channels as f64),
        ("2c", by(2)),
        ("4c", by(4)),
        ("8c", by(8)),
        ("16c", by(16)),
        ("16c whole", (channels / 16) as f64),
        ("32c whole", (channels / 32) as f64),
        ("64c", by(64)),
        ("c%4", left(4)),
        ("c%8", left(8)),
        ("c%32", left(32)),
        ("c%32/4", (channels % 32 / 4) as f64),
    ]
}

/// The same where `multiplier` output channels belong to each of `inputs` channels.
fn shared_channels(inputs: u64, multiplier: u64) -> [(&'static str, f64); 13] {
    let inputs_of = inputs as f64;
    let by = |size: u64| inputs_of * multiplier.div_ceil(size) as f64;
    let left = |size: u64| inputs_of * (multiplier % size) as f64;
    [
        ("", 1.0),
        ("i", inputs_of),
        ("c", by(1)),
        ("i 2m", by(2)),
        ("i 4m", by(4)),
        ("i 8m", by(8)),
        ("i 16m", by(16)),
        ("i 32m", by(32)),
        ("i 64m", by(64)),
        ("i m%4", left(4)),
        ("i m%8", left(8)),
        ("i 8m whole", inputs_of * (multiplier / 8) as f64),
        ("i 16m whole", inputs_of * (multiplier / 16) as f64),
    ]
}
