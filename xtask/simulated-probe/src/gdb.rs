//! A client of GDB's remote protocol, as far as QEMU's server speaks it
//! (<https://sourceware.org/gdb/current/onlinedocs/gdb.html/Remote-Protocol.html>).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The largest piece of memory in a packet, which holds two digits a byte.
const PIECE: usize = 1024;

/// Bytes of a description that are asked for at a time.
const DESCRIPTION_PIECE: usize = 0x800;

/// A register as the server numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) number: u32,
    pub(crate) bytes: usize,
}

/// What went between a target and the debug server of its emulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests to the server.
    pub requests: u64,
    /// How long their answers were waited for.
    pub waited: Duration,
}

#[derive(Debug)]
pub(crate) struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    /// A packet was received whose acknowledgement goes before the next request, in one piece with it.
    unacknowledged: bool,
    traffic: Traffic,
}

impl Client {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        let (received, unacknowledged, traffic) = (Vec::new(), false, Traffic::default());
        let mut client = Self { stream, received, unacknowledged, traffic };
        client.request(b"qSupported")?;
        client.request(b"?")?;
        Ok(client)
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// The registers by their names, as the server describes them.
    pub(crate) fn registers(&mut self) -> io::Result<BTreeMap<String, Numbered>> {
        let target = self.description("target.xml")?;
        let mut registers = BTreeMap::new();
        let mut number = 0;
        for tag in target.split('<') {
            if let Some(file) = tag.starts_with("xi:include").then(|| attribute(tag, "href")).flatten() {
                let text = self.description(file)?;
                for tag in text.split('<').filter(|tag| tag.starts_with("reg ")) {
                    number = attribute(tag, "regnum").and_then(|number| number.parse().ok()).unwrap_or(number);
                    let bits: usize = attribute(tag, "bitsize").and_then(|bits| bits.parse().ok()).unwrap_or(32);
                    if let Some(name) = attribute(tag, "name") {
                        registers.insert(name.into(), Numbered { number, bytes: bits / 8 });
                    }
                    number += 1;
                }
            }
        }
        Ok(registers)
    }

    fn description(&mut self, file: &str) -> io::Result<String> {
        let mut text = Vec::new();
        loop {
            let words = format!("qXfer:features:read:{file}:{:x},{DESCRIPTION_PIECE:x}", text.len());
            let answer = self.request(words.as_bytes())?;
            match answer.split_first() {
                Some((b'm', piece)) => text.extend_from_slice(piece),
                Some((b'l', piece)) => {
                    text.extend_from_slice(piece);
                    return String::from_utf8(text).map_err(|_| unexpected(&answer));
                }
                _ => return Err(unexpected(&answer)),
            }
        }
    }

    /// Reads memory; `Ok(false)` if there is none.
    pub(crate) fn read(&mut self, address: u32, bytes: &mut [u8]) -> io::Result<bool> {
        let mut address = address;
        for piece in bytes.chunks_mut(PIECE) {
            let answer = self.request(format!("m{address:x},{:x}", piece.len()).as_bytes())?;
            if answer.first() == Some(&b'E') {
                return Ok(false);
            }
            let read = from_digits(&answer).ok_or_else(|| unexpected(&answer))?;
            if read.len() != piece.len() {
                return Err(unexpected(&answer));
            }
            piece.copy_from_slice(&read);
            address = address.wrapping_add(piece.len() as u32);
        }
        Ok(true)
    }

    /// Writes memory; `Ok(false)` if there is none.
    pub(crate) fn write(&mut self, address: u32, bytes: &[u8]) -> io::Result<bool> {
        let mut address = address;
        for piece in bytes.chunks(PIECE) {
            let words = format!("M{address:x},{:x}:{}", piece.len(), to_digits(piece));
            if self.request(words.as_bytes())? != b"OK" {
                return Ok(false);
            }
            address = address.wrapping_add(piece.len() as u32);
        }
        Ok(true)
    }

    pub(crate) fn read_register(&mut self, register: Numbered) -> io::Result<u64> {
        let answer = self.request(format!("p{:x}", register.number).as_bytes())?;
        let bytes = from_digits(&answer).filter(|bytes| bytes.len() == register.bytes && bytes.len() <= 8);
        let mut value = [0; 8];
        let bytes = bytes.ok_or_else(|| unexpected(&answer))?;
        value.split_at_mut(bytes.len()).0.copy_from_slice(&bytes);
        Ok(u64::from_le_bytes(value))
    }

    pub(crate) fn write_register(&mut self, register: Numbered, value: u64) -> io::Result<()> {
        let bytes = value.to_le_bytes();
        let bytes = bytes.get(..register.bytes).unwrap_or(&bytes);
        self.expect_ok(format!("P{:x}={}", register.number, to_digits(bytes)).as_bytes())
    }

    pub(crate) fn insert_breakpoint(&mut self, address: u32) -> io::Result<()> {
        self.expect_ok(format!("Z0,{address:x},2").as_bytes())
    }

    pub(crate) fn remove_breakpoint(&mut self, address: u32) -> io::Result<()> {
        self.expect_ok(format!("z0,{address:x},2").as_bytes())
    }

    /// A command of the emulator's monitor.
    pub(crate) fn monitor(&mut self, command: &str) -> io::Result<()> {
        let words = format!("qRcmd,{}", to_digits(command.as_bytes()));
        self.send(words.as_bytes())?;
        // What the monitor prints comes first.
        loop {
            let answer = self.answer(LIMIT)?.ok_or(io::ErrorKind::TimedOut)?;
            match answer.first() {
                Some(b'O') if answer == b"OK" => return Ok(()),
                Some(b'O') => {}
                _ => return Err(unexpected(&answer)),
            }
        }
    }

