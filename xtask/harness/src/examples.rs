//! The folders of `examples`: workspaces of their own, to be copied. Each is built as its reader would build it.

use crate::board::{self, ChipProgram};
use crate::context::{CHECKED, Context};
use crate::{chip, emulator, firmware, install, limit};
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wildmatch::WildMatch;
use xshell::cmd;

/// What an example that an emulator runs must print, with `*` for any characters and `?` for one; without this file in its folder, an
/// example is only built.
const EXPECTED: &str = "expected.txt";

/// The emulated chips of examples which QEMU does not run.
const CHIPS: &[(&str, &str)] = &[("rp2040", "rp2040")];

/// The lines of code that an example may have at most: all of it should be grasped at once.
const LINES: usize = 60;

/// The profile of boards' firmware, under which what boards and examples share is built once.
const PROFILE: &[&str] = &[
    "--profile=firmware",
    "--locked",
    "--quiet",
    "--config=profile.firmware.inherits='release'",
    "--config=profile.firmware.panic='abort'",
];

/// Checks formatting and lints of every example, builds it, and runs those that an emulator can run.
pub fn examples(context: &Context) -> Result<()> {
    // Its emulator is the examples', too.
    emulator::ensure_board(context, &board::find(&context.root, board::DEFAULT)?)?;
    write_slot(context)?;
    let (mut built, mut run) = (0, 0);
    for folder in folders(&context.root.join("examples"))? {
        let example = Example::read(folder)?;
        let image = example.build(context).with_context(|| format!("in {}", example.folder.display()))?;
        built += 1;
        let Ok(expected) = std::fs::read_to_string(example.folder.join(EXPECTED)) else { continue };
        let printed = example.run(context, &image, expected.lines().count())?;
        if !is_as_expected(&printed, &expected) {
            bail!("{} prints\n{printed}\ninstead of\n{expected}", example.folder.display());
        }
        run += 1;
    }
    if run == 0 {
        bail!("no example was run");
    }
    println!("{built} examples built, {run} of them run");
    Ok(())
}

/// The contents of the flash slot of the example that has one, as its first lines tell the reader.
fn write_slot(context: &Context) -> Result<()> {
    let (shell, cargo) = (&context.shell, context.cargo());
    let model = ["models/digits/digits.safetensors", "models/digits/sample.bin"];
    let slot = ["examples/mps2-an386-slot/slot.bin", "1048576"];
    let command = cmd!(shell, "{cargo} run --quiet --package tealight-slot --example image -- {model...} {slot...}");
    Ok(command.envs(CHECKED).quiet().ignore_stdout().run()?)
}

/// Whether the lines of an output are those expected.
fn is_as_expected(printed: &str, expected: &str) -> bool {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_string()).collect::<Vec<_>>();
    let (printed, expected) = (lines(printed), lines(expected));
    printed.len() == expected.len()
        && expected.iter().zip(&printed).all(|(pattern, line)| WildMatch::new(pattern).matches(line))
}

/// The folders of the examples, in the order of their names.
fn folders(examples: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(examples).with_context(|| format!("cannot read {}", examples.display()))?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}

/// An example, and what its `.cargo/config.toml` says.
struct Example {
    folder: PathBuf,
    name: String,
    target: String,
    runs_in_qemu: bool,
}

impl Example {
    fn read(folder: PathBuf) -> Result<Self> {
        let read = |path: &str| {
            let path = folder.join(path);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let main = read("src/main.rs")?;
        if main.lines().count() > LINES {
            bail!("{} has {} lines, more than {LINES}", folder.join("src/main.rs").display(), main.lines().count());
        }
        let config: toml::Table = read(".cargo/config.toml")?.parse()?;
        let target = config["build"]["target"].as_str().context("its configuration names no target")?.to_string();
        let runs_in_qemu = config["target"][&target]["runner"].to_string().contains("qemu");
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { folder, name, target, runs_in_qemu })
    }

    /// Returns the path of the program.
    fn build(&self, context: &Context) -> Result<PathBuf> {
        install::ensure_target(context, &self.target)?;
        self.cargo(context, &["fmt", "--check"])?;
        let messages = self.cargo(context, &[&["build", "--message-format=json"], PROFILE].concat())?;
        firmware::executable(&messages, &format!("example-{}", self.name)).context("cargo built no program")
    }

    /// Returns what it prints; of one that does not end, the first `lines`.
    fn run(&self, context: &Context, image: &Path, lines: usize) -> Result<String> {
        if self.runs_in_qemu {
            return self.cargo(context, &[&["run"], PROFILE].concat());
        }
        let chip = CHIPS.iter().find(|(name, _)| *name == self.name);
        let (_, chip) = chip.with_context(|| format!("no emulator runs the example {}", self.name))?;
        let program = chip::ensure(context, ChipProgram::RpEmu)?;
        first_lines(program.command(chip, image), lines)
    }

    /// Runs cargo in the folder, whose `.cargo/config.toml` it takes. Returns what it printed.
    fn cargo(&self, context: &Context, words: &[&str]) -> Result<String> {
        let mut command = Command::new(context.cargo());
        // clippy in the place of the compiler: `cargo clippy` would compile a HAL once more.
        command.args(words).current_dir(&self.folder).envs(CHECKED);
        // Its own profile decides.
        command.env_remove("CARGO_PROFILE_RELEASE_LTO");
        let printed = limit::succeed(&mut command, LIMIT)?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

/// Starts a program that does not end by itself, and stops it once it has printed so many lines.
fn first_lines(mut command: Command, count: usize) -> Result<String> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let out = child.stdout.take().context("it has no output")?;
    let complete = AtomicBool::new(false);
    let (lines, end) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let lines = BufReader::new(out).lines().take(count).collect::<std::io::Result<Vec<_>>>();
            complete.store(true, Ordering::Release);
            lines
        });
        let end = limit::wait(&mut child, LIMIT, || complete.load(Ordering::Acquire));
        (reader.join().unwrap_or_else(|_| Ok(Vec::new())), end)
    });
    end?;
    Ok(lines?.join("\n"))
}

/// Enough to build a HAL on a slow machine. An example that never ends is stopped.
const LIMIT: Duration = Duration::from_secs(900);

#[cfg(test)]
mod tests {
    use super::is_as_expected;

    #[test]
    fn an_output_is_compared_line_by_line_with_patterns() {
        assert!(is_as_expected("a 5, in 47 periods\r\nend\n", "a 5, in 4? periods\nend*\n"));
        assert!(!is_as_expected("a 5, in 0 periods\nend", "a 5, in 4* periods\nend"));
        assert!(!is_as_expected("a 5\nend", "a 5"));
        assert!(!is_as_expected("", "a 5"));
    }
}
