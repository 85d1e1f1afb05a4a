//! The passes from graph to graph. Each is a function of its own and can be looked at alone.

pub(crate) mod dead;
pub(crate) mod elide;
pub(crate) mod interface;
