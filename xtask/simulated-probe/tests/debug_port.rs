//! The debug port keeps to the rules of the Arm Debug Interface Architecture Specification (v5.2), and the core behind
//! it to those of the Armv7-M Architecture Reference Manual.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight_simulated_probe::{Answer, Chip, DebugPort, Memory, Register, Target, Transfer};

const RAM: u32 = 0x2000_0000;
const STICKYERR: u32 = 1 << 5;
const WORDS: u32 = 0x0300_0052;
const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
const DFSR: u32 = 0xE000_ED30;
const AIRCR: u32 = 0xE000_ED0C;
const KEY: u32 = 0xA05F_0000;

fn raw() -> DebugPort<Memory> {
    DebugPort::new(Chip::CORTEX_M4, Memory::new(&[(RAM, 0x1000), (0xE000_ED0C, 4)]))
}

/// A port whose line is reset and identified.
fn identified() -> DebugPort<Memory> {
    let mut port = raw();
    reset_line(&mut port);
    port.sequence(0xE79E, 16);
    reset_line(&mut port);
    assert_eq!(port.transfer(Transfer::read(0)), Answer::Read(Chip::CORTEX_M4.dpidr));
    port
}

fn reset_line(port: &mut DebugPort<Memory>) {
    port.sequence(u32::MAX, 32);
    port.sequence(u32::MAX, 20);
    port.sequence(0, 4);
}

/// A port with power, whose access port moves words and increments.
fn powered() -> DebugPort<Memory> {
    let mut port = identified();
    port.transfer(Transfer::write(4, 0x5000_0000));
    while read(&mut port, 4) & 0xA000_0000 != 0xA000_0000 {}
    write_port(&mut port, 0, WORDS);
    port
}

fn read(port: &mut DebugPort<Memory>, address: u8) -> u32 {
    match port.transfer(Transfer::read(address)) {
        Answer::Read(data) => data,
        other => panic!("{address} is answered by {other:?}"),
    }
}

fn write_port(port: &mut DebugPort<Memory>, address: u8, data: u32) {
    assert_eq!(port.transfer(Transfer::write(address, data).of_access_port()), Answer::Written);
}

/// A register of the access port, by the posted read and RDBUFF.
fn read_port(port: &mut DebugPort<Memory>, address: u8) -> u32 {
    assert!(matches!(port.transfer(Transfer::read(address).of_access_port()), Answer::Read(_)));
    read(port, 12)
}

fn peek(port: &mut DebugPort<Memory>, address: u32) -> u32 {
    write_port(port, 4, address);
    read_port(port, 12)
}

fn poke(port: &mut DebugPort<Memory>, address: u32, value: u32) {
    write_port(port, 4, address);
    write_port(port, 12, value);
}

#[test]
fn before_the_switch_to_serial_wire_nothing_is_answered() {
    let mut port = raw();
    reset_line(&mut port);
    assert_eq!(port.transfer(Transfer::read(0)), Answer::Error);
    port.sequence(0xE79E, 16);
    assert_eq!(port.transfer(Transfer::read(0)), Answer::Error);
    reset_line(&mut port);
    assert_eq!(port.transfer(Transfer::read(4)), Answer::Error, "the identification is read first");
    assert_eq!(port.transfer(Transfer::read(0)), Answer::Read(Chip::CORTEX_M4.dpidr));
    assert!(matches!(port.transfer(Transfer::read(4)), Answer::Read(_)));
}

#[test]
fn power_is_acknowledged_a_while_after_it_is_asked_for() {
    let mut port = identified();
    port.transfer(Transfer::write(4, 0x5000_0000));
    assert_eq!(read(&mut port, 4) & 0xF000_0000, 0x5000_0000);
    assert_eq!(read(&mut port, 4) & 0xF000_0000, 0xF000_0000);
    port.transfer(Transfer::write(4, 0));
    read(&mut port, 4);
    assert_eq!(read(&mut port, 4) & 0xF000_0000, 0);
}

