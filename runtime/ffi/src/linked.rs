//! The kernels that the library links.

#[cfg(not(feature = "one-model"))]
pub(crate) use all::{Linked, built_in};
#[cfg(feature = "one-model")]
pub(crate) use one::{Linked, built_in};

/// All kernels, for any model.
#[cfg(not(feature = "one-model"))]
mod all {
    use tealight::{AllOps, Model};

    pub(crate) type Linked = AllOps;

    /// The library has no model of its own.
    pub(crate) const fn built_in() -> Option<&'static Model<'static>> {
        None
    }
}

/// The kernels of the model whose file `TEALIGHT_MODEL` names.
#[cfg(feature = "one-model")]
mod one {
    use tealight::Model;

    tealight::include_model!(mod included = env!("TEALIGHT_MODEL"));

    pub(crate) type Linked = included::Ops;

    /// That model, checked while the library was compiled.
    pub(crate) const fn built_in() -> Option<&'static Model<'static>> {
        Some(included::MODEL.model())
    }
}
