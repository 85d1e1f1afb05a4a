//! The instructions of requantization, for registers that each function chooses.
//!
//! A product is doubled and its upper half rounded; then it is shifted to the right, with halves rounded away from 0,
//! and the zero point is added. A negative number is decremented before the shift, so that its halves are rounded down.
//!
//! Most factors take `SMMULR`, for a sum that does not overflow when it is doubled, and then a rounding right shift:
//! either `ASRS` and `ADC`, as the carry is the last bit shifted out, or a product with a power of two, to which
//! `SMMLAR` adds the zero point. Before the products of other factors comes a left shift, or none, and sums may be
//! large there.

/// An instruction: its name and its operands.
macro_rules! instruction {
    ($name:literal, $first:literal $(, $operand:literal)*) => {
        concat!($name, " ", $first, $(", ", $operand,)* "\n")
    };
}

/// Replaces twice a sum by the rounded upper half of its product with a multiplier, decremented if it is negative.
macro_rules! scale {
    ($double:literal, $multiplier:literal) => {
        concat!(
            instruction!("smmulr", $double, $double, $multiplier),
            instruction!("add", $double, $double, $double, "asr #31"),
        )
    };
}

/// Replaces any sum by the rounded upper half of twice its product with a multiplier. Changes `$low` and the flags.
macro_rules! scale_any {
    ($sum:literal, $low:literal, $multiplier:literal) => {
        concat!(
            instruction!("smull", $low, $sum, $sum, $multiplier),
            instruction!("adds", $low, $low, $low),
            instruction!("adc", $sum, $sum, $sum),
            instruction!("add", $sum, $sum, $low, "lsr #31"),
        )
    };
}

/// Requantizes a sum to a byte by a power of two: for a right shift by `e`, which is at least 2, it is `2^(32 - e)`.
macro_rules! requantize_by_power {
    ($sum:literal, $multiplier:literal, $power:literal, $zero_point:literal) => {
        concat!(
            instruction!("add", $sum, $sum, $sum),
            scale!($sum, $multiplier),
            instruction!("smmlar", $sum, $sum, $power, $zero_point),
            instruction!("ssat", $sum, "#8", $sum),
        )
    };
}

/// Requantizes any sum with any shift to a byte. Changes `$low`, which is none of the other registers, and the flags.
macro_rules! requantize_any {
    ($sum:literal, $low:literal, $multiplier:literal, $shift:literal, $zero_point:literal) => {
        concat!(
            instruction!("cmp", $shift, "#0"),
            "it ge\n",
            instruction!("lslge", $sum, $sum, $shift),
            scale_any!($sum, $low, $multiplier),
            instruction!("cmp", $shift, "#0"),
            "bge 9f\n",
            instruction!("rsbs", $low, $shift, "#0"),
            instruction!("add", $sum, $sum, $sum, "asr #31"),
            instruction!("asrs", $sum, $sum, $low),
            instruction!("adc", $sum, $sum, "#0"),
            "9:\n",
            instruction!("add", $sum, $sum, $zero_point),
            instruction!("ssat", $sum, "#8", $sum),
        )
    };
}

/// Requantizes `r\sum` of an `.irp` to a byte. Changes the shift and the flags, in which `$overflow` finds whether the
/// sum can be doubled. The rest is in `requantize_seldom!`.
macro_rules! requantize {
    ($multiplier:literal, $shift:literal, $zero_point:literal $(, $overflow:literal)?) => {
        concat!(
            instruction!("rsbs", $shift, $shift, "#0"),
            "ble 6\\sum\\()f\n",
            "adds r\\sum, r\\sum, r\\sum\n",
            $($overflow, "\n",)?
            scale!("r\\sum", $multiplier),
            instruction!("asrs", "r\\sum", "r\\sum", $shift),
            instruction!("adc", "r\\sum", "r\\sum", $zero_point),
            "7\\sum\\():\n",
            "ssat r\\sum, #8, r\\sum\n",
        )
    };
}

/// Goes on with [`requantize!`] of the same operands for a factor of at least one half, which few layers have.
macro_rules! requantize_seldom {
    ($multiplier:literal, $shift:literal, $zero_point:literal) => {
        concat!(
            "6\\sum\\():\n",
            instruction!("rsbs", $shift, $shift, "#0"),
            instruction!("lsl", "r\\sum", "r\\sum", $shift),
            scale_any!("r\\sum", $shift, $multiplier),
            instruction!("add", "r\\sum", "r\\sum", $zero_point),
            "b 7\\sum\\()b\n",
        )
    };
}
