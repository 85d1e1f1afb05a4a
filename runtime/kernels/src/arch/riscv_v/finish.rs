//! From the sums of a tile to its outputs: the last step of products and of depthwise convolutions.

use crate::matrix::Output;
use crate::quant::Channel;
use core::arch::asm;
use core::mem::MaybeUninit;

/// The maximum number of channels in a tile.
pub(super) const CHANNELS: usize = 32;

/// The distance from the sums of a pixel to those of the next, in bytes.
pub(super) const SUMS_STEP: usize = 4 * CHANNELS;

/// The sums of a tile of `P` pixels, without bias. They are written by assembly, so that they need no initial values.
pub(super) struct Sums<const P: usize>(MaybeUninit<[[i32; CHANNELS]; P]>);

impl<const P: usize> Sums<P> {
    #[inline]
    pub(super) fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// The sums of a pixel.
    #[inline]
    pub(super) fn of_pixel(&mut self, pixel: usize) -> *mut i32 {
        self.0.as_mut_ptr().cast::<i32>().wrapping_add(pixel * CHANNELS)
    }
}

/// Where the outputs of a tile go, and from which channels.
pub(super) struct Tile {
    pub(super) pixels: usize,
    /// The tile's first channel, and the number of channels.
    pub(super) channels: *const Channel,
    pub(super) channel_count: usize,
    /// The first output, and the distance from those of a pixel to those of the next.
    pub(super) outputs: *mut i8,
    pub(super) output_step: usize,
}

/// Requantizes the sums of a tile, plus bias and `offset`, and stores them: as many channels at a time as four registers
/// hold, of all pixels.
///
/// # Safety
/// The sums, of which those of a pixel are [`SUMS_STEP`] bytes apart, the channels and the outputs must be there, and
/// neither the number of pixels nor that of channels may be 0.
#[inline(never)]
pub(super) unsafe fn finish(sums: *const i32, tile: &Tile, offset: i32, output: &Output) {
    let [low, high] = output.activation.bounds();
    // SAFETY: the loops read `channel_count` sums of each of `pixels` pixels and as many channels, and write as many
    // outputs of each pixel, which are there.
    unsafe {
        asm!(
            "csrwi vxrm, 0",
            "2:",
            "vsetvli {now}, {left}, e32, m4, ta, mu",
            "vlse32.v v8, ({channels}), {twelve}",
            "addi {sum}, {channels}, 4",
            // Multipliers to v16, shifts to v20.
            "vlsseg2e32.v v16, ({sum}), {twelve}",
            "vadd.vx v8, v8, {offset}",
            "vmax.vx v12, v20, zero",
            "vrsub.vx v20, v20, zero",
            "vmax.vx v20, v20, zero",
            // 1 where there is a right shift.
            "vmin.vx v24, v20, {one}",
            "mv {sum}, {sums}",
            "mv {to}, {outputs}",
            "mv {pixel}, {pixels}",
            "3:",
            "vle32.v v4, ({sum})",
            "addi {sum}, {sum}, {sums_step}",
            "vadd.vv v4, v4, v8",
            "vsll.vv v4, v4, v12",
            "vsmul.vv v4, v4, v16",
            // The multiplier is not negative, so a product exceeds the minimum, and is decremented without overflow.
            "vmslt.vx v0, v4, zero",
            "vsub.vv v4, v4, v24, v0.t",
            "vssra.vv v4, v4, v20",
            "vadd.vx v4, v4, {zero_point}",
            "vsetvli zero, zero, e16, m2, ta, ma",
            "vnclip.wi v28, v4, 0",
            "vsetvli zero, zero, e8, m1, ta, ma",
            "vnclip.wi v30, v28, 0",
            "vmax.vx v30, v30, {low}",
            "vmin.vx v30, v30, {high}",
            "vse8.v v30, ({to})",
            "add {to}, {to}, {output_step}",
            "addi {pixel}, {pixel}, -1",
            "vsetvli zero, zero, e32, m4, ta, mu",
            "bnez {pixel}, 3b",
            "add {outputs}, {outputs}, {now}",
            "sub {left}, {left}, {now}",
            "slli {now}, {now}, 2",
            "add {sums}, {sums}, {now}",
            "add {channels}, {channels}, {now}",
            "slli {now}, {now}, 1",
            "add {channels}, {channels}, {now}",
            "bnez {left}, 2b",
            sums = inout(reg) sums => _,
            channels = inout(reg) tile.channels => _,
            outputs = inout(reg) tile.outputs => _,
            left = inout(reg) tile.channel_count => _,
            pixels = in(reg) tile.pixels,
            output_step = in(reg) tile.output_step,
            offset = in(reg) offset,
            zero_point = in(reg) output.zero_point,
            low = in(reg) low,
            high = in(reg) high,
            twelve = in(reg) 12,
            one = in(reg) 1,
            now = out(reg) _,
            sum = out(reg) _,
            to = out(reg) _,
            pixel = out(reg) _,
            sums_step = const SUMS_STEP,
            out("v0") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _,
            options(nostack),
        );
    }
}