#[test]
fn without_power_an_access_of_the_access_port_is_a_fault_that_sticks() {
    let mut port = identified();
    assert_eq!(port.transfer(Transfer::read(12).of_access_port()), Answer::Fault);
    assert_eq!(read(&mut port, 4) & STICKYERR, STICKYERR);
}

#[test]
fn a_read_of_the_access_port_returns_what_the_one_before_found() {
    let mut port = powered();
    for (address, value) in [(RAM, 1), (RAM + 4, 2), (RAM + 8, 3)] {
        poke(&mut port, address, value);
    }
    write_port(&mut port, 4, RAM);
    let next = |port: &mut DebugPort<Memory>| port.transfer(Transfer::read(12).of_access_port());
    next(&mut port);
    assert_eq!([next(&mut port), next(&mut port)], [Answer::Read(1), Answer::Read(2)]);
    assert_eq!(read(&mut port, 12), 3);
    assert_eq!(read(&mut port, 12), 3, "RDBUFF starts no access");
    assert_eq!(read_port(&mut port, 4), RAM + 12);
}

#[test]
fn after_an_error_of_the_bus_all_is_a_fault_until_it_is_cleared() {
    let mut port = powered();
    write_port(&mut port, 4, 0x7000_0000);
    // The access fails after it is answered.
    assert!(matches!(port.transfer(Transfer::read(12).of_access_port()), Answer::Read(_)));
    assert_eq!(port.transfer(Transfer::read(12)), Answer::Fault);
    assert_eq!(port.transfer(Transfer::write(8, 0)), Answer::Fault);
    assert_eq!(port.transfer(Transfer::write(4, RAM).of_access_port()), Answer::Fault);
    assert_eq!(read(&mut port, 0), Chip::CORTEX_M4.dpidr);
    assert_eq!(read(&mut port, 4) & STICKYERR, STICKYERR);
    assert_eq!(port.transfer(Transfer::write(0, 1 << 1)), Answer::Written);
    assert_eq!(read(&mut port, 4) & STICKYERR, STICKYERR, "another flag was cleared");
    assert_eq!(port.transfer(Transfer::write(0, 1 << 2)), Answer::Written);
    assert_eq!(read(&mut port, 4) & STICKYERR, 0);
    // The faults have written nothing, and not moved the address.
    assert_eq!(read_port(&mut port, 4), 0x7000_0000);
    poke(&mut port, RAM, 7);
    assert_eq!(peek(&mut port, RAM), 7);
}

#[test]
fn the_address_increments_within_a_block_of_1_kib() {
    let mut port = powered();
    write_port(&mut port, 4, RAM + 0x3F8);
    for value in 1..=4 {
        write_port(&mut port, 12, value);
    }
    assert_eq!(read_port(&mut port, 4), RAM + 8);
    let found = [0x3F8, 0x3FC, 0, 4, 0x400].map(|offset| peek(&mut port, RAM + offset));
    assert_eq!(found, [1, 2, 3, 4, 0]);
}

#[test]
fn many_words_at_once_are_what_they_are_one_by_one() {
    let (mut one_by_one, mut at_once) = (powered(), powered());
    let mut rows = vec![Transfer::write(4, RAM + 0x3F0).of_access_port()];
    rows.extend((0..12).map(|word| Transfer::write(12, word * 3).of_access_port()));
    rows.push(Transfer::write(4, RAM + 0x3F4).of_access_port());
    rows.extend([Transfer::read(12).of_access_port(); 9]);
    rows.extend([Transfer::read(12), Transfer::read(4).of_access_port(), Transfer::read(12)]);
    // Beyond the memory.
    rows.push(Transfer::write(4, RAM + 0xFF8).of_access_port());
    rows.extend([Transfer::write(12, 5).of_access_port(); 2]);
    rows.push(Transfer::write(4, RAM + 0x1000).of_access_port());
    rows.extend([Transfer::read(12).of_access_port(); 3]);
    rows.extend([Transfer::read(12), Transfer::read(4)]);
    let each: Vec<Answer> = rows.iter().map(|&transfer| one_by_one.transfer(transfer)).collect();
    assert_eq!(at_once.transfers(&rows), each);
    assert!(each.contains(&Answer::Fault));
    let all = |mut port: DebugPort<Memory>| {
        let mut bytes = [0; 0x1000];
        port.target().read(RAM, &mut bytes).unwrap();
        bytes
    };
    assert!(all(one_by_one) == all(at_once));
}

