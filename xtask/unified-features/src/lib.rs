//! One set of features of what the programs and tests of this workspace share, so that it is built once: see the manifest.
//! There is no code.
