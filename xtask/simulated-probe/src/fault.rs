//! What goes wrong on purpose.

/// A fault of the wire, the probe or the chip.
///
/// Packets are those that the host sends, and transfers those on the wire between probe and chip; both are counted from
/// the probe's start, over all connections, the first as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The probe is unplugged when this packet arrives, before it acts on it.
    Unplugged {
        /// The packet.
        packet: u64,
    },
    /// The probe is unplugged after it acted on this packet, in the middle of its answer.
    UnpluggedInside {
        /// The packet.
        packet: u64,
    },
    /// The probe is unplugged when a byte of memory is read, before it answers.
    UnpluggedAtRead {
        /// The byte's address.
        address: u32,
    },
    /// The probe's server ends the connection in an orderly way when this packet arrives, as if it was shut down.
    Closed {
        /// The packet.
        packet: u64,
    },
    /// From this packet on the probe answers nothing, and stays connected.
    Silent {
        /// The packet.
        packet: u64,
    },
    /// A bit of this transfer is flipped; the parity is wrong.
    FlippedBit {
        /// The transfer.
        transfer: u64,
    },
    /// The lowest bit of the data of this transfer and another one are flipped, so that the parity is right.
    FlippedBits {
        /// The transfer.
        transfer: u64,
    },
    /// The debug port has this identification.
    IdCode(u32),
    /// No debug port answers: the board has no power, or is not connected.
    NoTarget,
    /// The chip protects its memory against debuggers: its access port is there, and disabled.
    Locked,
    /// The core does not stop when it is asked to.
    NeverHalts,
    /// A word of memory reads as this value, whatever was written.
    Word {
        /// Its address, a multiple of 4.
        address: u32,
        /// What is read.
        value: u32,
    },
    /// Bits of a byte of memory read inverted.
    Inverted {
        /// The byte's address.
        address: u32,
        /// The bits.
        bits: u8,
    },
}
