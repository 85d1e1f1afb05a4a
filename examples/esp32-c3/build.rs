//! Links with the HAL's memory map.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tlinkall.x");
}
