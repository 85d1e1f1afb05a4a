//! Paths of the kernels that only some layers take, so that a program whose models have no such layer need not link them.

use crate::composed::GATHERED;
use crate::depthwise_conv2d::DepthwiseConv2d;
use crate::fully_connected::FullyConnected;

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

    /// The paths that a DepthwiseConv2d takes.
    pub const fn of_depthwise_conv2d(p: &DepthwiseConv2d) -> Self {
        let depthwise_lines = crate::arch::has_depthwise_line(p);
        Self { any_depthwise: !depthwise_lines, depthwise_lines, ..Self::NONE }
    }

    /// The paths that a FullyConnected takes.
    pub const fn of_fully_connected(p: &FullyConnected) -> Self {
        Self {
            tiles: !crate::arch::has_vector_products(p),
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
