//! Flashing over a serial port, end to end: the program with espflash, and a mock of the chip's boot loader
//! (`esp32-mock-bootloader`, from PyPI) behind a pseudo-terminal. The mock keeps what is written to its flash, and
//! computes the MD5 of that which the program compares. It runs no firmware, so there is no log.

use super::serial;
use crate::context::Context;
use crate::fetch;
use crate::firmware::Level;
use crate::limit;
use crate::progress::Progress;
use crate::run;
use anyhow::{Context as _, Result, bail, ensure};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tealight_board_spec::Flash;
use tempfile::TempDir;

/// The board.
const BOARD: &str = "esp32-c3";
/// The mock and what it needs, with their hashes.
const PACKAGES: &str = "xtask/esp32-mock-bootloader.txt";
/// The program takes no longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Flashes the mock, and each thing that can go wrong.
///
/// # Errors
/// Something is not as it must be.
pub fn check(context: &Context) -> Result<()> {
    let board = crate::board::find(&context.root, BOARD)?;
    let by = board.flash.iter().find_map(|way| if let Flash::Serial(by) = way { Some(by) } else { None });
    let by = by.with_context(|| format!("{BOARD} is not flashed over a serial port"))?;
    let (model, inputs) = run::demonstration(context)?;
    let image = super::image(context, &board, &model, &inputs, super::Build { log: Level::Info, loadable: false })?;
    let mocks = Mocks { python: fetch::python_with_pip(context)?, site: site(context)? };
    let program = serial::program(context)?;
    let flash = |port: &str| {
        let mut command = Command::new(&program);
        command.args(serial::words(&image, &board, by, Some(port))).args(["--no-reset", "--no-monitor"]);
        command
    };
    let told = |port: &str| {
        let output = limit::output(&mut flash(port), LIMIT)?;
        Ok::<_, anyhow::Error>((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };

    let words = ["flash", &image.display().to_string(), "--board", BOARD, "--dry-run"].map(String::from);
    let picture = super::run_shown(&super::program(context)?, &words)?;
    ensure!(picture.contains("flash  0x42000000") && picture.contains(".text"), "the picture is\n{picture}");

    let begun = Instant::now();
    let mock = mocks.start(&by.chip)?;
    let (code, text) = told(&mock.port)?;
    ensure!(code == Some(0), "the mock is not flashed:\n{text}");
    for part in ["the boot loader", "the partition table", "the app"] {
        ensure!(text.contains(&format!("ok  writing and verifying {part}")), "no {part} in\n{text}");
    }
    let seconds = begun.elapsed().as_secs_f64();
    drop(mock);

    let mock = mocks.start("esp32c6")?;
    let (code, text) = told(&mock.port)?;
    let untouched = "nothing in the board's flash was changed";
    ensure!(
        code == Some(1) && text.contains("its chip is esp32c6, and the board's is esp32c3") && text.contains(untouched),
        "another chip is not told:\n{text}"
    );
    drop(mock);

    let (code, text) = told("/dev/no such port")?;
    ensure!(code == Some(1) && text.contains("cannot be opened") && text.contains(untouched), "no port:\n{text}");

    let mock = mocks.start(&by.chip)?;
    let (code, text) = lost(flash(&mock.port), mock)?;
    ensure!(code == Some(1) && text.contains("written in part"), "a lost connection is not told:\n{text}");
    println!("{BOARD}: flashed over a serial port and verified in {seconds:.1} s; 3 faults told");
    Ok(())
}

/// Where the mock is, installed into the cache if it is not there.
fn site(context: &Context) -> Result<PathBuf> {
    let folder = context.cache().join("esp32-mock-bootloader-0.3.0");
    if folder.is_dir() {
        return Ok(folder);
    }
    let progress = Progress::start("fetching esp32-mock-bootloader from PyPI");
    fetch::pip_install(context, &context.root.join(PACKAGES), &[], &folder)
        .context("pip cannot install esp32-mock-bootloader; is the network reachable?")?;
    progress.done("");
    Ok(folder)
}

/// What starts mocks.
struct Mocks {
    python: String,
    site: PathBuf,
}

/// A mock, which ends with this.
struct Mock {
    process: Child,
    port: String,
    _folder: TempDir,
}

impl Mocks {
    /// Starts one of this chip.
    fn start(&self, chip: &str) -> Result<Mock> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let file = folder.path().join("port");
        let process = Command::new(&self.python)
            .args(["-c", "from esp32_mock_bootloader.cli import main; raise SystemExit(main())"])
            .args(["run", "--pty", "--chip", chip, "--port-file"])
            .arg(&file)
            .env("PYTHONPATH", &self.site)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", self.python))?;
        let mut mock = Mock { process, port: String::new(), _folder: folder };
        let begun = Instant::now();
        while mock.port.is_empty() {
            if mock.process.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(30) {
                bail!("the mock of {chip} does not start");
            }
            std::thread::sleep(Duration::from_millis(20));
            mock.port = port_in(&file);
        }
        Ok(mock)
    }
}

/// The port that is named in a file, once the file is whole.
fn port_in(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default().trim().to_string()
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the program, and ends the mock when the boot loader is written and the app is not.
fn lost(mut command: Command, mock: Mock) -> Result<(Option<i32>, String)> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let (mut text, mut mock) = (String::new(), Some(mock));
    for line in child.stderr.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
        let line = line?;
        if line.contains("... writing and verifying the partition table") {
            drop(mock.take());
        }
        text += &line;
        text.push('\n');
    }
    let limit::End::Exit(status) = limit::wait(&mut child, LIMIT, || false)? else { bail!("it hangs:\n{text}") };
    Ok((status.code(), text))
}
