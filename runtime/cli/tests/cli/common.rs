//! Runs the program `tealight` in a separate folder, on networks of the golden files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tealight_tests::ops::{Case, cases};
use tempfile::TempDir;

/// A folder in which commands run.
pub(crate) struct Folder(TempDir);

/// The outcome of a command.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program.
pub(crate) const TEALIGHT: &str = env!("CARGO_BIN_EXE_tealight");

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Returns the path of `name` in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs `tealight` with these arguments.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.run_program(Command::new(TEALIGHT).args(args))
    }

    pub(crate) fn run_program(&self, command: &mut Command) -> Outcome {
        let Output { status, stdout, stderr } = command.current_dir(self.0.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Runs a command that must succeed, and returns what it wrote to standard output.
    pub(crate) fn succeeds(&self, args: &[&str]) -> String {
        let outcome = self.run(args);
        assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.err);
        outcome.out
    }

    /// Runs a command that must succeed, and reads its JSON.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let out = self.succeeds(&[args, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out}"))
    }

    /// Runs a command that must fail with exit code 1, write `parts` to standard error, and leave all files unchanged.
    pub(crate) fn fails(&self, args: &[&str], parts: &[&str]) {
        self.program_fails(Command::new(TEALIGHT).args(args), 1, parts);
    }

    pub(crate) fn program_fails(&self, command: &mut Command, code: i32, parts: &[&str]) {
        let before = self.contents();
        let outcome = self.run_program(command);
        assert_eq!(outcome.code, Some(code), "{command:?}: {}{}", outcome.out, outcome.err);
        assert_eq!(outcome.out, "", "{command:?}");
        for part in parts {
            assert!(outcome.err.contains(part), "{command:?}: no `{part}` in: {}", outcome.err);
        }
        assert!(self.contents() == before, "{command:?} changed the folder");
    }

    /// Returns every file below the folder, and every empty folder.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.0.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    found.insert(path.clone(), Vec::new());
                    folders.push(path);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    found.insert(path, bytes);
                }
            }
        }
        found
    }

    /// Writes a golden case's network to the folder as `net.tflite`, and its first inputs as `0.bin`, `1.bin`, …
    pub(crate) fn golden(name: &str) -> (Self, Case) {
        let folder = Self::new();
        let file = name.split('.').next().unwrap();
        let case = cases(file).remove(name).unwrap();
        folder.write("net.tflite", &case.model);
        for (i, input) in case.steps[0].inputs.iter().enumerate() {
            folder.write(&format!("{i}.bin"), input);
        }
        (folder, case)
    }

    /// The same, with the compiled network as `net.safetensors`.
    pub(crate) fn compiled(name: &str) -> (Self, Case) {
        let (folder, case) = Self::golden(name);
        folder.succeeds(&["compile", "net.tflite", "-o", "net.safetensors"]);
        (folder, case)
    }
}

/// Returns `command` with a file size limit of half a kilobyte or one kilobyte, depending on the shell. Writing more
/// fails, as on a full disk.
pub(crate) fn with_small_files(args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh", TEALIGHT]).args(args);
    command
}

/// Returns a `.tflite` file whose first operator is replaced by `builtin`.
pub(crate) fn with_operator(tflite: &[u8], builtin: u8) -> Vec<u8> {
    let mut bytes = tflite.to_vec();
    let word = |at: usize| u32::from_le_bytes(tflite[at..at + 4].try_into().unwrap()) as usize;
    let field = |table: usize, id: usize| {
        let vtable = table.wrapping_sub(word(table) as i32 as usize);
        let len = u16::from_le_bytes([tflite[vtable], tflite[vtable + 1]]);
        let at = 4 + 2 * id;
        assert!(at < len.into(), "the field is not there");
        let offset = u16::from_le_bytes([tflite[vtable + at], tflite[vtable + at + 1]]);
        assert!(offset > 0, "the field has its default value");
        table + usize::from(offset)
    };
    let follow = |at: usize| at + word(at);
    // Model.operator_codes[0]: fields 0 and 3 are the operator, in its old and new form.
    let code = follow(follow(field(follow(0), 1)) + 4);
    bytes[field(code, 0)] = builtin;
    bytes[field(code, 3)..][..4].copy_from_slice(&u32::from(builtin).to_le_bytes());
    bytes
}

/// Returns the header of a `.npy` file, and the elements.
pub(crate) fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(117 - header.len()));
    header.push('\n');
    [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), elements].concat()
}

/// Returns a path outside this folder as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
