//! Each fault of wire, probe and chip ends in a message about what is wrong, a failing exit code, and the true state of
//! the board.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod common;

use common::{Emulated, OLD, Shown, image, old, run, small, write};
use probe_rs::Session;
use probe_rs::probe::list::Lister;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tealight_flash::image::Image;
use tealight_flash::slot::{self, Contents};
use tealight_flash::supervise::{Cause, Event, Failure, Reporter, Stage, State, supervise};
use tealight_flash::{Error, board, monitor, probes};
use tealight_simulated_probe::{Fault, Switch};

const UNTOUCHED: &str = "nothing in the board's flash was changed";
const PATIENCE: Duration = Duration::from_secs(10);

/// The program flashes the small image to a board with a fault. It must keep the image if, and only if, it has not left the
/// flash as it was.
fn flashed(emulated: &Emulated, words: &[&str]) -> Shown {
    let folder = tempfile::tempdir().unwrap();
    let (file, kept) = (write(folder.path(), &small()), folder.path().join("kept.elf"));
    let selector = emulated.probe.selector();
    let usual = ["flash", file.to_str().unwrap(), "--board", "microbit", "--no-monitor", "--probe", &selector];
    let shown = run(&[&usual[..], &["--keep", kept.to_str().unwrap()], words].concat());
    match shown.stderr.contains(UNTOUCHED) {
        true => assert!(!kept.exists(), "{shown:?}"),
        false => assert_eq!(std::fs::read(kept).unwrap(), std::fs::read(file).unwrap(), "{shown:?}"),
    }
    shown
}

/// A fault before anything is erased: its message, and that nothing was.
fn refused(fault: Fault, text: &str) {
    refused_within(fault, text, "10");
}

fn refused_within(fault: Fault, text: &str, timeout: &str) {
    let emulated = Emulated::microbit();
    emulated.probe.switch().inject(fault);
    let shown = flashed(&emulated, &["--timeout", timeout]);
    assert_eq!(shown.code, Some(1), "{fault:?}: {shown:?}");
    assert!(shown.stderr.contains(text), "{fault:?}: {}", shown.stderr);
    assert!(shown.stderr.contains(UNTOUCHED), "{fault:?}: {}", shown.stderr);
    assert!(!shown.stderr.contains("panicked"), "{}", shown.stderr);
    assert!(emulated.flash(OLD) == old(), "{fault:?}: the flash was changed");
}

#[test]
fn a_board_without_faults_is_flashed() {
    let emulated = Emulated::microbit();
    let shown = flashed(&emulated, &[]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(emulated.flash(0x600) == small());
    // Only the pages of the image were erased.
    assert!(emulated.flash(OLD)[0x800..] == old()[0x800..]);
}

#[test]
fn another_chip_is_refused() {
    refused(
        Fault::Word { address: 0xE000_ED00, value: 0x410C_C601 },
        "its core is Cortex-M0+, and that of microbit is Cortex-M0",
    );
    refused(Fault::Word { address: 0xE000_ED00, value: 0x410F_C123 }, "an unknown one (part 0xc12)");
    refused(
        Fault::Word { address: 0x1000_0014, value: 0x80 },
        "131072 bytes of flash, and that of microbit has 262144",
    );
}

#[test]
fn a_chip_that_cannot_be_reached_is_refused() {
    refused(Fault::NoTarget, "the chip does not answer");
    refused(Fault::Locked, "the chip is locked");
}

#[test]
fn a_core_that_does_not_stop_is_refused() {
    refused(Fault::NeverHalts, "the core does not stop");
}

#[test]
fn a_probe_that_stops_answering_is_given_up() {
    for packet in [0, 20, 60] {
        refused_within(Fault::Silent { packet }, "did not answer for 2 s", "2");
    }
}

/// A driver reads the end of a connection as nothing, again and again.
#[test]
fn a_connection_that_ends_in_order_does_not_leave_the_command_hanging() {
    refused_within(Fault::Closed { packet: 30 }, "did not answer for 2 s", "2");
}

/// Has a worker flash the small image, with a hand on the faults: `at` is called with every event.
fn flash(selector: &str, at: impl FnMut(&Event)) -> Result<(), Failure> {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), &small());
    let mut worker = Command::new(env!("CARGO_BIN_EXE_tealight-flash"));
    worker.arg("flash").arg(file).args(["--board", "microbit", "--no-monitor", "--probe", selector]);
    supervise(worker, PATIENCE, at)
}

/// Checks that the state in a failure is that of the flash.
fn check_state(emulated: &Emulated, failure: &Failure, what: &str) {
    let (now, old, new) = (emulated.flash(OLD), old(), small());
    let is_new = now[..new.len()] == new[..];
    match failure.state {
        State::Untouched => assert!(now == old, "{what}: {failure}"),
        State::Partial => assert!(!failure.to_string().contains("verified"), "{what}: {failure}"),
        State::Unverified | State::Flashed => assert!(is_new, "{what}: {failure}"),
        State::Erasing | State::NoModel | State::ModelUnverified | State::ModelFlashed => panic!("{what}: {failure}"),
    }
    // Beyond the image's pages nothing changes.
    assert!(now[0x800..] == old[0x800..], "{what}");
}

