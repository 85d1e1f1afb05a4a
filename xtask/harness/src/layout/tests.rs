//! Each check passes an image that is as it should be, and sees one thing that is not.

use super::image::{Image, Section, Stored};
use super::look;
use crate::board::{Board, Boot};

const FLASH: u64 = 0x1000_0000;
const RAM: u64 = 0x2000_0000;
const STACK: u64 = 0x400;

/// A board with 64 KiB of flash and 16 KiB of RAM.
fn board(target: &str, boot: Option<Boot>) -> Board {
    let text = format!(
        "id = 'x1'\nname = 'X'\ncore = 'M'\ntarget = '{target}'\nstack = {STACK}\n\
         [memory.flash]\norigin = {FLASH}\nlength = 0x10000\n[memory.ram]\norigin = {RAM}\nlength = 0x4000\n\
         [memory.ram-code]\norigin = 0x3000_0000\nlength = 0x4000\nwindow-of = 'ram'\n[console]\nkind = 'uart'"
    );
    Board { boot, ..Board::parse(&text, "x1").unwrap() }
}

fn section(name: &str, address: u64, bytes: Vec<u8>) -> Section {
    let size = bytes.len() as u64;
    Section { name: name.into(), address, size, code: name == ".text", stored: Some(Stored { address, bytes }) }
}

fn bss(address: u64, size: u64) -> Section {
    Section { name: ".bss".into(), address, size, code: false, stored: None }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The image's stack below its variables, and `code` after what comes `before` it in flash.
fn image(before: Vec<Section>, code: u64, entry: u64) -> Image {
    let mut sections = before;
    sections.push(section(".text", code, vec![0; 0x100]));
    let mut data = section(".data", RAM + STACK, vec![1; 16]);
    data.stored.as_mut().unwrap().address = FLASH + 0x8000;
    sections.extend([data, bss(RAM + STACK + 16, 0x800)]);
    let symbols = [("_stack_end".to_string(), RAM), ("_stack_start".to_string(), RAM + STACK)];
    Image { entry, sections, symbols: symbols.into() }
}

/// A vector table at `at` and code behind it.
fn arm(mut before: Vec<Section>, at: u64, code: u64) -> Image {
    let mut table = vec![(RAM + STACK) as u32];
    table.extend([code as u32 + 1; 15]);
    before.push(section(".vector_table", at, words(&table)));
    image(before, code, code + 1)
}

fn cortex_m() -> (Board, Image) {
    (board("thumbv7em-none-eabihf", None), arm(vec![], FLASH, FLASH + 64))
}

fn rp2040() -> (Board, Image) {
    // Python's zlib gives the checksum of these bytes too: of them and of itself with all bits in the opposite order.
    let mut stage: Vec<u8> = (0..252).collect();
    stage.extend(0xB454_E2A8_u32.to_le_bytes());
    let image = arm(vec![section(".boot2", FLASH, stage)], FLASH + 256, FLASH + 256 + 64);
    (board("thumbv6m-none-eabi", Some(Boot::Rp2040)), image)
}

/// An executable for Arm cores: its image type, the last item, a loop of one.
const DEFINITION: [u32; 5] = [0xFFFF_DED3, 0x1021_0142, 0x0000_01FF, 0, 0xAB12_3579];

fn rp2350() -> (Board, Image) {
    let image = arm(vec![section(".start_block", FLASH + 64, words(&DEFINITION))], FLASH, FLASH + 64 + 20);
    (board("thumbv8m.main-none-eabihf", Some(Boot::Rp2350)), image)
}

fn rp2350_riscv() -> (Board, Image) {
    let mut definition = DEFINITION;
    definition[1] = 0x1121_0142;
    let image = image(vec![section(".start_block", FLASH + 256, words(&definition))], FLASH, FLASH);
    (board("riscv32imac-unknown-none-elf", Some(Boot::Rp2350)), image)
}

fn espressif() -> (Board, Image) {
    let descriptor = section(".flash.appdesc", FLASH + 32, words(&[0xABCD_5432, 0]));
    let mut image = image(vec![descriptor], FLASH + 64, FLASH + 64);
    // Code in RAM, and room that is kept for it where data sees the same RAM.
    let mut fast = section(".rwtext", 0x3000_0000 + 0x2000, vec![0; 0x100]);
    fast.code = true;
    image.sections.extend([fast, bss(RAM + 0x2000, 0x100)]);
    (board("riscv32imc-unknown-none-elf", Some(Boot::EspIdf)), image)
}

type Case = (fn() -> (Board, Image), fn(&mut Board, &mut Image), &'static str);

fn of<'a>(image: &'a mut Image, name: &str) -> &'a mut Section {
    image.sections.iter_mut().find(|section| section.name == name).unwrap()
}

