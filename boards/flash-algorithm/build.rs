//! Hands the linker its script.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo:rerun-if-changed=flash-algorithm.x");
    println!("cargo:rustc-link-arg-bins=-T{folder}/flash-algorithm.x");
}
