//! The counters that boards measure time with. Each advances under QEMU's `-icount`, where an instruction takes a
//! nanosecond.

#[cfg(target_arch = "arm")]
pub mod cmsdk;
#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
pub mod cycle;
#[cfg(target_arch = "arm")]
pub mod nrf;
#[cfg(target_arch = "aarch64")]
pub mod pmccntr;
#[cfg(all(target_arch = "arm", feature = "start"))]
pub mod systick;
