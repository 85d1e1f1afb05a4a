//! Paths of the kernels that only some layers take, so that a program whose models have no such layer need not link them.

use crate::composed::GATHERED;
use crate::depthwise_conv2d::DepthwiseConv2d;
use crate::fully_connected::FullyConnected;
use tealight_types::Window2d;

/// The paths that a program links, of those that only some layers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Conv2d: windows at the border of the input that are too large to be gathered.
    pub large_windows: bool,
    /// DepthwiseConv2d: windows for which the instruction set has no loop over whole lines.
    pub any_depthwise: bool,
    /// DepthwiseConv2d: windows for which it has one.
    pub depthwise_lines: bool,
    /// Conv2d, and FullyConnected with rows for which the instruction set has no product with a single vector: products
    /// with any number of inputs.
    pub tiles: bool,
    /// FullyConnected: weights whose rows lie one after another, not [in pairs](crate::pair_weights).
    pub rows: bool,
    /// FullyConnected: weights with a zero point.
    pub weights_zero_point: bool,
}

impl Paths {
    /// All paths.
    pub const ALL: Self = Self {
        large_windows: true,
        any_depthwise: true,
        depthwise_lines: true,
        tiles: true,
        rows: true,
        weights_zero_point: true,
    };

    /// None of them.
    pub const NONE: Self = Self {
        large_windows: false,
        any_depthwise: false,
        depthwise_lines: false,
        tiles: false,
        rows: false,
        weights_zero_point: false,
    };

    /// The paths that a Conv2d takes, by the sizes of its kernel and the number of channels that each filter reads.
    pub const fn of_conv2d([height, width]: [usize; 2], inputs: usize) -> Self {
        // A kernel of one tap has no padding, so its windows are used in place.
        let large = height.saturating_mul(width).saturating_mul(inputs) > GATHERED && height.saturating_mul(width) > 1;
        Self { large_windows: large, tiles: true, ..Self::NONE }
    }

    /// The paths that a DepthwiseConv2d takes where the instruction set has these loops.
    pub const fn of_depthwise_conv2d(p: &DepthwiseConv2d, loops: Loops) -> Self {
        let depthwise_lines = loops.have_depthwise_line(p);
        Self { any_depthwise: !depthwise_lines, depthwise_lines, ..Self::NONE }
    }

    /// The paths that a FullyConnected takes where the instruction set has these loops.
    pub const fn of_fully_connected(p: &FullyConnected, loops: Loops) -> Self {
        Self {
            tiles: !loops.have_vector_products(p),
            rows: true,
            weights_zero_point: p.weights_zero_point != 0,
            ..Self::NONE
        }
    }

    /// The paths in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            large_windows: self.large_windows || other.large_windows,
            any_depthwise: self.any_depthwise || other.any_depthwise,
            depthwise_lines: self.depthwise_lines || other.depthwise_lines,
            tiles: self.tiles || other.tiles,
            rows: self.rows || other.rows,
            weights_zero_point: self.weights_zero_point || other.weights_zero_point,
        }
    }

    /// Whether `other` has all of these paths.
    pub const fn are_in(self, other: Self) -> bool {
        (!self.large_windows || other.large_windows)
            && (!self.any_depthwise || other.any_depthwise)
            && (!self.depthwise_lines || other.depthwise_lines)
            && (!self.tiles || other.tiles)
            && (!self.rows || other.rows)
            && (!self.weights_zero_point || other.weights_zero_point)
    }
}

/// The loops for whole lines and for single vectors that an instruction set has. Which paths a layer takes depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loops {
    /// None of them.
    None,
    /// Those of Arm's DSP instructions.
    Dsp,
    /// Those of ARMv6-M, and of ARMv7-M without DSP instructions.
    Strips,
    /// Those of RISC-V's vectors.
    Vectors,
}

impl Loops {
    /// Those of the instruction set that is compiled for.
    pub const HERE: Self = if cfg!(all(arm_dsp, not(arm_mve))) {
        Self::Dsp
    } else if cfg!(any(arm_v6m, arm_v7m)) {
        Self::Strips
    } else if cfg!(riscv_v) {
        Self::Vectors
    } else {
        Self::None
    };

    /// Whether they compute every row of a layer, whole lines at a time.
    pub(crate) const fn have_depthwise_line(self, p: &DepthwiseConv2d) -> bool {
        match self {
            Self::None => false,
            Self::Dsp => has_dsp_line(p),
            Self::Strips => has_strips(p),
            Self::Vectors => has_vector_line(p),
        }
    }

    /// Whether they compute the rows of a layer whose weights are aligned, as those of a file are, except for slices of few
    /// rows and channels with unusually large biases.
    const fn have_vector_products(self, p: &FullyConnected) -> bool {
        matches!(self, Self::Dsp) && is_dsp_row(p.in_features) && p.out_features >= DSP_ROWS
    }
}

/// Whether the loop of Arm's DSP instructions computes every row of a layer: of its windows, all have 3 × 3 taps, of which
/// some columns are inside the input.
#[inline]
pub(crate) const fn has_dsp_line(p: &DepthwiseConv2d) -> bool {
    let ([_, _, width, depth], [_, _, out_width, out_depth]) = (p.input, p.output);
    let Window2d { kernel: [3, 3], stride: [_, stride @ 1..=3], dilation: [1, 1], pad } = p.window else {
        return false;
    };
    let last = out_width.saturating_sub(1).saturating_mul(stride);
    depth == out_depth && depth >= 4 && width > 0 && last < width.saturating_add(pad[1]) && pad[1] <= 2
}

/// The exclusive upper limit of columns and of channels in strips. Their products do not overflow, and a row of a tensor
/// less two steps is not 0 or 1, because the first 8 KiB of these cores' memory are vectors and code.
const STRIP_LIMIT: usize = 1 << 12;

/// Whether the loop of ARMv6-M, and of ARMv7-M without DSP instructions, computes every row of a layer: its windows have
/// 3 × 3 taps, are at most two columns apart, and of each at most one column at one end of the input is in the padding.
#[inline]
pub(crate) const fn has_strips(p: &DepthwiseConv2d) -> bool {
    let ([_, _, width, depth], [_, _, out_width, out_depth]) = (p.input, p.output);
    let Window2d { kernel: [3, 3], stride: [_, stride @ 1..=2], dilation: [1, 1], pad: [_, pad @ 0..=1] } = p.window
    else {
        return false;
    };
    let fits = (width | depth | out_width) < STRIP_LIMIT && width > 0 && depth > 0 && out_width > 0;
    fits && depth == out_depth && (out_width - 1) * stride + 2 <= width + pad
}

/// Whether the loop of RISC-V's vectors computes every row of a layer: of those in which each channel has its own input
/// channel.
#[inline]
pub(crate) const fn has_vector_line(p: &DepthwiseConv2d) -> bool {
    let ([.., depth], [.., out_depth]) = (p.input, p.output);
    depth == out_depth
}

/// The number of filters at a time in the products of Arm's DSP instructions.
pub(crate) const DSP_ROWS: usize = 3;

/// Whether the products of Arm's DSP instructions take filters of `len` elements: rows can be loaded in pairs of words.
#[inline]
pub(crate) const fn is_dsp_row(len: usize) -> bool {
    len.is_multiple_of(8) && len > 0 && len < 1 << 15
}

/// The paths that a program links, as a type.
pub trait LinkedPaths {
    /// The paths.
    const PATHS: Paths;
}

/// All paths.
#[derive(Clone, Copy, Debug)]
pub struct AllPaths;

impl LinkedPaths for AllPaths {
    const PATHS: Paths = Paths::ALL;
}
