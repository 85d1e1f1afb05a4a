//! Element-wise operators.

use super::{ALL, BYTES, Builder, DefaultDims, F32, I8, I16, I32, Proposal, small};
use tealight_format::ops::{
    ActivationRange, ActivationRangeI16, AddSub, AddSubI16, BinaryF32, BinaryI32, Cast, Dequantize, DequantizeI16, Div,
    Function, IntegerFunction, L2Norm, Lookup, Mul, MulI16, PowF32, Prelu, PreluF32, Quantize, QuantizeI16,
    RequantizeI16, RescaleI32, SigmoidI16, UnaryF32, UnaryFunction,
};
use tealight_format::{DType, OpCode, Operator, Shape};

impl Builder<'_, '_> {
    /// A binary operator with broadcasting.
    pub(super) fn binary(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let kinds = match code {
            OpCode::Add | OpCode::Sub | OpCode::Mul | OpCode::Div => I8,
            OpCode::AddI16 | OpCode::SubI16 | OpCode::MulI16 => I16,
            OpCode::BinaryI32 => I32,
            _ => F32,
        };
        let a = self.operand(kinds, small, &defaults.dims);
        let mut out = self.get(a).shape.dims().to_vec();
        let mut other = out.clone();
        for (o, d) in other.iter_mut().zip(&mut out) {
            match self.choose.below(8) {
                0 => *o = 1,
                1 if *d == 1 => (*d, *o) = (3, 3),
                _ => {}
            }
        }
        if self.choose.one_in(4) && !other.is_empty() {
            other.remove(0);
        }
        let wanted = Shape::new(&other).unwrap();
        let b = self.operand(kinds, |v| v.shape.is(&wanted), &other);
        let activation = self.activation();
        let f32_attrs = BinaryF32 { activation: self.f32_activation() };
        let operator = if code == OpCode::Mul {
            Operator::Mul(Mul { output: self.multiplier(), activation })
        } else if code == OpCode::Div {
            let mut output = self.multiplier();
            output.shift = output.shift.min(Div::MAX_SHIFT);
            Operator::Div(Div { output, activation })
        } else if kinds == I16 {
            let (mut a, mut b, mut output) = (self.multiplier(), self.multiplier(), self.multiplier());
            let activation = self.activation_i16();
            if code == OpCode::MulI16 {
                Operator::MulI16(MulI16 { output, activation })
            } else {
                (a.shift, b.shift, output.shift) = (a.shift.min(0), b.shift.min(0), output.shift.min(0));
                let attrs = AddSubI16 { a, b, output, activation };
                if code == OpCode::AddI16 { Operator::AddI16(attrs) } else { Operator::SubI16(attrs) }
            }
        } else if kinds == I32 {
            let function = self.choose.between(0, IntegerFunction::COUNT - 1);
            Operator::BinaryI32(BinaryI32 { function: IntegerFunction::parse(function).unwrap() })
        } else if kinds == F32 {
            match code {
                OpCode::AddF32 => Operator::AddF32(f32_attrs),
                OpCode::SubF32 => Operator::SubF32(f32_attrs),
                OpCode::DivF32 => Operator::DivF32(f32_attrs),
                OpCode::MinimumF32 => Operator::MinimumF32(f32_attrs),
                OpCode::MaximumF32 => Operator::MaximumF32(f32_attrs),
                OpCode::PowF32 => Operator::PowF32(PowF32(f32_attrs)),
                _ => Operator::MulF32(f32_attrs),
            }
        } else {
            let (mut a, mut b) = (self.multiplier(), self.multiplier());
            (a.shift, b.shift) = (a.shift.min(0), b.shift.min(0));
            let left_shift = self.choose.between(0, 22);
            let attrs = AddSub { left_shift, a, b, output: self.multiplier(), activation };
            if code == OpCode::Add { Operator::Add(attrs) } else { Operator::Sub(attrs) }
        };
        let inputs = if self.choose.one_in(2) { vec![Some(a), Some(b)] } else { vec![Some(b), Some(a)] };
        Proposal::new(operator, inputs, kinds[0], out)
    }

    /// A PReLU with slopes for all elements, for each channel, or for each element.
    pub(super) fn prelu(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let kinds = if code == OpCode::Prelu { I8 } else { F32 };
        let x = self.operand(kinds, small, &defaults.dims);
        let out = self.get(x).shape.dims().to_vec();
        let alpha = match (self.choose.below(3), out.last()) {
            (0, Some(_)) => vec![1],
            (1, Some(&channels)) => vec![channels],
            _ => out.clone(),
        };
        let wanted = Shape::new(&alpha).unwrap();
        let alpha = self.operand(kinds, |v| v.shape.is(&wanted), &alpha);
        let operator = if code == OpCode::Prelu {
            Operator::Prelu(Prelu { positive: self.multiplier(), negative: self.multiplier() })
        } else {
            Operator::PreluF32(PreluF32)
        };
        Proposal::new(operator, vec![Some(x), Some(alpha)], kinds[0], out)
    }

