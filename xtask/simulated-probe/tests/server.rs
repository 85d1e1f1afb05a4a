//! The probe as a host sees it, and its faults.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tealight_simulated_probe::{Chip, Fault, Memory, SimulatedProbe, Target};

const RAM: u32 = 0x2000_0000;

fn probe() -> SimulatedProbe<Memory> {
    SimulatedProbe::start(Chip::CORTEX_M0, Memory::new(&[(RAM, 0x1000)])).unwrap()
}

fn connect(probe: &SimulatedProbe<Memory>) -> TcpStream {
    let selector = probe.selector();
    let address = selector.strip_prefix("20b7:9db1:tcp:").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream
}

/// Sends a packet and returns the decoded one that comes back.
fn ask(stream: &mut TcpStream, packet: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoded = cobs::encode_vec(packet);
    encoded.push(0);
    stream.write_all(&encoded)?;
    let mut received = Vec::new();
    while received.last() != Some(&0) {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        received.extend(byte);
    }
    received.pop();
    Ok(cobs::decode_vec(&received).unwrap())
}

const IDENTIFY: &[u8] = &[0, 0];

/// The switch to Serial Wire, a reset of the line, and a read of the identification.
fn identify_chip(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![1, 0x30, 0x9E, 0xE7, 0, 0];
    packet.extend([0x20, 0xFF, 0xFF, 0xFF, 0xFF].repeat(2));
    packet.push(0x02);
    ask(stream, &packet)
}

#[test]
fn a_host_after_another_finds_the_probe_and_the_chip() {
    let probe = probe();
    for _ in 0..2 {
        let mut host = connect(&probe);
        assert_eq!(ask(&mut host, IDENTIFY).unwrap(), b"\0probe-rs,v01");
        let answer = identify_chip(&mut host).unwrap();
        assert_eq!(answer, [&[1, 1][..], &Chip::CORTEX_M0.dpidr.to_le_bytes()].concat());
    }
    assert_eq!((probe.switch().packets(), probe.switch().transfers()), (4, 2));
}

#[test]
fn a_unix_socket_serves_as_well_and_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("probe");
    let probe = SimulatedProbe::start_at(Chip::CORTEX_M0, Memory::new(&[]), &socket).unwrap();
    assert_eq!(probe.selector(), format!("20b7:9db1:unix:{}", socket.display()));
    drop(std::os::unix::net::UnixStream::connect(&socket).unwrap());
    drop(probe);
    assert!(!socket.exists());
}

#[test]
fn stopping_cuts_the_connection_and_returns_the_target() {
    let mut probe = Some(probe());
    let mut host = connect(probe.as_ref().unwrap());
    ask(&mut host, IDENTIFY).unwrap();
    let mut target = probe.take().unwrap().stop();
    target.write(RAM, &[1]).unwrap();
    assert!(ask(&mut host, IDENTIFY).is_err());
}

#[test]
fn an_unplugged_probe_is_an_error_and_not_an_end() {
    let probe = probe().with(Fault::Unplugged { packet: 1 });
    let mut host = connect(&probe);
    ask(&mut host, IDENTIFY).unwrap();
    assert_eq!(ask(&mut host, IDENTIFY).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let probe = self::probe().with(Fault::Closed { packet: 0 });
    assert_eq!(ask(&mut connect(&probe), IDENTIFY).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_probe_unplugged_inside_an_answer_sends_a_part_of_it() {
    let mut encoded = cobs::encode_vec(IDENTIFY);
    encoded.push(0);
    let probe = probe().with(Fault::UnpluggedInside { packet: 0 });
    let mut cut = connect(&probe);
    cut.write_all(&encoded).unwrap();
    let mut received = Vec::new();
    let error = cut.read_to_end(&mut received).unwrap_err();
    assert!(error.kind() == ErrorKind::ConnectionReset && received.len() < 14, "{error}: {received:?}");
}

#[test]
fn a_silent_probe_stays_connected() {
    let probe = probe().with(Fault::Silent { packet: 0 });
    let error = ask(&mut connect(&probe), IDENTIFY).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
}

#[test]
fn faults_of_the_chip_are_seen_on_the_wire() {
    let answer = |fault| {
        let probe = probe().with(fault);
        let mut host = connect(&probe);
        identify_chip(&mut host).unwrap()
    };
    assert_eq!(answer(Fault::IdCode(0x1234)), [1, 1, 0x34, 0x12, 0, 0]);
    assert_eq!(answer(Fault::NoTarget), [1, 0x20]);
    assert_eq!(answer(Fault::FlippedBit { transfer: 0 }), [1, 0x20]);
    let flipped = answer(Fault::FlippedBits { transfer: 0 });
    assert_eq!(flipped.last_chunk(), Some(&(Chip::CORTEX_M0.dpidr ^ 1).to_le_bytes()));
}

#[test]
fn a_probe_can_be_unplugged_by_reading_an_address() {
    let probe = probe().with(Fault::UnpluggedAtRead { address: RAM + 6 });
    assert_eq!(peek(&mut connect(&probe), RAM).len(), 6);
    let mut host = connect(&probe);
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| peek(&mut host, RAM + 4)));
    assert!(found.is_err(), "{found:?}");
}

/// Reads a word, a packet for each step.
fn peek(host: &mut TcpStream, address: u32) -> Vec<u8> {
    identify_chip(host).unwrap();
    let write = |command: u8, data: u32| [&[1, command][..], &data.to_le_bytes()].concat();
    ask(host, &write(0x04, 0x5000_0000)).unwrap();
    ask(host, &[1, 0x06]).unwrap();
    ask(host, &write(0x08, 0)).unwrap();
    ask(host, &write(0x01, 0x0300_0012)).unwrap();
    ask(host, &write(0x05, address)).unwrap();
    ask(host, &[1, 0x0F]).unwrap();
    ask(host, &[1, 0x0E]).unwrap()
}

#[test]
fn memory_reads_as_a_fault_says() {
    let answer = |fault: Option<Fault>| {
        let mut memory = Memory::new(&[(RAM, 0x1000)]);
        memory.write(RAM, &[1, 2, 3, 4]).unwrap();
        let probe = SimulatedProbe::start(Chip::CORTEX_M0, memory).unwrap();
        if let Some(fault) = fault {
            probe.switch().inject(fault);
        }
        peek(&mut connect(&probe), RAM)
    };
    assert_eq!(answer(None), [1, 1, 1, 2, 3, 4]);
    assert_eq!(answer(Some(Fault::Word { address: RAM, value: 0x0908_0706 })), [1, 1, 6, 7, 8, 9]);
    assert_eq!(answer(Some(Fault::Inverted { address: RAM + 1, bits: 0x80 })), [1, 1, 1, 0x82, 3, 4]);
    assert_eq!(answer(Some(Fault::Locked)), [1, 0x14], "a locked chip answers by FAULT");
}