#[test]
fn a_probe_that_is_unplugged_in_any_stage_is_reported_with_the_state() {
    let emulated = Emulated::microbit();
    // After its first page, a stage has another to do.
    for stage in [Stage::Erase, Stage::Program] {
        emulated.restore();
        let switch = emulated.probe.switch();
        let mut unplugged = false;
        let failure = flash(&emulated.probe.selector(), |event| {
            if !unplugged && matches!(event, Event::Done(begun, _) if *begun == stage) {
                unplugged = true;
                switch.unplug();
            }
        })
        .unwrap_err();
        assert_eq!((failure.stage, failure.state), (stage, State::Partial), "{failure}");
        assert!(failure.to_string().contains("no working firmware until it is flashed again"), "{failure}");
        check_state(&emulated, &failure, "unplugged");
    }
    // Only verifying reads the flash.
    let second = Emulated::microbit();
    second.probe.switch().inject(Fault::UnpluggedAtRead { address: 0x480 });
    let failure = flash(&second.probe.selector(), |_| {}).unwrap_err();
    assert_eq!((failure.stage, failure.state), (Stage::Verify, State::Unverified), "{failure}");
    assert!(failure.to_string().contains("is not verified"), "{failure}");
    check_state(&second, &failure, "unplugged");
    // What was left half done can be flashed again.
    emulated.restore();
    flash(&emulated.probe.selector(), |_| {}).unwrap();
    assert!(emulated.flash(0x600) == small());
}

/// How many packets and transfers it takes to flash the small image.
fn count(emulated: &Emulated) -> (u64, u64) {
    let switch = emulated.probe.switch();
    let before = (switch.packets(), switch.transfers());
    flash(&emulated.probe.selector(), |_| {}).unwrap();
    (switch.packets() - before.0, switch.transfers() - before.1)
}

/// The stride of a sweep: every packet if `TEALIGHT_EVERY_PACKET` is set, otherwise about `runs` of them.
fn stride(count: u64, runs: u64) -> usize {
    if std::env::var_os("TEALIGHT_EVERY_PACKET").is_some() { 1 } else { (count / runs).max(1) as usize }
}

/// Flashes with a fault at each of many places, and checks each end.
fn sweep(places: fn((u64, u64)) -> u64, fault: impl Fn(&Switch, u64) -> Fault) {
    let emulated = Emulated::microbit();
    let switch = emulated.probe.switch();
    let places = places(count(&emulated));
    assert!(places > 100, "only {places} places");
    let begun = Instant::now();
    let (mut runs, mut failed) = (0, 0);
    for place in (0..places).step_by(stride(places, 40)) {
        emulated.restore();
        let fault = fault(&switch, place);
        switch.inject(fault);
        let selector = emulated.probe.selector();
        match flash(&selector, |_| {}) {
            // The fault came after all was done, or never: how often a core is asked for its state varies.
            Ok(()) => assert!(emulated.flash(0x600) == small(), "{place} of {places}: {fault:?}"),
            Err(failure) => {
                assert!(!matches!(failure.cause, Cause::Silent(_)), "{place} of {places}: {fault:?}: {failure}");
                check_state(&emulated, &failure, &format!("{place} of {places}: {fault:?}"));
                failed += 1;
            }
        }
        switch.clear();
        runs += 1;
    }
    println!("{runs} of {places} places in {:.1} s, {failed} failed", begun.elapsed().as_secs_f64());
    assert!(2 * failed > runs, "{failed} of {runs} were noticed");
    // The board is as good as before.
    flash(&emulated.probe.selector(), |_| {}).unwrap();
    assert!(emulated.flash(0x600) == small());
}

#[test]
fn the_wire_cut_between_any_two_packets_leaves_no_command_hanging_or_lying() {
    let cut = |switch: &Switch, place| Fault::Unplugged { packet: switch.packets() + place };
    sweep(|(packets, _)| packets, cut);
}

#[test]
fn the_wire_cut_inside_any_packet_leaves_no_command_hanging_or_lying() {
    let cut = |switch: &Switch, place| Fault::UnpluggedInside { packet: switch.packets() + place };
    sweep(|(packets, _)| packets, cut);
}

#[test]
fn a_bit_flipped_in_any_transfer_is_an_error_or_without_effect() {
    let flip = |switch: &Switch, place| Fault::FlippedBit { transfer: switch.transfers() + place };
    sweep(|(_, transfers)| transfers, flip);
}

#[test]
fn what_was_programmed_wrong_is_found_when_it_is_verified() {
    let emulated = Emulated::microbit();
    emulated.probe.switch().inject(Fault::Inverted { address: 0x312, bits: 4 });
    let shown = flashed(&emulated, &[]);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.stderr.contains("what is in flash is not what was programmed"), "{}", shown.stderr);
    assert!(shown.stderr.contains("is not verified: flash again"), "{}", shown.stderr);
}

