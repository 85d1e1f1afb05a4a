//! `tealight inspect`: layers, memory map and boards.

use crate::common::Folder;
use tealight::Model;

const BOARD: &str = "id = 'tiny'\nname = 'A tiny board'\ncore = 'Cortex-M0+'\ntarget = 'x'\nstack = 4096\n\
                     [memory.flash]\norigin = 0\nlength = 65536\n[memory.ram]\norigin = 0x2000_0000\nlength = 8192\n";

#[test]
fn reports_a_layer_with_its_tensors_and_cost() {
    let (folder, _) = Folder::compiled("conv2d.000");
    for model in ["net.safetensors", "net.tflite"] {
        let report = folder.json(&["inspect", model]);
        let layer = &report["layers"][0];
        assert_eq!(layer["operator"], "Conv2d");
        assert_eq!(layer["inputs"][0]["shape"], serde_json::json!([1, 6, 6, 3]));
        assert_eq!(layer["inputs"][1]["place"], "constant");
        assert_eq!(layer["output"]["shape"], serde_json::json!([1, 6, 6, 4]));
        assert_eq!(layer["output"]["dtype"], "I8");
        assert_eq!(layer["macs"], 36 * 4 * 27);
        assert_eq!(layer["rows"], 6);
        // 6 pixels of 4 channels: each has the 27 products of 3 lines of 3 taps, and the overhead.
        let row = 60 + 6 * (60 + (100 + 25 * 3) + 4 * (8 + 5 * 3 + 27));
        let scratch = if layer["scratch_bytes"] == 0 { 0 } else { 300 + 12 };
        assert_eq!(layer["row_cost"], row + scratch);
        assert_eq!(layer["prepare_cost"], 0);
        assert_eq!(report["totals"]["longest_row"], 1500 + row + scratch);
        assert_eq!(report["totals"]["cost"], 1500 + 6 * (row + scratch));
        // Weights, and three values of four bytes for each channel.
        assert_eq!(layer["constant_bytes"], 4 * 27 + 4 * 12);
    }
}

#[test]
fn the_memory_map_is_that_of_the_plan() {
    let (folder, _) = Folder::compiled("variables.000");
    let bytes = folder.read("net.safetensors");
    let model = Model::parse(&bytes).unwrap();
    let report = folder.json(&["inspect", "net.safetensors"]);
    let memory = report["memory"].as_array().unwrap();
    let end = |entry: &serde_json::Value| entry["offset"].as_u64().unwrap() + entry["bytes"].as_u64().unwrap();
    let highest = memory.iter().map(end).max().unwrap();
    assert_eq!(highest.next_multiple_of(16), model.arena_len() as u64);
    assert_eq!(report["totals"]["arena_bytes"], model.arena_len());
    assert_eq!(report["totals"]["state_bytes"], model.state_len());
    assert!(model.state_len() > 0);
    assert!(memory.iter().any(|entry| entry["role"] == "state"));
    assert!(memory.iter().any(|entry| entry["role"] == "input"));
}

