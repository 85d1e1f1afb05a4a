//! The kernels that a session links.

use core::marker::PhantomData;
use tealight_format::{OpSet, OpSetOf};

/// A set of kernels as a type: the kernels that a [`Session`](crate::Session) links. It can only run models that need
/// no others.
///
/// [`include_model!`](crate::include_model) declares one for each model: exactly the kernels that the model needs. A
/// program that loads models at run time takes [`AllOps`], or names a smaller set:
///
/// ```
/// use tealight::{BlockType, OpCode, OpSet, Ops, Session};
///
/// struct Small;
///
/// impl Ops for Small {
///     const SET: OpSet = OpSet::of(&[OpCode::FullyConnectedBlock, OpCode::UnaryF32]).with_blocks(&[BlockType::Q8_0]);
/// }
///
/// struct Controller<'m> {
///     net: Session<'m, Small>,
/// }
/// ```
pub trait Ops {
    /// The set.
    const SET: OpSet;
}

/// The set `O`, for reading a plan's operators.
pub(crate) struct Linked<O>(PhantomData<O>);

impl<O: Ops> OpSetOf for Linked<O> {
    const SET: OpSet = O::SET;
}

/// Every operator, with weights of every type.
#[derive(Clone, Copy, Debug)]
pub struct AllOps;

impl Ops for AllOps {
    const SET: OpSet = OpSet::ALL;
}

/// The operators of int8 networks, [`OpSet::INT8`]: half of the flash of [`AllOps`] on a core without floating point.
#[derive(Clone, Copy, Debug)]
pub struct Int8Ops;

impl Ops for Int8Ops {
    const SET: OpSet = OpSet::INT8;
}