/// Puts a word into what is stored of a section.
fn put(image: &mut Image, name: &str, index: usize, word: u32) {
    let stored = of(image, name).stored.as_mut().unwrap();
    stored.bytes[4 * index..][..4].copy_from_slice(&word.to_le_bytes());
}

/// What is done to a good image, and words of the only thing that is then found.
const CASES: &[Case] = &[
    (cortex_m, |_, image| of(image, ".bss").address = 0x4000_0000, ".bss (0x40000000, 2,048 bytes) lies in no memory"),
    (cortex_m, |_, image| of(image, ".bss").size = 0x4000, "lies in no memory"),
    (cortex_m, |_, image| of(image, ".data").stored.as_mut().unwrap().address = RAM, "which is not flash"),
    (cortex_m, |_, image| _ = image.symbols.remove("_stack_end"), "where the stack is"),
    (cortex_m, |_, image| _ = image.symbols.insert("_stack_end".into(), RAM - 16), "does not lie in RAM"),
    (cortex_m, |board, _| board.stack = 0x800, "has 1,024 bytes, and board.toml keeps 2,048"),
    (cortex_m, |_, image| of(image, ".bss").address = RAM + 0x300, "overlaps .bss"),
    (
        cortex_m,
        |_, image| of(image, ".vector_table").stored.as_mut().unwrap().address += 4,
        "no vector table at 0x10000000",
    ),
    (cortex_m, |_, image| put(image, ".vector_table", 0, RAM as u32), "starts the stack at 0x20000000"),
    (
        cortex_m,
        |_, image| put(image, ".vector_table", 1, FLASH as u32 + 64),
        "the reset vector 0x10000040 has no Thumb bit",
    ),
    (
        cortex_m,
        |_, image| put(image, ".vector_table", 1, RAM as u32 + 1),
        "the reset vector 0x20000001 leads into no code",
    ),
    (cortex_m, |_, image| put(image, ".vector_table", 3, 1), "the hard fault vector 0x1 leads into no code"),
    (cortex_m, |_, image| image.entry = RAM, "the entry point 0x20000000 leads into no code"),
    (rp2040, |_, image| of(image, ".boot2").stored.as_mut().unwrap().bytes[7] ^= 1, "has the checksum"),
    (
        rp2040,
        |_, image| image.sections.retain(|section| section.name != ".boot2"),
        "no 256 bytes of a second boot stage",
    ),
    (rp2350, |_, image| put(image, ".start_block", 0, 0), "no image definition in the first 4 KiB"),
    (rp2350, |_, image| of(image, ".start_block").stored.as_mut().unwrap().address += 0x1000, "no image definition"),
    (rp2350, |_, image| put(image, ".start_block", 1, 0x1121_0142), "of type 0x1121, no executable for these cores"),
    (rp2350, |_, image| put(image, ".start_block", 1, 0x1021_0103), "does not say what the image is"),
    (rp2350, |_, image| put(image, ".start_block", 2, 0x0000_02FF), "says that it has 2 words of items, and has 1"),
    (rp2350, |_, image| put(image, ".start_block", 3, 8), "another block 0x8 bytes on"),
    (rp2350, |_, image| put(image, ".start_block", 4, 0), "does not end"),
    (rp2350_riscv, |_, image| put(image, ".start_block", 1, 0x1021_0142), "of type 0x1021, no executable"),
    (rp2350_riscv, |_, image| image.entry = FLASH + 4, "enters a RISC-V image at 0x10000000"),
    (espressif, |_, image| put(image, ".flash.appdesc", 0, 0), "does not begin with an app descriptor"),
    (
        espressif,
        |board, _| board.memory.get_mut("flash").unwrap().length = 0x180,
        "needs 536 bytes of flash, and there are 384",
    ),
    (espressif, |_, image| image.entry = FLASH, "the entry point 0x10000000 leads into no code"),
];

#[test]
fn an_image_that_is_as_its_chip_wants_it_passes() {
    for good in [cortex_m, rp2040, rp2350, rp2350_riscv, espressif] {
        let (board, image) = good();
        assert_eq!(look(&board, "m", &image).findings, [""; 0], "{} with {:?}", board.target, board.boot);
    }
}

#[test]
fn what_is_wrong_with_an_image_is_found_and_nothing_else() {
    for (good, spoil, said) in CASES {
        let (mut board, mut image) = good();
        spoil(&mut board, &mut image);
        let findings = look(&board, "m", &image).findings;
        assert!(findings.len() == 1 && findings[0].contains(said), "`{said}` instead of {findings:#?}");
    }
}

#[test]
fn memory_that_is_seen_through_a_window_counts_once() {
    let (board, image) = espressif();
    let layout = look(&board, "m", &image);
    assert_eq!((layout.ram, layout.stack), (16 + 0x800 + 0x100, STACK));
    assert_eq!(layout.flash, 8 + 0x100 + 16 + 0x100);
}