#[test]
fn the_picture_has_no_colours_without_a_terminal() {
    let (folder, _) = Folder::compiled("conv2d.000");
    let text = folder.succeeds(&["inspect", "net.safetensors"]);
    assert!(!text.contains('\x1b'), "{text}");
    for part in
        ["net: 1 operator, 3,888 MACs", "1×6×6×3", "1×6×6×4", "operator  0", "0", "input", "mps2-an386", "longest row"]
    {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn checks_boards_by_flash_and_ram() {
    let (folder, _) = Folder::compiled("conv2d.000");
    let arena = Model::parse(&folder.read("net.safetensors")).unwrap().arena_len();
    let ram = arena + 4096;
    folder.write("fits.toml", BOARD.replace("8192", &ram.to_string()).as_bytes());
    folder.write("short.toml", BOARD.replace("8192", &(ram - 1).to_string()).as_bytes());
    let args = ["inspect", "net.safetensors", "--board", "fits.toml", "--board", "short.toml"];
    let report = folder.json(&args);
    assert_eq!(report["boards"][0]["fits"], true);
    assert_eq!(report["boards"][0]["ram_needed"], ram);
    assert_eq!(report["boards"][1]["fits"], false);
    let text = folder.succeeds(&args);
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("tiny ")).collect();
    let fits_and_left = |row: &str| {
        let columns: Vec<_> = row.split_whitespace().collect();
        (columns[2].to_string(), columns[8].to_string())
    };
    assert_eq!(fits_and_left(rows[0]), ("yes".into(), "0".into()), "{text}");
    assert_eq!(fits_and_left(rows[1]), ("no".into(), "-1".into()), "{text}");
}

#[test]
fn flash_is_that_of_the_model_and_of_the_runtime() {
    let (folder, _) = Folder::compiled("conv2d.000");
    let file = folder.read("net.safetensors").len() as u64;
    let fit = |flash: u64| {
        folder.write("some.toml", BOARD.replace("65536", &flash.to_string()).as_bytes());
        folder.json(&["inspect", "net.safetensors", "--board", "some.toml"])["boards"][0].clone()
    };
    let runtime = fit(65536)["runtime_flash"].as_u64().unwrap();
    assert!((4000..40_000).contains(&runtime), "{runtime}");
    let (whole, short) = (fit(file + runtime), fit(file + runtime - 1));
    assert_eq!(whole["flash_needed"], file + runtime);
    assert_eq!((&whole["fits"], &short["fits"]), (&true.into(), &false.into()));
    assert!(whole["stack_needed"].as_u64().unwrap() < whole["stack"].as_u64().unwrap());
    // A core that the table does not have.
    folder.write("other.toml", BOARD.replace("Cortex-M0+", "Z80").as_bytes());
    let other = folder.json(&["inspect", "net.safetensors", "--board", "other.toml"])["boards"][0].clone();
    assert_eq!((&other["runtime_flash"], &other["flash_needed"]), (&serde_json::Value::Null, &file.into()));
}

#[test]
fn finds_the_boards_of_the_repository() {
    let (folder, _) = Folder::compiled("conv2d.000");
    std::fs::create_dir_all(folder.path("boards/tiny")).unwrap();
    folder.write("boards/tiny/board.toml", BOARD.as_bytes());
    assert_eq!(folder.json(&["inspect", "net.safetensors"])["boards"][0]["id"], "tiny");
}

#[test]
fn checks_every_board_with_firmware_outside_the_repository() {
    let (folder, _) = Folder::compiled("conv2d.000");
    let report = folder.json(&["inspect", "net.safetensors"]);
    let ids: Vec<_> = report["boards"].as_array().unwrap().iter().map(|board| board["id"].as_str().unwrap()).collect();
    assert!(ids.len() >= 23, "{ids:?}");
    for id in ["mps2-an386", "riscv64-virt-v", "nrf52840-dk", "pico2-riscv", "esp32-c3"] {
        assert!(ids.contains(&id), "no {id} in {ids:?}");
    }
}

#[test]
fn reports_a_board_that_cannot_be_read() {
    let (folder, _) = Folder::compiled("conv2d.000");
    let board = |parts: &[&str]| folder.fails(&["inspect", "net.safetensors", "--board", "b.toml"], parts);
    board(&["`b.toml`", "No such file"]);
    folder.write("b.toml", b"not toml at all");
    board(&["`b.toml`", "line 1"]);
    folder.write("b.toml", BOARD.replace("memory.ram", "memory.sram").as_bytes());
    board(&["`b.toml`", "[memory.ram]"]);
}

#[test]
fn a_network_that_cannot_be_compiled_is_refused() {
    let (folder, case) = Folder::golden("conv2d.000");
    folder.write("net.tflite", &crate::common::with_operator(&case.model, 47));
    folder.fails(&["inspect", "net.tflite"], &["cannot compile `net.tflite`", "EXP"]);
    folder.fails(&["inspect", "none"], &["`none`", "No such file"]);
    folder.fails(&["inspect", "."], &["`.`", "it is a folder"]);
}

#[test]
fn shows_the_network_after_each_pass() {
    let (folder, case) = Folder::compiled("conv2d.000");
    let text = folder.succeeds(&["inspect", "net.tflite", "--after", "import"]);
    assert!(text.contains("Conv2d(%"), "{text}");
    let report = folder.json(&["inspect", "net.tflite", "--after", "lower"]);
    assert_eq!(report["nodes"][0]["operator"], "Conv2d");
    let input = report["inputs"][0].to_string();
    assert_eq!(report["tensors"][&input]["shape"], serde_json::json!([1, 6, 6, 3]));
    folder.fails(&["inspect", "net.tflite", "--after", "nothing"], &["no pass `nothing`", "import", "lower"]);
    folder.fails(&["inspect", "net.safetensors", "--after", "lower"], &["compiled already", ".tflite"]);
    folder.write("net.tflite", &case.model[..100]);
    folder.fails(&["inspect", "net.tflite", "--after", "lower"], &["cannot compile `net.tflite`"]);
}

#[test]
fn a_budget_is_told_as_slices() {
    let (folder, _) = Folder::compiled("conv2d.000");
    let row = folder.json(&["inspect", "net.safetensors"])["layers"][0]["row_cost"].as_u64().unwrap();
    let slices = |budget: u64| {
        let report = folder.json(&["inspect", "net.safetensors", "--slice", &budget.to_string()]);
        let instructions = report["boards"].as_array().unwrap().iter().find(|board| board["id"] == "mps2-an386");
        let slice = instructions.map(|board| (board["slice_instructions"].as_u64(), board["instructions"].as_u64()));
        let slices = &report["slices"];
        assert_eq!(slices["operators"], serde_json::json!([0, 0]));
        (slices["calls"].as_u64().unwrap(), slices["longest"].as_u64().unwrap(), slice.unwrap())
    };
    // Six rows, each call one, two or all of them, besides entering the operator.
    assert_eq!(slices(1).0, 6);
    assert_eq!(slices(1).1, 1500 + row);
    assert_eq!((slices(1500 + 2 * row).0, slices(1500 + 2 * row).1), (3, 1500 + 2 * row));
    let (calls, longest, (slice, whole)) = slices(1 << 30);
    assert_eq!((calls, longest, slice), (1, 1500 + 6 * row, whole));
    // A longest slice is a part of the whole.
    let (_, _, (slice, whole)) = slices(1);
    assert!(slice.unwrap() > whole.unwrap() / 7 && slice.unwrap() < whole.unwrap() / 3, "{slice:?} of {whole:?}");
    assert!(folder.succeeds(&["inspect", "net.safetensors", "--slice", "10k"]).contains("a budget of 10,000 takes"));
}
