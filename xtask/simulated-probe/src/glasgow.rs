//! The protocol between probe-rs and the applet `probe-rs` of a Glasgow interface board.
//!
//! Either side sends packets: bytes in Consistent Overhead Byte Stuffing, ended by a zero. The first byte of a packet
//! names a stream, 0 for the probe itself and 1 for Serial Wire; the packets of a stream are one sequence of commands,
//! or of answers.

use crate::debug_port::{Answer, Transfer};

/// The identification of the applet.
const IDENTITY: &[u8] = b"probe-rs,v01";
/// The clock that the divisor divides, in hertz.
const CLOCK: u32 = 48_000_000;

const IDENTIFY: u8 = 0x00;
const GET_CLOCK: u8 = 0x10;
const GET_DIVISOR: u8 = 0x11;
const SET_DIVISOR: u8 = 0x12;
const ASSERT_RESET: u8 = 0x20;
const CLEAR_RESET: u8 = 0x21;

/// Bits of a command of the stream for Serial Wire.
const SEQUENCE: u8 = 0x20;
const LENGTH: u8 = 0x1F;
const READ: u8 = 1 << 1;
const ACCESS_PORT: u8 = 1;
const ADDRESS: u8 = 0xC;

/// Answers of the stream for Serial Wire.
const DATA: u8 = 0x00;
const NO_DATA: u8 = 0x10;
const ERROR: u8 = 0x20;
const OK: u8 = 0b001;
const FAULT: u8 = 0b100;

/// A stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Probe,
    SerialWire,
}

/// A command from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Identify,
    Clock,
    Divisor,
    SetDivisor(u16),
    AssertReset,
    ClearReset,
    Sequence { bits: u32, count: u32 },
    Transfer(Transfer),
}

/// Why a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a packet that is no COBS, or empty")]
    Encoding,
    #[error("a packet for stream {0}")]
    Stream(u8),
    #[error("the command {0:#04x}")]
    Command(u8),
}

/// Commands that have arrived in part.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    probe: Vec<u8>,
    serial_wire: Vec<u8>,
}

impl Commands {
    /// Takes a packet without its zero, and returns the commands that are complete with it.
    pub(crate) fn packet(&mut self, packet: &[u8]) -> Result<Vec<Command>, Malformed> {
        let decoded = cobs::decode_vec(packet).map_err(|_| Malformed::Encoding)?;
        let (&stream, bytes) = decoded.split_first().ok_or(Malformed::Encoding)?;
        let (stream, begun) = match stream {
            0 => (Stream::Probe, &mut self.probe),
            1 => (Stream::SerialWire, &mut self.serial_wire),
            other => return Err(Malformed::Stream(other)),
        };
        begun.extend_from_slice(bytes);
        let mut commands = Vec::new();
        let mut rest = &begun[..];
        while let Some((command, after)) = next(stream, rest)? {
            commands.push(command);
            rest = after;
        }
        let done = begun.len() - rest.len();
        begun.drain(..done);
        Ok(commands)
    }
}

/// The first command of `bytes` and what follows it, or `None` if it is not complete.
fn next(stream: Stream, bytes: &[u8]) -> Result<Option<(Command, &[u8])>, Malformed> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let without = |command| Ok(Some((command, rest)));
    let word = || rest.split_first_chunk().map(|(word, rest)| (u32::from_le_bytes(*word), rest));
    match (stream, first) {
        (Stream::Probe, IDENTIFY) => without(Command::Identify),
        (Stream::Probe, GET_CLOCK) => without(Command::Clock),
        (Stream::Probe, GET_DIVISOR) => without(Command::Divisor),
        (Stream::Probe, ASSERT_RESET) => without(Command::AssertReset),
        (Stream::Probe, CLEAR_RESET) => without(Command::ClearReset),
        (Stream::Probe, SET_DIVISOR) => {
            let divisor = rest.split_first_chunk();
            Ok(divisor.map(|(divisor, rest)| (Command::SetDivisor(u16::from_le_bytes(*divisor)), rest)))
        }
        (Stream::SerialWire, _) if first & SEQUENCE != 0 => {
            let count = match first & LENGTH {
                0 => 32,
                count => count.into(),
            };
            Ok(word().map(|(bits, rest)| (Command::Sequence { bits, count }, rest)))
        }
        (Stream::SerialWire, _) if first & !(READ | ACCESS_PORT | ADDRESS) == 0 => {
            let transfer = |data| {
                let to_access_port = first & ACCESS_PORT != 0;
                Command::Transfer(Transfer { to_access_port, address: first & ADDRESS, data })
            };
            if first & READ != 0 {
                return without(transfer(None));
            }
            Ok(word().map(|(data, rest)| (transfer(Some(data)), rest)))
        }
        _ => Err(Malformed::Command(first)),
    }
}

