//! Without a build script, cargo would leave out the dependencies of build scripts.

fn main() {}
