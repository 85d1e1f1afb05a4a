//! Complete descriptions are read, and a wrong one is refused with the name of what is wrong.

use std::path::{Path, PathBuf};
use tealight_board_spec::{Board, ConsoleKind, LinuxBoard, SpecError, Summary};

const BOARD: &str = r#"
    id = "x1"
    name = "X"
    core = "Cortex-M4F"
    target = "thumbv7em-none-eabihf"
    stack = 0x400
    [memory.flash]
    origin = 0
    length = 0x1000
    [memory.ram]
    origin = 0x2000_0000
    length = 0x800
    [qemu]
    binary = "qemu-system-arm"
    machine = "x1"
    version = "7.2"
    [console]
    kind = "semihosting"
"#;

const LINUX: &str = r#"
    id = "linux-x"
    name = "X"
    target = "x-unknown-linux-gnu"
    linker = "x-linux-gnu-gcc"
    [emulator]
    binary = "qemu-x"
    version = "7.2"
    cpus = ["max"]
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn refusal(text: &str) -> String {
    Board::parse(text, "x1").expect_err("a wrong description").to_string()
}

#[test]
fn reads_a_complete_description() {
    let board = Board::parse(BOARD, "x1").unwrap();
    assert_eq!(board.memory["ram"].origin, 0x2000_0000);
    assert_eq!((board.length("ram"), board.length("rom")), (0x800, 0));
    assert_eq!(board.qemu.unwrap().min_version().unwrap(), "7.2".parse().unwrap());
    assert_eq!(board.console.kind, ConsoleKind::Semihosting);
}

#[test]
fn a_board_says_how_it_is_flashed() {
    let with = |table: &str| format!("{BOARD}[[flash]]\nmethod = \"probe\"\nchip = \"X1\"\n{table}");
    let size = "[flash.size]\nregisters = [0x10, 0x14]\nbits = 32\nunit = 1\n";
    let board = Board::parse(&with(size), "x1").unwrap();
    let by = board.by_probe().unwrap();
    assert_eq!((by.chip.as_str(), &by.size.as_ref().unwrap().registers[..]), ("X1", &[0x10, 0x14][..]));
    let bare = Board::parse(BOARD, "x1").unwrap();
    assert!(bare.flash.is_empty() && bare.by_probe().is_none());
    assert!(refusal(&with(&size.replace("32", "8"))).contains("[flash.size]"));
    assert!(refusal(&with(&size.replace("0x10, 0x14", ""))).contains("[flash.size]"));
    assert!(refusal(&with("speed = 1\n")).contains("speed"));
    assert!(refusal(&with("").replace("probe", "pigeon")).contains("pigeon"));
    let uf2 = "[[flash]]\nmethod = \"uf2\"\nchip = \"X1\"\nfamily = \"rp2350-arm-s\"\n";
    let both = Board::parse(&format!("{BOARD}{uf2}{}", with("").replace(BOARD, "")), "x1").unwrap();
    let ways: Vec<_> = both.flash.iter().map(|way| (way.method(), way.chip().0)).collect();
    assert_eq!(ways, [("uf2", "X1"), ("probe", "X1")]);
    assert!(both.by_probe().is_some());
    assert!(refusal(&with(&uf2.replace("rp2350-arm-s", "rp9"))).contains("rp9"));
    assert!(refusal(&with(&with("").replace(BOARD, ""))).contains("`method = \"probe\"`"));
}

#[test]
fn a_model_slot_is_a_part_of_the_flash_that_leaves_room_for_firmware() {
    let with = |origin: &str, length: &str| {
        let board = BOARD.replace("length = 0x1000", "length = 0x8000");
        board.replace("[qemu]", &format!("[model-slot]\norigin = {origin}\nlength = {length}\n[qemu]"))
    };
    let slot = Board::parse(&with("0x4000", "0x4000"), "x1").unwrap().model_slot.unwrap();
    assert_eq!((slot.origin, slot.end()), (0x4000, 0x8000));
    assert_eq!(Board::parse(BOARD, "x1").unwrap().model_slot, None);
    for (origin, length) in [("0", "0x4000"), ("0x4000", "0x4001"), ("0x4010", "0x2000"), ("0x4000", "0x1000")] {
        assert!(refusal(&with(origin, length)).contains("[model-slot]"), "{origin} {length}");
    }
}

#[test]
fn a_model_loaded_at_run_time_has_three_quarters_of_the_ram_without_the_stack() {
    assert_eq!(Board::parse(BOARD, "x1").unwrap().loadable_arena(), 0x300);
}

#[test]
fn the_compilers_flags_are_those_of_the_core() {
    assert!(Board::parse(BOARD, "x1").unwrap().rustflags().is_empty());
    let with = BOARD.replace("stack =", "target-cpu = \"c1\"\ntarget-features = [\"+a\", \"-b\"]\nstack =");
    let flags = Board::parse(&with, "x1").unwrap().rustflags();
    assert_eq!(flags, ["-Ctarget-cpu=c1", "-Ctarget-feature=+a,-b"]);
    assert!(refusal(&with.replace("+a", "a")).contains("`a` in `target-features`"));
    assert!(refusal(&with.replace("c1", "c1 -Copt-level=0")).contains("`c1 -Copt-level=0`"));
}

