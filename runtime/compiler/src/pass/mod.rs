//! The passes from graph to graph. Each is a separate function that can be read and tested alone.

mod branches;
pub(crate) mod dead;
pub(crate) mod elide;
pub(crate) mod expand;
pub(crate) mod fold;
pub(crate) mod fuse_dilation;
pub(crate) mod fuse_lookup;
pub(crate) mod fuse_pad;
pub(crate) mod interface;
pub(crate) mod layout;
pub(crate) mod read_in_place;
pub(crate) mod requantize;
pub(crate) mod shapes;
pub(crate) mod variables;
