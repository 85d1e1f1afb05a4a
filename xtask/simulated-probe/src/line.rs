//! The state of the two wires: which protocol they carry, and whether the debug port was reset.

/// Bits of a run of ones that resets the line (Arm Debug Interface v5.2, B4.3.3).
const RESET: u32 = 50;

/// The sequence that switches from JTAG to Serial Wire, least significant bit first (v5.2, B5.2.1).
const JTAG_TO_SWD: u16 = 0xE79E;

/// What a debug port on the line does with a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Line {
    /// It was not selected by the sequence for Serial Wire: it does not answer.
    #[default]
    Jtag,
    /// It was selected, and waits for a reset of the line.
    Selected,
    /// The line was reset: the first transfer must read the identification.
    Reset,
    /// It answers.
    Connected,
}

/// Follows the bits that are not part of a transfer.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    line: Line,
    ones: u32,
    last: u16,
}

impl Sequences {
    pub(crate) fn line(&self) -> Line {
        self.line
    }

    /// The identification was read.
    pub(crate) fn identified(&mut self) {
        self.line = Line::Connected;
    }

    /// Takes bits, the least significant first.
    pub(crate) fn push(&mut self, bits: u32, count: u32) {
        for index in 0..count {
            let bit = bits >> index & 1;
            self.last = self.last >> 1 | (bit as u16) << 15;
            self.ones = if bit == 1 { self.ones + 1 } else { 0 };
            if self.last == JTAG_TO_SWD && self.line == Line::Jtag {
                self.line = Line::Selected;
            }
            if self.ones >= RESET && self.line != Line::Jtag {
                self.line = Line::Reset;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(sequences: &mut Sequences) {
        sequences.push(u32::MAX, 32);
        sequences.push(u32::MAX, 18);
    }

    #[test]
    fn a_debug_port_answers_after_the_switch_to_serial_wire_and_a_reset_of_the_line() {
        let mut sequences = Sequences::default();
        reset(&mut sequences);
        assert_eq!(sequences.line(), Line::Jtag);
        sequences.push(u32::from(JTAG_TO_SWD), 16);
        assert_eq!(sequences.line(), Line::Selected);
        sequences.push(0, 1);
        sequences.push(u32::MAX, 32);
        sequences.push(u32::MAX >> 15, 17);
        assert_eq!(sequences.line(), Line::Selected, "49 ones are too few");
        sequences.push(0, 2);
        reset(&mut sequences);
        assert_eq!(sequences.line(), Line::Reset);
        sequences.identified();
        assert_eq!(sequences.line(), Line::Connected);
        reset(&mut sequences);
        assert_eq!(sequences.line(), Line::Reset);
    }
}