    pub(crate) fn step(&mut self) -> io::Result<()> {
        let answer = self.request(b"s")?;
        if stopped(&answer) { Ok(()) } else { Err(unexpected(&answer)) }
    }

    /// Lets the processor run. Until it stops, only [`Client::has_stopped`] and [`Client::interrupt`] may be called.
    pub(crate) fn go(&mut self) -> io::Result<()> {
        self.send(b"c")
    }

    /// Whether the processor that was let run has stopped.
    pub(crate) fn has_stopped(&mut self) -> io::Result<bool> {
        match self.answer(Duration::ZERO)? {
            None => Ok(false),
            Some(answer) if stopped(&answer) => Ok(true),
            Some(answer) => Err(unexpected(&answer)),
        }
    }

    /// Stops the processor that was let run.
    pub(crate) fn interrupt(&mut self) -> io::Result<()> {
        self.put(&[3])?;
        let answer = self.answer(LIMIT)?.ok_or(io::ErrorKind::TimedOut)?;
        if stopped(&answer) { Ok(()) } else { Err(unexpected(&answer)) }
    }

    fn expect_ok(&mut self, words: &[u8]) -> io::Result<()> {
        let answer = self.request(words)?;
        if answer == b"OK" { Ok(()) } else { Err(unexpected(&answer)) }
    }

    fn request(&mut self, words: &[u8]) -> io::Result<Vec<u8>> {
        self.send(words)?;
        self.answer(LIMIT)?.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    fn send(&mut self, words: &[u8]) -> io::Result<()> {
        let mut packet = vec![b'$'];
        packet.extend_from_slice(words);
        packet.extend(format!("#{:02x}", sum(words)).into_bytes());
        self.put(&packet)
    }

    /// Sends bytes, after the acknowledgement that is due.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.traffic.requests += 1;
        if std::mem::take(&mut self.unacknowledged) {
            return self.stream.write_all(&[b"+", bytes].concat());
        }
        self.stream.write_all(bytes)
    }

    /// The next packet, or `None` if there is none in time.
    fn answer(&mut self, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let begun = Instant::now();
        let answer = self.packet_until(begun + limit);
        self.traffic.waited += begun.elapsed();
        answer
    }

    fn packet_until(&mut self, end: Instant) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some((packet, rest)) = packet(&self.received)? {
                self.received.drain(..rest);
                self.unacknowledged = true;
                return Ok(Some(packet));
            }
            let left = end.saturating_duration_since(Instant::now());
            self.stream.set_nonblocking(left.is_zero())?;
            if !left.is_zero() {
                self.stream.set_read_timeout(Some(left))?;
            }
            let mut piece = [0; 4096];
            let read = self.stream.read(&mut piece);
            self.stream.set_nonblocking(false)?;
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The first packet in `bytes` and where what follows it begins. Acknowledgements before it are passed over.
fn packet(bytes: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let Some(start) = bytes.iter().position(|byte| *byte == b'$') else { return Ok(None) };
    let after = bytes.get(start + 1..).unwrap_or_default();
    let Some(length) = after.iter().position(|byte| *byte == b'#') else { return Ok(None) };
    let (words, rest) = after.split_at(length);
    let Some(digits) = rest.get(1..3) else { return Ok(None) };
    if from_digits(digits).as_deref() != Some(&[sum(words)]) {
        return Err(unexpected(words));
    }
    let mut packet = Vec::with_capacity(words.len());
    let mut escaped = false;
    for &byte in words {
        if escaped {
            packet.push(byte ^ 0x20);
            escaped = false;
        } else if byte == b'}' {
            escaped = true;
        } else {
            packet.push(byte);
        }
    }
    Ok(Some((packet, start + 1 + length + 3)))
}

fn sum(words: &[u8]) -> u8 {
    words.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte))
}

fn stopped(answer: &[u8]) -> bool {
    matches!(answer.first(), Some(b'S' | b'T'))
}

fn unexpected(answer: &[u8]) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the emulator answered `{}`", String::from_utf8_lossy(answer)))
}

fn to_digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_digits(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The value of an attribute of an XML tag.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let (_, after) = tag.split_once(&format!(" {name}=\""))?;
    after.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_found_after_acknowledgements_and_unescaped() {
        assert_eq!(packet(b"++$OK#9a$T").unwrap(), Some((b"OK".to_vec(), 8)));
        let escaped = b"a}\x03b";
        let text = [b"$", &escaped[..], format!("#{:02x}", sum(escaped)).as_bytes()].concat();
        assert_eq!(packet(&text).unwrap().unwrap().0, b"a#b");
        assert_eq!(packet(b"$OK#9").unwrap(), None);
        assert!(packet(b"$OK#9b").is_err());
    }

    #[test]
    fn digits_are_bytes() {
        assert_eq!(to_digits(&[0, 0xA5]), "00a5");
        assert_eq!(from_digits(b"00A5"), Some(vec![0, 0xA5]));
        assert_eq!(from_digits(b"0"), None);
        assert_eq!(from_digits(b"0x"), None);
    }

    #[test]
    fn attributes_of_tags_are_found_by_their_whole_name() {
        assert_eq!(attribute("reg name=\"xpsr\" bitsize=\"32\" regnum=\"25\"/>", "regnum"), Some("25"));
        assert_eq!(attribute("reg name=\"xpsr\"", "me"), None);
    }
}