#[test]
fn rejects_a_wrong_description_with_the_reason() {
    assert!(refusal(&BOARD.replace("id = \"x1\"", "id = \"x2\"")).contains("x2"));
    assert!(refusal(&BOARD.replace("memory.ram", "memory.sram")).contains("[memory.ram]"));
    assert!(refusal(&BOARD.replace("\"7.2\"", "\"new\"")).contains("`new`"));
    assert!(refusal(&BOARD.replace("core =", "cpu =")).contains("cpu"));
    assert!(refusal(&BOARD.replace("semihosting", "pigeon")).contains("pigeon"));
    assert!(refusal(&BOARD.replace("semihosting", "rtt")).contains("rtt"));
    assert!(refusal(&BOARD.replace("0x800", "0x800\nwindow-of = \"rom\"")).contains("`window-of = \"rom\"`"));
    LinuxBoard::parse(LINUX, "x").unwrap();
    let refusal = |text: &str| LinuxBoard::parse(text, "x").unwrap_err().to_string();
    assert!(refusal(&LINUX.replace("linux-x\"", "linux-y\"")).contains("linux-y"));
    assert!(refusal(&LINUX.replace("\"7.2\"", "\"new\"")).contains("`new`"));
    assert!(refusal(&LINUX.replace("\"max\"", "")).contains("cpus"));
    assert!(refusal(&LINUX.replace("linker", "joiner")).contains("joiner"));
}

#[test]
fn a_summary_needs_fewer_keys_and_agrees_with_the_board() {
    let whole = Board::parse(BOARD, "x1").unwrap();
    assert_eq!(Summary::parse(BOARD).unwrap(), Summary::from(&whole));
    let short = "id = 'x1'\nname = 'X'\ncore = 'Cortex-M4F'\nstack = 1024\n\
                 memory = { flash = { length = 4096 }, ram = { length = 2048 } }";
    assert_eq!(Summary::parse(short).unwrap(), Summary::from(&whole));
    assert!(matches!(Summary::parse(&short.replace("ram =", "rom =")), Err(SpecError::Region("ram"))));
    assert!(Summary::parse("id = 3").is_err());
    let missing = Summary::read(Path::new("none/board.toml")).unwrap_err();
    assert!(missing.to_string().contains("none/board.toml"), "{missing}");
}

#[test]
fn every_board_of_the_workspace_is_well_described() {
    let (all, emulated) = (Board::all(&root()).unwrap(), Board::emulated(&root()).unwrap());
    let (chips, on_hals) = (Board::chips(&root()).unwrap(), Board::on_hals(&root()).unwrap());
    assert!(emulated.len() >= 17 && chips.len() >= 7 && on_hals.len() >= 8);
    // None runs in two emulators.
    assert!(!all.iter().any(|board| board.qemu.is_some() && board.chip_emulator.is_some()));
    // QEMU runs the start-up code of a HAL, too.
    assert!(on_hals.iter().any(|board| board.qemu.is_some()));
    assert!(chips.iter().all(Board::is_on_hal));
    assert!(on_hals.iter().all(|board| !root().join("boards").join(&board.id).exists()));
    assert!(all.iter().all(|board| root().join(board.manifest()).is_file()));
    assert!(LinuxBoard::all(&root()).unwrap().len() >= 3);
    assert!(LinuxBoard::find(&root(), "linux-aarch64").unwrap().is_some());
    assert!(Board::all(Path::new("none")).is_err());
}

/// The settings of cargo in the folder of each board on a HAL say what its `board.toml` says.
#[test]
fn cargo_run_in_the_folder_of_a_board_on_a_hal_flashes_that_board() {
    for board in Board::on_hals(&root()).unwrap() {
        let folder = root().join(&board.folder);
        let text = std::fs::read_to_string(folder.join(".cargo/config.toml")).unwrap();
        let settings: toml::Table = text.parse().unwrap();
        assert_eq!(settings["build"]["target"].as_str(), Some(board.target.as_str()), "{}", board.id);
        let target = &settings["target"][board.target.as_str()];
        let words = |key: &str| -> Vec<&str> {
            target
                .get(key)
                .map_or(&[][..], |words| words.as_array().unwrap())
                .iter()
                .filter_map(|w| w.as_str())
                .collect()
        };
        assert_eq!(words("rustflags"), board.rustflags(), "{}", board.id);
        let [program, id] = words("runner")[..] else { panic!("{}: {text}", board.id) };
        assert!(folder.join(program).is_file() && id == board.id, "{}: {program} {id}", board.id);
        let input = settings["env"]["TEALIGHT_INPUT"]["value"].as_str().unwrap();
        assert!(folder.join(input).is_file(), "{}: {input}", board.id);
        // Beside it is the line for the usual program.
        let probe = board.by_probe().map(|by| format!("runner = \"probe-rs run --chip {}\"", by.chip));
        let other = probe.unwrap_or_else(|| "runner = \"".into());
        assert!(text.lines().any(|line| line.starts_with('#') && line.contains(&other)), "{}: {text}", board.id);
    }
}