#[test]
fn bytes_and_halfwords_stand_in_the_lanes_of_their_addresses() {
    let mut port = powered();
    poke(&mut port, RAM, 0x4433_2211);
    write_port(&mut port, 0, WORDS & !7);
    assert_eq!(peek(&mut port, RAM + 2) & 0x00FF_0000, 0x0033_0000);
    poke(&mut port, RAM + 1, 0x0000_AA00);
    write_port(&mut port, 0, WORDS & !7 | 1);
    poke(&mut port, RAM + 2, 0xBBCC_0000);
    write_port(&mut port, 0, WORDS);
    assert_eq!(peek(&mut port, RAM), 0xBBCC_AA11);
    assert_eq!(read_port(&mut port, 4), RAM + 4);
}

#[test]
fn a_size_that_the_port_lacks_is_not_taken() {
    let mut port = powered();
    write_port(&mut port, 0, WORDS & !7 | 3);
    assert_eq!(read_port(&mut port, 0) & 7, 2);
}

#[test]
fn packed_accesses_fill_a_word() {
    let mut port = powered();
    write_port(&mut port, 0, WORDS & !0x37 | 0x20);
    write_port(&mut port, 4, RAM);
    write_port(&mut port, 12, 0x0403_0201);
    write_port(&mut port, 12, 0x0807_0605);
    assert_eq!(read_port(&mut port, 4), RAM + 8);
    write_port(&mut port, 4, RAM + 4);
    assert_eq!(read_port(&mut port, 12), 0x0807_0605);
}

#[test]
fn banked_data_registers_reach_four_words_and_do_not_increment() {
    let mut port = powered();
    write_port(&mut port, 4, RAM + 0x10);
    assert_eq!(port.transfer(Transfer::write(8, 0x10)), Answer::Written);
    for (register, value) in [(0, 10), (4, 11), (8, 12), (12, 13)] {
        write_port(&mut port, register, value);
    }
    assert_eq!(read_port(&mut port, 8), 12);
    port.transfer(Transfer::write(8, 0));
    assert_eq!(read_port(&mut port, 4), RAM + 0x10);
    assert_eq!(peek(&mut port, RAM + 0x1C), 13);
}

#[test]
fn there_is_one_access_port_with_an_identification() {
    let mut port = powered();
    port.transfer(Transfer::write(8, 0xF0));
    assert_eq!(read_port(&mut port, 12), Chip::CORTEX_M4.ap_idr);
    assert_eq!(read_port(&mut port, 8), Chip::CORTEX_M4.rom_table);
    assert_eq!(read_port(&mut port, 4), 0);
    port.transfer(Transfer::write(8, 0x0100_00F0));
    assert_eq!(read_port(&mut port, 12), 0);
}

#[test]
fn halting_needs_the_key_and_debugging_enabled() {
    let mut port = powered();
    port.power_up().unwrap();
    let halted = |port: &mut DebugPort<Memory>| peek(port, DHCSR) & (1 << 17) != 0;
    poke(&mut port, DHCSR, 0b11);
    assert!(!halted(&mut port));
    poke(&mut port, DHCSR, KEY | 0b10);
    assert!(!halted(&mut port));
    poke(&mut port, DHCSR, KEY | 0b11);
    assert!(halted(&mut port));
    assert_eq!(peek(&mut port, DFSR), 1);
    poke(&mut port, DFSR, 1);
    assert_eq!(peek(&mut port, DFSR), 0);
    poke(&mut port, DHCSR, KEY | 1);
    assert!(!halted(&mut port));
}

