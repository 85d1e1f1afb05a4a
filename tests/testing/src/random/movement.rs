//! What moves elements.

use super::{ALL, Builder, DefaultDims, F32, I8, Proposal, is_image, small};
use tealight_format::ops::{
    Concat, Copy, Pad, ResizeBilinear, ResizeBilinearF32, ResizeNearest, StridedSlice, TransformBilinearF32, Transpose,
};
use tealight_format::{DType, MAX_RANK, OpCode, Operator, Value};

impl Builder<'_, '_> {
    /// Padding.
    pub(super) fn pad(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(ALL, small, &defaults.dims);
        let mut out = self.get(x).shape.dims().to_vec();
        let mut before = [0; MAX_RANK];
        for (dim, before) in out.iter_mut().zip(&mut before) {
            *before = self.choose.between(0, 2);
            *dim += *before as u32 + self.choose.below(3);
        }
        let attrs = Pad { before, value: self.choose.odd() };
        Proposal::new(Operator::Pad(attrs), vec![Some(x)], self.get(x).dtype, out)
    }

    /// A concatenation of one to five tensors.
    pub(super) fn concat(&mut self, defaults: &DefaultDims) -> Proposal {
        let a = self.operand(ALL, |v| small(v) && v.shape.rank() > 0, &defaults.image);
        let first = self.get(a);
        let axis = self.choose.below(first.shape.rank() as u32) as usize;
        let mut out = first.shape.dims().to_vec();
        let mut inputs = vec![Some(a)];
        for _ in 0..self.choose.below(4) {
            let mut dims = first.shape.dims().to_vec();
            dims[axis] = self.choose.between(1, 3) as u32;
            let fits = |v: &Value| {
                v.shape.rank() == dims.len() && (0..dims.len()).all(|i| i == axis || v.shape.dim(i) == dims[i])
            };
            let b = self.operand(&[first.dtype], |v| small(v) && fits(v), &dims);
            out[axis] += self.get(b).shape.dim(axis);
            inputs.push(Some(b));
        }
        Proposal::new(Operator::Concat(Concat { axis: axis as i32 }), inputs, first.dtype, out)
    }

    /// A slice, forward or backward.
    pub(super) fn strided_slice(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(ALL, small, &defaults.dims);
        let mut out = self.get(x).shape.dims().to_vec();
        let (mut begin, mut stride) = ([0; MAX_RANK], [1i32; MAX_RANK]);
        for ((dim, begin), stride) in out.iter_mut().zip(&mut begin).zip(&mut stride) {
            *begin = self.choose.below(*dim) as i32;
            *stride = self.choose.pick(&[1, 1, 2, -1, -2, 3]);
            let room = if *stride > 0 { *dim as i32 - 1 - *begin } else { *begin };
            *dim = self.choose.between(1, room / stride.abs() + 1) as u32;
            if *dim == 1 && self.choose.one_in(8) {
                *stride = self.choose.odd();
            }
        }
        Proposal::new(Operator::StridedSlice(StridedSlice { begin, stride }), vec![Some(x)], self.get(x).dtype, out)
    }

    /// Any permutation of the dimensions.
    pub(super) fn transpose(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(ALL, small, &defaults.dims);
        let s = self.get(x).shape;
        let mut perm = [0, 1, 2, 3, 4, 5];
        for i in (1..s.rank()).rev() {
            perm.swap(i, self.choose.below(i as u32 + 1) as usize);
        }
        let out = perm[..s.rank()].iter().map(|&from| s.dim(from as usize)).collect();
        Proposal::new(Operator::Transpose(Transpose { perm }), vec![Some(x)], self.get(x).dtype, out)
    }

    /// An image resized.
    pub(super) fn resize_nearest(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(ALL, is_image, &defaults.image);
        let s = self.get(x).shape;
        let attrs = ResizeNearest {
            align_corners: self.choose.between(0, 1) == 1,
            half_pixel_centers: self.choose.between(0, 1) == 1,
        };
        let size = self.dims(2, 12);
        let out = vec![s.dim(0), size[0], size[1], s.dim(3)];
        Proposal::new(Operator::ResizeNearest(attrs), vec![Some(x)], self.get(x).dtype, out)
    }

    /// An image resized by interpolation.
    pub(super) fn resize_bilinear(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let kinds = if code == OpCode::ResizeBilinear { I8 } else { F32 };
        let x = self.operand(kinds, is_image, &defaults.image);
        let s = self.get(x).shape;
        let (align_corners, half_pixel_centers) = self.choose.pick(&[(false, false), (true, false), (false, true)]);
        let size = self.dims(2, 12);
        let out = vec![s.dim(0), size[0], size[1], s.dim(3)];
        let operator = if code == OpCode::ResizeBilinear {
            Operator::ResizeBilinear(ResizeBilinear { align_corners, half_pixel_centers })
        } else {
            Operator::ResizeBilinearF32(ResizeBilinearF32 { align_corners, half_pixel_centers })
        };
        Proposal::new(operator, vec![Some(x)], kinds[0], out)
    }

    /// An image of one seen through any transform.
    pub(super) fn transform_bilinear(&mut self, defaults: &DefaultDims) -> Proposal {
        let mut dims = defaults.image.clone();
        dims[0] = 1;
        let x = self.operand(F32, |v| is_image(v) && v.shape.dim(0) == 1, &dims);
        let matrix = self.operand(F32, |v| v.len == 64, &[1, 4, 4]);
        let size = self.dims(2, 12);
        let out = vec![1, size[0], size[1], self.get(x).shape.dim(3)];
        Proposal::new(
            Operator::TransformBilinearF32(TransformBilinearF32),
            vec![Some(x), Some(matrix)],
            DType::F32,
            out,
        )
    }

    /// A copy, with the same dimensions or others of the same product.
    pub(super) fn copy(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(ALL, small, &defaults.dims);
        let v = self.get(x);
        let out = if self.choose.one_in(2) { v.shape.dims().to_vec() } else { self.other_dims(&v.shape) };
        Proposal::new(Operator::Copy(Copy), vec![Some(x)], v.dtype, out)
    }
}
