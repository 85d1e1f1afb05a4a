//! The kernels that the library links, and its own model, if it has one.

use tealight::Model;

/// A model that was checked while the library was compiled.
#[derive(Clone, Copy)]
pub(crate) struct BuiltIn {
    pub(crate) model: &'static Model<'static>,
    pub(crate) work: Work,
}

/// What a model's inferences cost. Of the built-in model it was computed while the library was compiled: computing it links
/// the code that reads operators of every kind.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) cost: u64,
    pub(crate) longest_row: u64,
    pub(crate) macs: u64,
}

impl Work {
    pub(crate) const fn of(model: &Model<'_>) -> Self {
        Self { cost: model.cost(), longest_row: model.longest_row(), macs: model.macs() }
    }
}

#[cfg(not(feature = "one-model"))]
pub(crate) use all::{Linked, built_in};
#[cfg(feature = "one-model")]
pub(crate) use one::{Linked, built_in};

/// All kernels, for any model.
#[cfg(not(feature = "one-model"))]
mod all {
    use super::BuiltIn;
    use tealight::AllOps;

    pub(crate) type Linked = AllOps;

    /// The library has no model of its own.
    pub(crate) const fn built_in() -> Option<BuiltIn> {
        None
    }
}

/// The kernels of the model whose file `TEALIGHT_MODEL` names.
#[cfg(feature = "one-model")]
mod one {
    use super::{BuiltIn, Work};

    tealight::include_model!(mod included = env!("TEALIGHT_MODEL"));

    pub(crate) type Linked = included::Ops;

    /// That model, checked while the library was compiled.
    pub(crate) fn built_in() -> Option<BuiltIn> {
        static WORK: Work = Work::of(included::MODEL.model());
        Some(BuiltIn { model: included::MODEL.model(), work: WORK })
    }
}