#[test]
fn a_debugger_that_leaves_lets_the_core_run() {
    let mut port = powered();
    port.power_up().unwrap();
    poke(&mut port, DHCSR, KEY | 0b11);
    poke(&mut port, DHCSR, KEY);
    assert_eq!(peek(&mut port, DHCSR) & (1 << 17 | 0b11), 0);
}

#[test]
fn registers_of_a_halted_core_are_transferred_through_dcrdr() {
    let mut port = powered();
    poke(&mut port, DHCSR, KEY | 0b11);
    for (selected, register) in [
        (3, Register::General(3)),
        (15, Register::General(15)),
        (16, Register::Xpsr),
        (17, Register::Msp),
        (18, Register::Psp),
        (20, Register::Special),
        (33, Register::Fpscr),
        (64 + 31, Register::Single(31)),
    ] {
        poke(&mut port, DCRDR, 0x1000 + selected);
        poke(&mut port, DCRSR, 1 << 16 | selected);
        assert_eq!(port.target().read_register(register), Ok(0x1000 + selected));
        poke(&mut port, DCRDR, 0);
        poke(&mut port, DCRSR, selected);
        assert_ne!(peek(&mut port, DHCSR) & (1 << 16), 0);
        assert_eq!(peek(&mut port, DCRDR), 0x1000 + selected);
    }
    poke(&mut port, DHCSR, KEY | 1);
    poke(&mut port, DCRSR, 3);
    assert_eq!(peek(&mut port, DHCSR) & (1 << 16), 0, "a running core transfers nothing");
}

#[test]
fn a_step_runs_one_instruction_and_halts_again() {
    let mut port = powered();
    poke(&mut port, DHCSR, KEY | 0b11);
    port.target().write_register(Register::General(15), RAM).unwrap();
    poke(&mut port, DHCSR, KEY | 0b1101);
    assert_ne!(peek(&mut port, DHCSR) & (1 << 17), 0);
    assert_eq!(port.target().read_register(Register::General(15)), Ok(RAM + 2));
}

#[test]
fn a_reset_runs_the_core_or_is_caught() {
    let mut port = powered();
    port.power_up().unwrap();
    poke(&mut port, DHCSR, KEY | 1);
    let before = port.target().resets();
    poke(&mut port, AIRCR, 0x05FA_0004);
    assert_eq!(port.target().resets(), before + 1);
    let status = peek(&mut port, DHCSR);
    assert_eq!(status & (1 << 25 | 1 << 17), 1 << 25, "it was reset, and runs");
    assert_eq!(peek(&mut port, DHCSR) & (1 << 25), 0, "reading clears it");
    poke(&mut port, DEMCR, 1);
    poke(&mut port, AIRCR, 4);
    assert_eq!(port.target().resets(), before + 1, "the key was missing");
    poke(&mut port, AIRCR, 0x05FA_0004);
    assert_eq!(peek(&mut port, DHCSR) & (1 << 25 | 1 << 17), 1 << 25 | 1 << 17);
    assert_eq!(peek(&mut port, DFSR), 1 << 3);
}

#[test]
fn a_breakpoint_stops_the_core_while_its_unit_is_enabled() {
    let mut port = powered();
    poke(&mut port, DHCSR, KEY | 0b11);
    poke(&mut port, DFSR, u32::MAX);
    assert_eq!(peek(&mut port, 0xE000_2000), 6 << 4);
    poke(&mut port, 0xE000_2008, 2 << 30 | 0x0000_1000 | 1);
    poke(&mut port, 0xE000_2000, 1);
    poke(&mut port, DHCSR, KEY | 1);
    assert_eq!(peek(&mut port, DHCSR) & (1 << 17), 0, "the unit's key was missing");
    poke(&mut port, DHCSR, KEY | 0b11);
    poke(&mut port, 0xE000_2000, 0b11);
    poke(&mut port, DFSR, u32::MAX);
    poke(&mut port, DHCSR, KEY | 1);
    assert_ne!(peek(&mut port, DHCSR) & (1 << 17), 0);
    assert_eq!(peek(&mut port, DFSR), 1 << 1);
    assert_eq!(port.target().read_register(Register::General(15)), Ok(0x1002));
}
