//! A micro:bit that QEMU emulates, behind a simulated probe, and small images for it.

#![allow(dead_code, clippy::unwrap_used)] // each test uses a part; a failed unwrap is a failed test

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use tealight_flash::image::{Image, Segment};
use tealight_simulated_probe::{Chip, Machine, Qemu, SimulatedProbe, Target as _};

/// Where old firmware is in flash, and its length: the micro:bit's first pages.
pub(crate) const OLD: usize = 0x1000;

/// The bytes of old firmware: an endless loop at its vectors, and a pattern that is never programmed by a test.
pub(crate) fn old() -> Vec<u8> {
    let mut bytes = looping();
    bytes.resize(OLD, 0);
    (0x100..OLD).for_each(|place| bytes[place] = (place * 7) as u8 & 0x7F);
    bytes
}

/// Vectors, and a loop.
pub(crate) fn looping() -> Vec<u8> {
    let mut bytes = 0x2000_4000_u32.to_le_bytes().to_vec();
    (1..16).for_each(|_| bytes.extend(0x41_u32.to_le_bytes()));
    bytes.extend([0xFE, 0xE7, 0xFE, 0xE7]);
    bytes
}

/// The bytes of a small image: it ends in the second page of the flash.
pub(crate) fn small() -> Vec<u8> {
    let mut bytes = looping();
    bytes.resize(0x600, 0);
    (0x100..0x600).for_each(|place| bytes[place] = 0x80 | (place * 11) as u8);
    bytes
}

/// An image of these bytes at the start of the flash.
pub(crate) fn image(bytes: Vec<u8>) -> Image {
    Image { segments: vec![Segment { address: 0, bytes }], sections: Vec::new(), rtt: None, texts: None, slot: None }
}

/// An ELF file of these bytes, with one segment.
pub(crate) fn elf(bytes: &[u8]) -> Vec<u8> {
    let mut file = b"\x7FELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    half(&mut file, 2); // an executable
    half(&mut file, 40); // for Arm
    for value in [1, 0x41, 52, 0, 0x0500_0000] {
        word(&mut file, value); // version, entry, the table of segments, no sections, flags
    }
    for value in [52, 32, 1, 0, 0, 0] {
        half(&mut file, value); // the sizes of this header and of a segment's, one segment, no sections
    }
    let length = bytes.len() as u32;
    for value in [1, 84, 0, 0, length, length, 5, 4] {
        word(&mut file, value); // loaded, from offset 84 to address 0, readable and executable
    }
    file.extend(bytes);
    file
}

/// A board, and a hand on its memory.
pub(crate) struct Emulated {
    pub(crate) probe: SimulatedProbe<Arc<Mutex<Qemu>>>,
    target: Arc<Mutex<Qemu>>,
}

impl Emulated {
    /// A micro:bit with old firmware.
    pub(crate) fn microbit() -> Self {
        let mut command = Command::new("qemu-system-arm");
        command.args(["-M", "microbit"]);
        let mut qemu = Qemu::start(command, Machine { vectors: 0, ram: 0x2000_0000 }).expect("qemu-system-arm");
        qemu.write(0, &old()).unwrap();
        let target = Arc::new(Mutex::new(qemu));
        Self { probe: SimulatedProbe::start(Chip::CORTEX_M0, Arc::clone(&target)).unwrap(), target }
    }

    /// The first bytes of its flash.
    pub(crate) fn flash(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.target.lock().unwrap().read(0, &mut bytes).unwrap();
        bytes
    }

    /// Writes to its memory.
    pub(crate) fn write(&self, address: u32, bytes: &[u8]) {
        self.target.lock().unwrap().write(address, bytes).unwrap();
    }

    /// Puts old firmware back.
    pub(crate) fn restore(&self) {
        self.target.lock().unwrap().write(0, &old()).unwrap();
    }
}

/// What a run of the program showed.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program.
pub(crate) fn run(words: &[&str]) -> Shown {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_tealight-flash")).args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Shown { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Writes an image into a folder.
pub(crate) fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let file = folder.join("image.elf");
    std::fs::write(&file, elf(bytes)).unwrap();
    file
}