/// Answers to the commands of a packet.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    probe: Vec<u8>,
    serial_wire: Vec<u8>,
}

impl Answers {
    pub(crate) fn identity(&mut self) {
        self.probe.extend_from_slice(IDENTITY);
    }

    pub(crate) fn clock(&mut self) {
        self.probe.extend_from_slice(&CLOCK.to_le_bytes());
    }

    pub(crate) fn divisor(&mut self, divisor: u16) {
        self.probe.extend_from_slice(&divisor.to_le_bytes());
    }

    pub(crate) fn transfer(&mut self, answer: Answer) {
        match answer {
            Answer::Read(data) => {
                self.serial_wire.push(DATA | OK);
                self.serial_wire.extend_from_slice(&data.to_le_bytes());
            }
            Answer::Written => self.serial_wire.push(NO_DATA | OK),
            Answer::Fault => self.serial_wire.push(NO_DATA | FAULT),
            Answer::Error => self.serial_wire.push(ERROR),
        }
    }

    /// The packets of the answers, with their zeros.
    pub(crate) fn packets(self) -> Vec<u8> {
        let mut packets = Vec::new();
        for (stream, mut bytes) in [(0, self.probe), (1, self.serial_wire)] {
            if !bytes.is_empty() {
                bytes.insert(0, stream);
                packets.extend(cobs::encode_vec(&bytes));
                packets.push(0);
            }
        }
        packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: &[u8]) -> Vec<u8> {
        cobs::encode_vec(bytes)
    }

    #[test]
    fn commands_are_read_wherever_packets_divide_them() {
        let mut commands = Commands::default();
        assert_eq!(commands.packet(&packet(&[0, 0x00, 0x12, 0x0B])), Ok(vec![Command::Identify]));
        // A write of SELECT whose data comes in the next packet of its stream.
        assert_eq!(commands.packet(&packet(&[1, 0x08, 0xF0])), Ok(vec![]));
        assert_eq!(commands.packet(&packet(&[0, 0x00, 0x11])), Ok(vec![Command::SetDivisor(11), Command::Divisor]));
        assert_eq!(
            commands.packet(&packet(&[1, 0, 0, 0, 0x0F])),
            Ok(vec![
                Command::Transfer(Transfer::write(8, 0xF0)),
                Command::Transfer(Transfer::read(12).of_access_port())
            ])
        );
        let sequence = packet(&[1, 0x30, 0x9E, 0xE7, 0, 0]);
        assert_eq!(commands.packet(&sequence), Ok(vec![Command::Sequence { bits: 0xE79E, count: 16 }]));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let refusal = |bytes: &[u8]| Commands::default().packet(bytes).unwrap_err();
        assert_eq!(refusal(&[5, 1]), Malformed::Encoding);
        assert_eq!(refusal(&packet(&[])), Malformed::Encoding);
        assert_eq!(refusal(&packet(&[7, 1])), Malformed::Stream(7));
        assert_eq!(refusal(&packet(&[0, 0x77])), Malformed::Command(0x77));
        assert_eq!(refusal(&packet(&[1, 0x10])), Malformed::Command(0x10));
    }

    #[test]
    fn answers_of_both_streams_are_packets_of_their_own() {
        let mut answers = Answers::default();
        answers.transfer(Answer::Read(0x0102_0304));
        answers.divisor(0);
        answers.transfer(Answer::Fault);
        let packets = answers.packets();
        let decoded: Vec<_> = packets
            .split(|byte| *byte == 0)
            .filter(|packet| !packet.is_empty())
            .map(|p| cobs::decode_vec(p).unwrap())
            .collect();
        assert_eq!(decoded, [vec![0, 0, 0], vec![1, 0x01, 4, 3, 2, 1, 0x14]]);
        assert!(Answers::default().packets().is_empty());
    }
}