    /// A function of one f32 value.
    pub(super) fn unary(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, small, &defaults.dims);
        let code = self.choose.below(UnaryFunction::COUNT as u32) as i32;
        let parameters = match code {
            0 => self.f32_activation(),
            1 | 2 => [self.choose.pick(&[0.1, 1.0, -2.0, 0.0]), 0.0],
            _ => [0.0; 2],
        };
        // Parameters that are refused have no function; other tests cover them.
        let function = UnaryFunction::parse(code, parameters).unwrap_or(UnaryFunction::Tanh);
        let attrs = UnaryF32 { function };
        Proposal::new(Operator::UnaryF32(attrs), vec![Some(x)], DType::F32, self.get(x).shape.dims().to_vec())
    }

    /// A function of one int8 value, by its table.
    pub(super) fn lookup(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(BYTES, small, &defaults.dims);
        let table = self.constant(DType::U8, &[256]);
        let attrs = Lookup { function: Function::from_code(self.choose.between(0, 7)).unwrap() };
        let dtype = self.choose.pick(BYTES);
        Proposal::new(Operator::Lookup(attrs), vec![Some(x), Some(table)], dtype, self.get(x).shape.dims().to_vec())
    }

    /// Between int16 and int16 or int8.
    pub(super) fn requantize_i16(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(&[DType::I16, DType::I8], small, &defaults.dims);
        let to_i8 = self.get(x).dtype == DType::I16 && self.choose.one_in(2);
        let positive = self.multiplier();
        let negative = if self.choose.one_in(2) { positive } else { self.multiplier() };
        let activation = if to_i8 {
            let [min, max] = self.activation().bounds().map(|bound| bound as i16);
            ActivationRangeI16::new(min, max).unwrap_or(ActivationRangeI16::FULL)
        } else {
            self.activation_i16()
        };
        let attrs = RequantizeI16 { positive, negative, activation };
        let dtype = if to_i8 { DType::I8 } else { DType::I16 };
        Proposal::new(Operator::RequantizeI16(attrs), vec![Some(x)], dtype, self.get(x).shape.dims().to_vec())
    }

    /// The logistic function or the hyperbolic tangent of int16 values, with any table.
    pub(super) fn sigmoid_i16(&mut self, code: OpCode, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(I16, small, &defaults.dims);
        let table = self.table(SigmoidI16::TABLE);
        let attrs = SigmoidI16 { multiplier: self.choose.between(0, 32_767), shift: self.choose.between(0, 31) };
        let operator = if code == OpCode::TanhI16 { Operator::TanhI16(attrs) } else { Operator::LogisticI16(attrs) };
        Proposal::new(operator, vec![Some(x), Some(table)], DType::I16, self.get(x).shape.dims().to_vec())
    }

    /// From f32 to int16.
    pub(super) fn quantize_i16(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, small, &defaults.dims);
        let operator = Operator::QuantizeI16(QuantizeI16);
        Proposal::new(operator, vec![Some(x)], DType::I16, self.get(x).shape.dims().to_vec())
    }

    /// From int16 to f32.
    pub(super) fn dequantize_i16(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(I16, small, &defaults.dims);
        let operator = Operator::DequantizeI16(DequantizeI16);
        Proposal::new(operator, vec![Some(x)], DType::F32, self.get(x).shape.dims().to_vec())
    }

    /// From f32 to 8 bits.
    pub(super) fn quantize_f32(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(F32, small, &defaults.dims);
        let dtype = self.choose.pick(BYTES);
        Proposal::new(Operator::Quantize(Quantize), vec![Some(x)], dtype, self.get(x).shape.dims().to_vec())
    }

    /// From numbers of one type to those of another.
    pub(super) fn cast(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(ALL, small, &defaults.dims);
        let from = self.get(x).dtype;
        // Sometimes of the same type, which is refused.
        let dtype = self.choose.pick(ALL);
        let dtype = if dtype == from && !self.choose.one_in(8) { ALL[usize::from(from == ALL[0])] } else { dtype };
        Proposal::new(Operator::Cast(Cast), vec![Some(x)], dtype, self.get(x).shape.dims().to_vec())
    }

    /// Between codes and int32.
    pub(super) fn rescale_i32(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(&[DType::I8, DType::I32], small, &defaults.dims);
        let to_i8 = self.get(x).dtype == DType::I32 && self.choose.one_in(2);
        let activation = if to_i8 { self.activation() } else { ActivationRange::FULL };
        let attrs = RescaleI32 { left_shift: self.choose.between(0, 30), factor: self.multiplier(), activation };
        let dtype = if to_i8 { DType::I8 } else { DType::I32 };
        Proposal::new(Operator::RescaleI32(attrs), vec![Some(x)], dtype, self.get(x).shape.dims().to_vec())
    }

    /// Rows divided by their length.
    pub(super) fn l2_norm(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(I8, small, &defaults.dims);
        Proposal::new(Operator::L2Norm(L2Norm), vec![Some(x)], DType::I8, self.get(x).shape.dims().to_vec())
    }

    /// From 8 bits to f32.
    pub(super) fn dequantize(&mut self, defaults: &DefaultDims) -> Proposal {
        let x = self.operand(BYTES, small, &defaults.dims);
        Proposal::new(Operator::Dequantize(Dequantize), vec![Some(x)], DType::F32, self.get(x).shape.dims().to_vec())
    }
}
