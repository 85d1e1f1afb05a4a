//! Products of matrices that are both activations, int8 and f32.

use super::work::{product, sum};
use super::{
    Attrs, Fused, Input, Multiplier, OUTPUT, OpFault, OpInfo, Operands, RowAccess, Spec, Work, attrs_of, flag,
    multiplier, overlap,
};
use crate::{DType, Value};

/// Attributes of BatchMatMul, of int8 matrices: shapes as in [`BatchMatMulF32`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMatMul {
    /// Whether `a` is stored `[.., K, R]`.
    pub transpose_a: bool,
    /// Whether `b` is stored `[.., C, K]`.
    pub transpose_b: bool,
    /// Multiplier and shift from the product of the input scales to the output scale.
    pub output: Multiplier,
}

impl OpInfo for BatchMatMul {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q `[.., R, K]`; q `[.., K, C]`; output `[.., R, C]`",
        attributes: "1 if a is stored `[.., K, R]`; 1 if b is stored `[.., C, K]`; m, s",
        rows: "outer(1)",
        cost: "60 + C·(20 + 5·K)",
    };
}

without_blocks!(BatchMatMul);

impl BatchMatMul {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        access(input, operands, k, self.transpose_a)
    }
}

impl BatchMatMul {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let (transpose_a, transpose_b) = (tri!(flag::<CHECK>(attrs, 0)), tri!(flag::<CHECK>(attrs, 1)));
        Ok(Self { transpose_a, transpose_b, output: tri!(multiplier::<CHECK>(attrs, 2)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let Multiplier { multiplier, shift } = self.output;
        attrs_of(&[self.transpose_a as i32, self.transpose_b as i32, multiplier, shift])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (a, b) = (tri!(operands.quantized(0)), tri!(operands.quantized(1)));
        let output = tri!(operands.quantized_output());
        let Sizes { rows, inner, columns } = tri!(sizes(&a, &b, &output, self.transpose_a, self.transpose_b));
        let row_cost = sum(&[60, product(&[columns, 20 + 5 * inner])]);
        Work::new(rows, columns, row_cost, product(&[inner, columns]))
    }
}

/// Attributes of BatchMatMulF32. `a` is `[.., R, K]`, `b` is `[.., K, C]`, the output `[.., R, C]`. An operand has as
/// many matrices as the output, or a single one used for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMatMulF32 {
    /// Whether `a` is stored `[.., K, R]`.
    pub transpose_a: bool,
    /// Whether `b` is stored `[.., C, K]`.
    pub transpose_b: bool,
}

impl OpInfo for BatchMatMulF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f `[.., R, K]`; f `[.., K, C]`; output `[.., R, C]`",
        attributes: "1 if a is stored `[.., K, R]`; 1 if b is stored `[.., C, K]`",
        rows: "outer(1)",
        cost: "35 + 10·K + C·(2 + 6·K); where only b is transposed 35 + 10·K + C·(20 + 2·K)",
    };
}

without_blocks!(BatchMatMulF32);

impl BatchMatMulF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        access(input, operands, k, self.transpose_a)
    }
}

impl BatchMatMulF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self { transpose_a: tri!(flag::<CHECK>(attrs, 0)), transpose_b: tri!(flag::<CHECK>(attrs, 1)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.transpose_a as i32, self.transpose_b as i32])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let a = tri!(operands.typed(0, DType::F32));
        let b = tri!(operands.typed(1, DType::F32));
        let output = tri!(operands.f32_output());
        let Sizes { rows, inner, columns } = tri!(sizes(&a, &b, &output, self.transpose_a, self.transpose_b));
        // If rows of a and columns of b are both contiguous, they are multiplied lane by lane. Otherwise sums are read
        // and written for each product.
        let each = if !self.transpose_a && self.transpose_b { sum(&[20, 2 * inner]) } else { sum(&[2, 6 * inner]) };
        let row_cost = sum(&[35, product(&[columns, each]), product(&[10, inner])]);
        Work::new(rows, 4 * columns, row_cost, product(&[inner, columns]))
    }
}

/// A row of the product needs one row of `a`, if each output matrix has its own `a`.
const fn access(input: &Value, operands: &Operands, k: usize, transpose_a: bool) -> Option<RowAccess> {
    if k == 0 && !transpose_a { overlap::row_for_row(input, &operands.output) } else { None }
}

/// The sizes of products: the rows of all output matrices, and inner size and columns of each.
struct Sizes {
    rows: u64,
    inner: u64,
    columns: u64,
}

/// Checks that the shapes are those of matrices and their products.
const fn sizes(a: &Value, b: &Value, output: &Value, transpose_a: bool, transpose_b: bool) -> Result<Sizes, OpFault> {
    ensure!(a.shape.rank() >= 2, OpFault::Shape { operand: 0 });
    ensure!(b.shape.rank() >= 2, OpFault::Shape { operand: 1 });
    ensure!(output.shape.rank() >= 2, OpFault::Shape { operand: OUTPUT });
    let (rows, inner) = matrix(a, transpose_a);
    let (b_inner, columns) = matrix(b, transpose_b);
    ensure!(b_inner == inner, OpFault::Shape { operand: 1 });
    ensure!(output.shape.from_end(1) == rows, OpFault::Shape { operand: OUTPUT });
    ensure!(output.shape.from_end(0) == columns, OpFault::Shape { operand: OUTPUT });
    let (Some(of_a), Some(of_b), Some(count)) = (matrices(a), matrices(b), matrices(output)) else {
        return Err(OpFault::TooLarge);
    };
    ensure!(of_a == count || of_a == 1, OpFault::Shape { operand: 0 });
    ensure!(of_b == count || of_b == 1, OpFault::Shape { operand: 1 });
    Ok(Sizes { rows: product(&[count as u64, rows as u64]), inner: inner as u64, columns: columns as u64 })
}

/// Rows and columns of an operand's matrices as used in the product.
const fn matrix(value: &Value, transposed: bool) -> (u32, u32) {
    let (rows, columns) = (value.shape.from_end(1), value.shape.from_end(0));
    if transposed { (columns, rows) } else { (rows, columns) }
}

/// The number of matrices in a value of rank 2 or more.
const fn matrices(value: &Value) -> Option<u32> {
    value.shape.product(0, value.shape.rank().saturating_sub(2))
}
