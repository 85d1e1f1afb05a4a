//! A flash algorithm as CMSIS-Pack defines it ([Flash Programming]), for memory that is written like RAM.
//!
//! Emulated boards keep their code in such memory. A debugger that flashes them runs this code on their core, with the
//! calls and buffers that it uses for the flash of a chip. Erased bytes are 0xFF.
//!
//! The code is for Armv6-M, so that every Cortex-M runs it; it has no data, so that it runs at any address.
//!
//! [Flash Programming]: https://open-cmsis-pack.github.io/Open-CMSIS-Pack-Spec/main/html/flashAlgorithm.html

#![no_std]
#![no_main]

use core::panic::PanicInfo;

/// Bytes of a sector, as the descriptions of the boards say.
const SECTOR: u32 = 0x1000;

/// What a function returns when it has done its work.
const DONE: u32 = 0;

/// Prepares the flash at `_address`, whose clock has `_clock` hertz, for `_function`: 1 to erase, 2 to program, 3 to
/// verify.
#[unsafe(export_name = "Init")]
#[unsafe(link_section = ".entry.init")]
extern "C" fn init(_address: u32, _clock: u32, _function: u32) -> u32 {
    DONE
}

/// Ends what `init` prepared.
#[unsafe(export_name = "UnInit")]
#[unsafe(link_section = ".entry.uninit")]
extern "C" fn uninit(_function: u32) -> u32 {
    DONE
}

/// Erases the sector that begins at `address`.
#[unsafe(export_name = "EraseSector")]
#[unsafe(link_section = ".entry.erase_sector")]
extern "C" fn erase_sector(address: u32) -> u32 {
    let mut word = address;
    while word != address.wrapping_add(SECTOR) {
        // SAFETY: the debugger passes the address of a sector, which is aligned memory that nothing else uses.
        unsafe { (word as *mut u32).write_volatile(u32::MAX) };
        word = word.wrapping_add(4);
    }
    DONE
}

/// Programs `length` bytes at `address`, which is erased, from `bytes`.
#[unsafe(export_name = "ProgramPage")]
#[unsafe(link_section = ".entry.program_page")]
extern "C" fn program_page(address: u32, length: u32, bytes: *const u8) -> u32 {
    let mut offset = 0;
    while offset != length {
        // SAFETY: the debugger passes a part of a sector and a buffer of the same length.
        unsafe {
            let byte = bytes.wrapping_add(offset as usize).read_volatile();
            (address as *mut u8).wrapping_add(offset as usize).write_volatile(byte);
        }
        offset = offset.wrapping_add(1);
    }
    DONE
}

/// Compares `length` bytes at `address` with `bytes`. Returns the address of the first that differs, or their end.
#[unsafe(export_name = "Verify")]
#[unsafe(link_section = ".entry.verify")]
extern "C" fn verify(address: u32, length: u32, bytes: *const u8) -> u32 {
    let mut offset = 0;
    while offset != length {
        // SAFETY: the debugger passes a part of the flash and a buffer of the same length.
        let (found, expected) = unsafe {
            let found = (address as *const u8).wrapping_add(offset as usize).read_volatile();
            (found, bytes.wrapping_add(offset as usize).read_volatile())
        };
        if found != expected {
            break;
        }
        offset = offset.wrapping_add(1);
    }
    address.wrapping_add(offset)
}

/// Nothing here panics.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
