//! `tealight plan`: the memory of several models.

use crate::common::Folder;

/// Folders of a model without state, and of one with.
fn models() -> (Folder, String, u64, u64) {
    let (folder, _) = Folder::compiled("conv2d.000");
    let (other, _) = Folder::compiled("variables.000");
    std::fs::write(folder.path("other.safetensors"), other.read("net.safetensors")).unwrap();
    let report = folder.json(&["inspect", "other.safetensors"]);
    let totals = &report["totals"];
    let (arena, state) = (totals["arena_bytes"].as_u64().unwrap(), totals["state_bytes"].as_u64().unwrap());
    (folder, "other.safetensors".into(), arena, state)
}

#[test]
fn a_shared_arena_is_the_largest_and_states_are_outside_of_it() {
    let (folder, other, arena, state) = models();
    let apart = folder.json(&["plan", "net.safetensors", &other]);
    let shared = folder.json(&["plan", "net.safetensors", &other, "--shared"]);
    let first = apart["models"][0]["arena_bytes"].as_u64().unwrap();
    assert_eq!(apart["total_bytes"], first + arena);
    assert_eq!(shared["arena_bytes"], first.max(arena));
    assert_eq!(shared["kept_bytes"], state);
    assert_eq!(shared["total_bytes"], first.max(arena) + state);
    assert!(state > 0 && first > 0);
}

#[test]
fn the_table_names_the_models_and_the_total() {
    let (folder, other, arena, _) = models();
    let text = folder.succeeds(&["plan", "net.safetensors", &other]);
    assert!(text.contains(&arena.to_string()) && text.contains("an arena for each"), "{text}");
    let text = folder.succeeds(&["plan", "net.safetensors", "net.safetensors", "--shared"]);
    assert!(text.contains("one arena for all"), "{text}");
}
