//! Convolutions and pools.

use super::{Builder, DefaultDims, F32, I8, I16, Proposal, is_image};
use tealight_format::ops::{
    Conv2d, Conv2dF32, Conv2dI16, ConvTranspose2dF32, DepthwiseConv2d, DepthwiseConv2dF32, DepthwiseConv2dI16,
    MaxPoolIndices2dF32, MaxUnpool2dF32, MaxWindow2d, Pool2d, Pool2dF32, Pool2dI16,
};
use tealight_format::{DType, OpCode, Operator};

impl Builder<'_, '_> {
    /// A convolution, depthwise or not, with its weights and bias.
    pub(super) fn conv(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let float = matches!(code, OpCode::Conv2dF32 | OpCode::DepthwiseConv2dF32);
        let wide = matches!(code, OpCode::Conv2dI16 | OpCode::DepthwiseConv2dI16);
        let kinds = if float {
            F32
        } else if wide {
            I16
        } else {
            I8
        };
        let x = self.operand(kinds, is_image, &defaults.image);
        let s = self.get(x).shape;
        let (kh, kw) = (self.size(4), self.size(4));
        let (v, oh) = self.window(s.dim(1), kh, true);
        let (h, ow) = self.window(s.dim(2), kw, true);
        let (stride, dilation, pad) = ([v[0], h[0]], [v[1], h[1]], [v[2], h[2]]);
        let attrs = Conv2d { stride, dilation, pad, activation: self.activation() };
        let i16_attrs = Conv2dI16 { stride, dilation, pad, activation: self.activation_i16() };
        let f32_attrs = Conv2dF32 { stride, dilation, pad, activation: self.f32_activation() };
        let many = self.size(5);
        let (operator, o, weights) = if matches!(code, OpCode::Conv2d | OpCode::Conv2dF32 | OpCode::Conv2dI16) {
            let divisors: Vec<u32> = (1..=s.dim(3)).filter(|d| s.dim(3).is_multiple_of(*d)).collect();
            let groups = if self.choose.one_in(2) { self.choose.pick(&divisors) } else { 1 };
            let o = groups * many;
            let operator = match code {
                OpCode::Conv2dF32 => Operator::Conv2dF32(f32_attrs),
                OpCode::Conv2dI16 => Operator::Conv2dI16(i16_attrs),
                _ => Operator::Conv2d(attrs),
            };
            (operator, o, [o, kh, kw, s.dim(3) / groups])
        } else {
            let many = if self.choose.one_in(2) { many } else { 1 };
            let o = s.dim(3) * many;
            let operator = match code {
                OpCode::DepthwiseConv2dF32 => Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(f32_attrs)),
                OpCode::DepthwiseConv2dI16 => Operator::DepthwiseConv2dI16(DepthwiseConv2dI16(i16_attrs)),
                _ => Operator::DepthwiseConv2d(DepthwiseConv2d(attrs)),
            };
            (operator, o, [1, kh, kw, o])
        };
        let [w, c] = if float {
            self.channel_weights(&weights, o)
        } else if wide {
            [Some(self.constant(DType::I8, &weights)), Some(self.channels_i16(o))]
        } else {
            [Some(self.int8_weights(&weights)), Some(self.channels(o))]
        };
        Proposal::new(operator, vec![Some(x), w, c], kinds[0], vec![s.dim(0), oh, ow, o])
    }

    /// A transposed convolution.
    pub(super) fn conv_transpose(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, is_image, &defaults.image);
        let s = self.get(x).shape;
        let (kh, kw) = (self.size(4), self.size(4));
        let mut pair = |max| [(); 2].map(|()| self.choose.between(1, max));
        let (stride, dilation, out) = (pair(3), pair(3), pair(9).map(|side| side as u32));
        let pad = [(); 2].map(|()| self.choose.between(0, 4));
        let activation = self.f32_activation();
        let divisors: Vec<u32> = (1..=s.dim(3)).filter(|d| s.dim(3).is_multiple_of(*d)).collect();
        let groups = if self.choose.one_in(2) { self.choose.pick(&divisors) } else { 1 };
        let o = groups * self.size(4);
        let [w, c] = self.channel_weights(&[o, kh, kw, s.dim(3) / groups], o);
        let attrs = ConvTranspose2dF32 { stride, dilation, pad, activation };
        let out = vec![s.dim(0), out[0], out[1], o];
        Proposal::new(Operator::ConvTranspose2dF32(attrs), vec![Some(x), w, c], DType::F32, out)
    }

    /// A pool.
    pub(super) fn pool(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let float = matches!(code, OpCode::AvgPool2dF32 | OpCode::MaxPool2dF32);
        let kinds = match code {
            OpCode::AvgPool2dI16 | OpCode::MaxPool2dI16 => I16,
            _ if float => F32,
            _ => I8,
        };
        let x = self.operand(kinds, is_image, &defaults.image);
        let s = self.get(x).shape;
        let mut window = [(); 2].map(|()| self.size(4) as i32);
        if self.choose.one_in(8) {
            window = [(); 2].map(|()| self.choose.odd().clamp(1, 1 << 24));
        }
        let (v, oh) = self.window(s.dim(1), window[0] as u32, false);
        let (h, ow) = self.window(s.dim(2), window[1] as u32, false);
        let (stride, pad) = ([v[0], h[0]], [v[2], h[2]]);
        let attrs = Pool2d { window, stride, pad, activation: self.activation() };
        let i16_attrs = Pool2dI16 { window, stride, pad, activation: self.activation_i16() };
        let f32_attrs = Pool2dF32 { window, stride, pad, activation: self.f32_activation() };
        let operator = match code {
            OpCode::AvgPool2d => Operator::AvgPool2d(attrs),
            OpCode::MaxPool2d => Operator::MaxPool2d(attrs),
            OpCode::AvgPool2dI16 => Operator::AvgPool2dI16(i16_attrs),
            OpCode::MaxPool2dI16 => Operator::MaxPool2dI16(i16_attrs),
            OpCode::AvgPool2dF32 => Operator::AvgPool2dF32(f32_attrs),
            _ => Operator::MaxPool2dF32(f32_attrs),
        };
        Proposal::new(operator, vec![Some(x)], kinds[0], vec![s.dim(0), oh, ow, s.dim(3)])
    }

    /// The places of maxima.
    pub(super) fn max_pool_indices(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, is_image, &defaults.image);
        let s = self.get(x).shape;
        let window = [(); 2].map(|()| self.size(4) as i32);
        let (v, oh) = self.window(s.dim(1), window[0] as u32, false);
        let (h, ow) = self.window(s.dim(2), window[1] as u32, false);
        let attrs = MaxPoolIndices2dF32(MaxWindow2d { window, stride: [v[0], h[0]], pad: [v[2], h[2]] });
        let operator = Operator::MaxPoolIndices2dF32(attrs);
        Proposal::new(operator, vec![Some(x)], DType::F32, vec![s.dim(0), oh, ow, s.dim(3)])
    }

    /// Maxima at any places.
    pub(super) fn max_unpool(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, is_image, &defaults.image);
        let s = self.get(x).shape;
        let places = self.operand(F32, |v| v.shape.is(&s), s.dims());
        let window = [(); 2].map(|()| self.size(4) as i32);
        let stride = window.map(|size| self.choose.between(1, size));
        let pad = window.map(|size| self.choose.between(0, size - 1));
        let attrs = MaxUnpool2dF32(MaxWindow2d { window, stride, pad });
        let side = |axis: usize| s.dim(1 + axis) * window[axis] as u32;
        let out = vec![s.dim(0), side(0), side(1), s.dim(3)];
        Proposal::new(Operator::MaxUnpool2dF32(attrs), vec![Some(x), Some(places)], DType::F32, out)
    }
}
