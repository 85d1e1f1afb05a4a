//! ReLU with a learned slope below 0 for each channel or element: int8, and f32.

use super::mul::{broadcast_work, check_broadcast, check_shapes};
use super::{
    Attrs, Fused, Input, Multiplier, OpFault, OpInfo, Operands, Role, RowAccess, Spec, Work, attrs_of,
    elementwise_outer, multiplier, overlap,
};
use crate::{DType, Value};

/// Attributes of Prelu (He and others, "Delving deep into rectifiers", 2015): `x` for `x >= 0`, else `alpha * x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prelu {
    /// The factor from the input's scale to the output's, for inputs from 0 on.
    pub positive: Multiplier,
    /// The factor from the product of the input's and alpha's scales to the output's, for inputs below 0.
    pub negative: Multiplier,
}

impl OpInfo for Prelu {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Activation, "alpha")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q; alpha q; both broadcast to the output",
        attributes: "m, s from 0 on; m, s below 0",
        rows: "E",
        cost: "2 + B + 16 an element",
    };
}

without_blocks!(Prelu);

impl Prelu {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { positive: tri!(multiplier::<CHECK>(attrs, 0)), negative: tri!(multiplier::<CHECK>(attrs, 2)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (p, n) = (self.positive, self.negative);
        attrs_of(&[p.multiplier, p.shift, n.multiplier, n.shift])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(check_broadcast(operands, DType::I8));
        broadcast_work(operands, 16)
    }
}

/// Prelu in f32. It has no attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreluF32;

impl OpInfo for PreluF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::new(Role::Activation, "alpha")];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f; alpha f; both broadcast to the output",
        attributes: "",
        rows: "E",
        cost: "2 + B + 6 an element",
    };
}

without_blocks!(PreluF32);

impl PreluF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, _: usize) -> Option<RowAccess> {
        overlap::in_step(input, &operands.output, elementwise_outer(&operands.output.shape))
    }

    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        tri!(operands.typed(0, DType::F32));
        tri!(operands.typed(1, DType::F32));
        tri!(operands.f32_output());
        tri!(check_shapes(operands));
        broadcast_work(operands, 6)
    }
}
