//! The files by which build systems take the library's folder: a CMake package, a Zephyr module, a component of ESP-IDF and an
//! Arduino library. One folder serves all four.

use std::path::PathBuf;

/// A file: its path in the folder, and its text, in which `@VERSION@` stands for the version of the workspace.
type File = (&'static str, &'static str);

/// For CMake, Zephyr and ESP-IDF.
const FILES: [File; 7] = [
    (
        "lib/cmake/tealight/tealight-config.cmake",
        include_str!("../../../../runtime/ffi/packages/cmake/tealight-config.cmake"),
    ),
    (
        "lib/cmake/tealight/tealight-config-version.cmake",
        include_str!("../../../../runtime/ffi/packages/cmake/tealight-config-version.cmake"),
    ),
    ("zephyr/module.yml", include_str!("../../../../runtime/ffi/packages/zephyr/module.yml")),
    ("zephyr/Kconfig", include_str!("../../../../runtime/ffi/packages/zephyr/Kconfig")),
    ("zephyr/CMakeLists.txt", include_str!("../../../../runtime/ffi/packages/zephyr/CMakeLists.txt")),
    ("CMakeLists.txt", include_str!("../../../../runtime/ffi/packages/esp-idf/CMakeLists.txt")),
    ("idf_component.yml", include_str!("../../../../runtime/ffi/packages/esp-idf/idf_component.yml")),
];

/// For Arduino.
const ARDUINO: File =
    ("library.properties", include_str!("../../../../runtime/ffi/packages/arduino/library.properties"));

/// The version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All files of the folder but the library, its header and the model.
pub(super) fn files() -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    FILES.into_iter().chain([ARDUINO]).map(|(path, text)| (path.into(), filled(text).into_bytes()))
}

/// The folder below `src` in which Arduino looks for the library of this core; `None` for a target that is none of its boards'.
pub(super) fn arduino_folder(target: &str, cpu: Option<&str>) -> Option<PathBuf> {
    let core = match (cpu, target.split('-').next()?) {
        (Some(cpu), architecture) if architecture.starts_with("thumb") => cpu,
        (_, "thumbv6m") => "cortex-m0plus",
        (_, "thumbv7m") => "cortex-m3",
        (_, "thumbv7em") => "cortex-m4",
        (_, "thumbv8m.main") => "cortex-m33",
        (_, "riscv32imc") => "esp32c3",
        _ => return None,
    };
    let unit = if core == "cortex-m4" { "fpv4-sp-d16-hard" } else { "fpv5-sp-d16-hard" };
    let folder = PathBuf::from(core);
    Some(if target.ends_with("hf") { folder.join(unit) } else { folder })
}

fn filled(text: &str) -> String {
    let compatible = VERSION.rsplit_once('.').map_or(VERSION, |(compatible, _)| compatible);
    text.replace("@VERSION@", VERSION).replace("@COMPATIBLE@", compatible)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn text(path: &str) -> String {
        let (_, bytes) = files().find(|(file, _)| file.as_os_str() == path).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for (path, bytes) in files() {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains('@'), "{}", path.display());
        }
    }

    #[test]
    fn the_zephyr_module_names_files_that_there_are() {
        let module: serde_json::Value = yaml_serde::from_str(&text("zephyr/module.yml")).unwrap();
        assert_eq!(module["name"], "tealight");
        let build = &module["build"];
        let cmake = format!("{}/CMakeLists.txt", build["cmake"].as_str().unwrap());
        assert!(text(&cmake).contains("CONFIG_TEALIGHT"));
        assert!(text(build["kconfig"].as_str().unwrap()).starts_with("config TEALIGHT\n\tbool \""));
    }

    #[test]
    fn the_component_has_this_version_and_no_key_that_its_registry_does_not_take() {
        let component: BTreeMap<String, serde_json::Value> = yaml_serde::from_str(&text("idf_component.yml")).unwrap();
        assert_eq!(component["version"], VERSION);
        // The manifest's reference: the keys of a component that is not published need not be more.
        let known = ["version", "description", "license", "dependencies", "url", "targets", "tags", "files"];
        assert!(component.keys().all(|key| known.contains(&key.as_str())));
    }

    #[test]
    fn the_arduino_library_has_what_its_specification_asks_for() {
        let text = text("library.properties");
        let properties: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        for name in ["name", "version", "author", "maintainer", "sentence", "paragraph", "category", "architectures"] {
            assert!(properties.get(name).is_some_and(|value| !value.is_empty()), "{name}");
        }
        assert_eq!(properties["version"], VERSION);
        assert_eq!((properties["precompiled"], properties["ldflags"]), ("true", "-ltealight"));
        assert_eq!(properties["includes"], "tealight.h");
    }

    #[test]
    fn arduino_finds_the_library_of_a_core() {
        let folder = |target, cpu| arduino_folder(target, cpu).map(|folder| folder.display().to_string());
        assert_eq!(folder("thumbv7em-none-eabihf", None).as_deref(), Some("cortex-m4/fpv4-sp-d16-hard"));
        assert_eq!(folder("thumbv7em-none-eabihf", Some("cortex-m7")).as_deref(), Some("cortex-m7/fpv5-sp-d16-hard"));
        assert_eq!(folder("thumbv6m-none-eabi", None).as_deref(), Some("cortex-m0plus"));
        assert_eq!(folder("riscv32imc-unknown-none-elf", None).as_deref(), Some("esp32c3"));
        assert_eq!(folder("x86_64-unknown-linux-gnu", None), None);
    }
}