/// A session with an emulated board.
fn attached(emulated: &Emulated) -> Session {
    let probe = probes::choose(&Lister::new(), Some(&emulated.probe.selector())).unwrap();
    let (described, by) = board::find(&board::root(), "microbit").unwrap();
    let target = board::chip(&board::root(), &described, &by, None).unwrap();
    board::attach(probes::open(&probe).unwrap(), target).unwrap()
}

#[test]
fn only_the_slot_of_the_firmware_that_is_there_is_written() {
    const SLOT: usize = 0x2_C000;
    let emulated = Emulated::microbit();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.slot");
    let bytes = tealight_slot::contents(&[0xA5; 9000], &[0x5A; 100], 0x1_4000).unwrap();
    std::fs::write(&file, &bytes).unwrap();
    let contents = Contents::read(&file).unwrap();
    let slot = SLOT as u64..0x4_0000;
    let with = |firmware| Image { slot: Some(slot.clone()), ..image(firmware) };
    let mut reporter = Reporter::new(std::io::sink());
    let mut session = attached(&emulated);
    let before = emulated.flash(0x4_0000);

    let error = slot::program(&mut session, &with(small()), &contents, &mut reporter).unwrap_err();
    assert!(matches!(error, Error::OtherFirmware(0x100)), "{error}");
    let error = slot::program(&mut session, &image(old()), &contents, &mut reporter).unwrap_err();
    assert!(matches!(error, Error::NoSlotInImage), "{error}");
    let short = Image { slot: Some(slot.start..slot.start + 0x2000), ..with(old()) };
    let error = slot::program(&mut session, &short, &contents, &mut reporter).unwrap_err();
    assert!(matches!(error, Error::SlotFull { length: 0x2000, .. }), "{error}");
    assert!(emulated.flash(0x4_0000) == before, "something was written");

    slot::program(&mut session, &with(old()), &contents, &mut reporter).unwrap();
    let after = emulated.flash(0x4_0000);
    assert!(after[..SLOT] == before[..SLOT] && after[SLOT..][..bytes.len()] == bytes);
    // What follows is erased or as before.
    let rest = SLOT + bytes.len().next_multiple_of(1024);
    assert!(after[rest..] == before[rest..]);
}

#[test]
fn firmware_without_a_log_is_reported_and_stays_flashed() {
    let emulated = Emulated::microbit();
    let mut image = image(small());
    image.rtt = Some(0x2000_2000);
    image.texts = serde_json::from_str(r#"{"timestamp":null,"encoding":"Rzcobs","bitflags":{},"entries":{}}"#).ok();
    assert!(image.texts.is_some());
    let mut reporter = Reporter::new(std::io::sink());
    let mut session = attached(&emulated);
    board::program(&mut session, &image, &mut reporter).unwrap();
    monitor::start(&mut session, &image).unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let error = monitor::monitor(&mut session, &image, &ends, &mut reporter).unwrap_err();
    assert!(matches!(error, Error::NoLog(_)), "{error}");
    assert!(emulated.flash(0x600) == small());
}

/// A control block of RTT with one channel, of which all was read.
fn control_block(address: u32) -> Vec<u8> {
    let mut block = b"SEGGER RTT\0\0\0\0\0\0".to_vec();
    // One channel up and none down; its name, buffer, length, the places of writer and reader, and flags.
    [1, 0, 0, address + 64, 64, 0, 0, 0_u32].iter().for_each(|word| block.extend(word.to_le_bytes()));
    block
}

#[test]
fn a_core_that_has_stopped_ends_its_log_with_an_error() {
    const BLOCK: u32 = 0x2000_2000;
    let mut image = image(small());
    image.rtt = Some(BLOCK.into());
    image.texts = serde_json::from_str(r#"{"timestamp":null,"encoding":"Rzcobs","bitflags":{},"entries":{}}"#).ok();
    // Without firmware, and at a breakpoint in it.
    for (first, stops) in [(vec![0xFF; OLD], false), (old(), true)] {
        let emulated = Emulated::microbit();
        emulated.write(0, &first);
        let mut session = attached(&emulated);
        board::reset(&mut session).unwrap();
        if stops {
            let mut core = session.core(0).unwrap();
            core.halt(PATIENCE).unwrap();
            core.set_hw_breakpoint(0x40).unwrap();
            core.run().unwrap();
        }
        emulated.write(BLOCK, &control_block(BLOCK));
        let mut reporter = Reporter::new(std::io::sink());
        let error =
            monitor::monitor(&mut session, &image, &Arc::new(AtomicBool::new(false)), &mut reporter).unwrap_err();
        match stops {
            false => assert!(matches!(error, Error::Lockup), "{error}"),
            true => assert!(matches!(error, Error::Stopped(_)), "{error}"),
        }
    }
}
