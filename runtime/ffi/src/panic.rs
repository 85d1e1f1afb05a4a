//! The panic handler of the static library, which the linker leaves out, because nothing refers to it.

use core::panic::PanicInfo;

#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    loop {}
}
