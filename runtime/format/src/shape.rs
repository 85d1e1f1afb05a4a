//! Tensor shapes of at most [`MAX_RANK`] dimensions.

/// The largest number of dimensions of a tensor.
pub const MAX_RANK: usize = 6;

/// The dimensions of a tensor, outermost first (NHWC where there are four). Rank 0 is a scalar.
///
/// ```
/// use tealight_format::Shape;
/// let shape = Shape::new(&[1, 25, 5, 64]).unwrap();
/// assert_eq!(shape.dims(), [1, 25, 5, 64]);
/// assert_eq!(shape.elements(), Some(8000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    rank: u8,
    dims: [u32; MAX_RANK],
}

impl Shape {
    /// A scalar.
    pub const SCALAR: Self = Self { rank: 0, dims: [1; MAX_RANK] };

    /// The shape with these dimensions; `None` if there are more than [`MAX_RANK`].
    pub const fn new(dims: &[u32]) -> Option<Self> {
        if dims.len() > MAX_RANK {
            return None;
        }
        let mut shape = Self { rank: dims.len() as u8, dims: [1; MAX_RANK] };
        let mut i = 0;
        while i < dims.len() {
            shape.dims[i] = dims[i];
            i += 1;
        }
        Some(shape)
    }

    /// The shape with the first `rank` of these dimensions. The others are 1, and `rank` is at most [`MAX_RANK`].
    #[inline]
    pub(crate) const fn with_rank(rank: u8, dims: [u32; MAX_RANK]) -> Self {
        Self { rank, dims }
    }

    /// The number of dimensions.
    pub const fn rank(&self) -> usize {
        self.rank as usize
    }

    /// The dimensions, outermost first.
    pub const fn dims(&self) -> &[u32] {
        match self.dims.split_at_checked(self.rank as usize) {
            Some((dims, _)) => dims,
            None => &[],
        }
    }

    /// Dimension `i`; 1 past the rank.
    pub const fn dim(&self, i: usize) -> u32 {
        if i < self.rank as usize && i < MAX_RANK { self.dims[i] } else { 1 }
    }

    /// Dimension `i` counted from the last: `from_end(0)` is the innermost. 1 past the rank.
    pub const fn from_end(&self, i: usize) -> u32 {
        if i < self.rank as usize { self.dim(self.rank as usize - 1 - i) } else { 1 }
    }

    /// The dimensions, preceded by 1s to make [`MAX_RANK`].
    pub const fn padded(&self) -> [u32; MAX_RANK] {
        let mut out = [1; MAX_RANK];
        let mut i = 0;
        while i < self.rank as usize && i < MAX_RANK {
            out[MAX_RANK - 1 - i] = self.from_end(i);
            i += 1;
        }
        out
    }

    /// The number of elements; `None` if it exceeds `u32::MAX`.
    pub const fn elements(&self) -> Option<u32> {
        self.product(0, self.rank as usize)
    }

    /// The product of dimensions `from..to`; `None` if it exceeds `u32::MAX`.
    pub const fn product(&self, from: usize, to: usize) -> Option<u32> {
        let mut product = 1u32;
        let mut i = from;
        while i < to {
            product = match product.checked_mul(self.dim(i)) {
                Some(product) => product,
                None => return None,
            };
            i += 1;
        }
        Some(product)
    }

    /// Whether both have the same rank and dimensions (`==` is not available in constants).
    pub const fn is(&self, other: &Self) -> bool {
        if self.rank != other.rank {
            return false;
        }
        let mut i = 0;
        while i < self.rank as usize {
            if self.dim(i) != other.dim(i) {
                return false;
            }
            i += 1;
        }
        true
    }
}
