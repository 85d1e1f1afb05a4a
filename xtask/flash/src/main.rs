//! Flashes a board by a debug probe, and shows its log. `cargo xtask flash` runs it with an image that it builds.

use clap::{Args, Parser, Subcommand};
use probe_rs::probe::list::{Accessibility, Lister};
use probe_rs::{Session, Target};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tealight_board_spec::{Board, ByProbe};
use tealight_console::keep;
use tealight_flash::image::Image;
use tealight_flash::slot::{self, Contents};
use tealight_flash::supervise::{Event, Reporter, Stage, WORKER, supervise};
use tealight_flash::{Error, board, chip, monitor, probes};

mod progress;

use progress::Progress;

/// Flashes a board by a debug probe, and shows its log
#[derive(Parser)]
#[command(name = "tealight-flash")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Flashes an image, starts it and shows its log
    Flash {
        /// The ELF image
        image: PathBuf,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        how: How,
        /// Copies the image to this file as soon as the board's flash begins to change
        #[arg(long, value_name = "FILE")]
        keep: Option<PathBuf>,
    },
    /// Replaces the model of the firmware that the board has, starts it and shows its log
    Model {
        /// The contents of the model slot
        contents: PathBuf,
        /// The ELF image of the firmware that the board has
        #[arg(long)]
        image: PathBuf,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        how: How,
    },
    /// Shows the log of the image that the board runs
    Monitor {
        /// The ELF image
        image: PathBuf,
        #[command(flatten)]
        by: By,
        /// Resets the board first
        #[arg(long)]
        reset: bool,
    },
    /// Lists the debug probes
    Probes,
    /// Resets the board
    Reset {
        #[command(flatten)]
        by: By,
    },
    /// Erases all of the board's flash
    Erase {
        #[command(flatten)]
        by: By,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Seconds that a chip may take to erase all of its flash, of which it reports nothing meanwhile.
const WHOLE_ERASE: u64 = 120;

/// Which board, by which probe.
#[derive(Args)]
struct By {
    /// The board
    #[arg(long)]
    board: String,
    /// The debug probe: VID:PID or VID:PID:SERIAL, as `probes` lists it [default: the only one there is]
    #[arg(long)]
    probe: Option<String>,
    /// The ELF file of the flash algorithm, for a board that has one of its own
    #[arg(long)]
    algorithm: Option<PathBuf>,
    /// Seconds that the probe may take for one step
    #[arg(long, default_value_t = 15)]
    timeout: u64,
}

/// How to flash.
#[derive(Args)]
struct How {
    /// Proves that what would be programmed fits and draws the chip's memory, without a probe
    #[arg(long)]
    dry_run: bool,
    /// Does not show the log
    #[arg(long)]
    no_monitor: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if std::env::var_os(WORKER).is_some() {
        return work(arguments.task);
    }
    match perform(&arguments.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err((text, code)) => {
            eprintln!("error: {text}");
            ExitCode::from(code)
        }
    }
}

/// Does what needs no probe, and has a worker do the rest.
fn perform(task: &Task) -> Result<(), (String, u8)> {
    let refused = |error: Error| (error.to_string(), error.exit_code());
    let timeout = match task {
        Task::Probes => {
            list();
            return Ok(());
        }
        Task::Flash { image, by, how: How { dry_run: true, .. }, .. } => {
            return Image::read(image).and_then(|image| prove(&image, by)).map_err(refused);
        }
        Task::Model { contents, image, by, how: How { dry_run: true, .. } } => {
            return with_contents(image, contents).and_then(|image| prove(&image, by)).map_err(refused);
        }
        Task::Erase { by, yes } => {
            confirm(by, *yes).map_err(refused)?;
            by.timeout.max(WHOLE_ERASE)
        }
        Task::Flash { by, .. } | Task::Model { by, .. } | Task::Monitor { by, .. } | Task::Reset { by } => by.timeout,
    };
    // The worker ends the log in order when the user stops both.
    let _ = ctrlc::set_handler(|| {});
    let this = std::env::current_exe().map_err(|error| (format!("cannot find this program: {error}"), 1))?;
    let mut worker = Command::new(this);
    worker.args(std::env::args_os().skip(1));
    let mut progress = Progress::default();
    let mut kept = match task {
        Task::Flash { image, keep: Some(file), .. } => Some((image, file)),
        _ => None,
    };
    let done = supervise(worker, Duration::from_secs(timeout), |event| {
        if matches!(event, Event::Stage(Stage::Erase))
            && let Some((image, file)) = kept.take()
        {
            keep(image, file);
        }
        progress.show(event);
    });
    progress.finish();
    done.map_err(|failure| (failure.to_string(), failure.exit_code()))
}

/// The process that works. It reports to the one that started it.
fn work(task: Task) -> ExitCode {
    let mut reporter = Reporter::new(std::io::stdout());
    let (by, work): (By, Work) = match task {
        Task::Flash { image, by, how, .. } => {
            (by, Box::new(move |board, reporter| flash(board, &image, None, &how, reporter)))
        }
        Task::Model { contents, image, by, how } => {
            (by, Box::new(move |board, reporter| flash(board, &image, Some(&contents), &how, reporter)))
        }
        Task::Monitor { image, by, reset } => {
            (by, Box::new(move |board, reporter| show(board, &image, reset, reporter)))
        }
        Task::Reset { by } => (by, Box::new(|board, _| board::reset(&mut board.attach()?))),
        Task::Erase { by, .. } => (by, Box::new(erase)),
        Task::Probes => return ExitCode::SUCCESS,
    };
    match Found::find(&by).and_then(|board| work(&board, &mut reporter)) {
        Ok(()) => {
            reporter.report(Event::Finished);
            ExitCode::SUCCESS
        }
        Err(error) => {
            reporter.report(Event::Failed { text: error.to_string(), code: error.exit_code() });
            ExitCode::from(error.exit_code())
        }
    }
}

/// Work with a board.
type Work = Box<dyn FnOnce(&Found, &mut Reporter) -> Result<(), Error>>;

/// A board, its chip, and the choice of its probe.
struct Found {
    board: Board,
    by: ByProbe,
    chip: Target,
    probe: Option<String>,
}

impl Found {
    fn find(by: &By) -> Result<Self, Error> {
        let root = board::root();
        let (board, by_probe) = board::find(&root, &by.board)?;
        let chip = board::chip(&root, &board, &by_probe, by.algorithm.as_deref())?;
        Ok(Self { board, by: by_probe, chip, probe: by.probe.clone() })
    }

    fn attach(&self) -> Result<Session, Error> {
        let probe = probes::choose(&Lister::new(), self.probe.as_deref()).map_err(|error| error.beside(&self.board))?;
        board::attach(probes::open(&probe)?, self.chip.clone())
    }

    fn compare(&self, session: &mut Session) -> Result<(), Error> {
        board::compare(session, &self.board, &self.by)
    }
}

/// Programs an image, or only the contents of its model slot, and starts the firmware.
fn flash(board: &Found, file: &Path, contents: Option<&Path>, how: &How, reporter: &mut Reporter) -> Result<(), Error> {
    let image = Image::read(file)?;
    chip::check(&board.chip, &board.board, &image)?;
    let contents = contents.map(Contents::read).transpose()?;
    if let Some(contents) = &contents {
        image.slot_for(contents.len())?;
    }
    if !how.no_monitor && (image.rtt.is_none() || image.texts.is_none()) {
        return Err(Error::NoLogInImage);
    }
    let ends = stopped_by_user();
    reporter.report(Event::Stage(Stage::Attach));
    let mut session = board.attach()?;
    board.compare(&mut session)?;
    board::halt(&mut session)?;
    reporter.report(Event::Ended(Stage::Attach));
    match &contents {
        None => board::program(&mut session, &image, reporter)?,
        Some(contents) => slot::program(&mut session, &image, contents, reporter)?,
    }
    reporter.report(Event::Stage(Stage::Start));
    if how.no_monitor {
        board::reset(&mut session)?;
        reporter.report(Event::Finished);
        return Ok(());
    }
    monitor::start(&mut session, &image)?;
    reporter.report(Event::Ended(Stage::Start));
    log(&mut session, &image, &ends, reporter)
}

fn show(board: &Found, file: &Path, reset: bool, reporter: &mut Reporter) -> Result<(), Error> {
    let image = Image::read(file)?;
    let ends = stopped_by_user();
    reporter.report(Event::Stage(Stage::Attach));
    let mut session = board.attach()?;
    if reset {
        monitor::start(&mut session, &image)?;
    }
    log(&mut session, &image, &ends, reporter)
}

/// Shows the log. How it ended is reported before the session ends.
fn log(session: &mut Session, image: &Image, ends: &Arc<AtomicBool>, reporter: &mut Reporter) -> Result<(), Error> {
    monitor::monitor(session, image, ends, reporter)?;
    reporter.report(Event::Finished);
    Ok(())
}

fn erase(board: &Found, reporter: &mut Reporter) -> Result<(), Error> {
    reporter.report(Event::Stage(Stage::Attach));
    let mut session = board.attach()?;
    board.compare(&mut session)?;
    board::erase(&mut session, reporter)?;
    reporter.report(Event::Finished);
    Ok(())
}

/// An image once other contents are in its model slot.
fn with_contents(image: &Path, contents: &Path) -> Result<Image, Error> {
    Image::read(image)?.with_slot(Contents::read(contents)?.len())
}

/// Proves that an image fits, and draws where it goes.
fn prove(image: &Image, by: &By) -> Result<(), Error> {
    let (board, chip) = board::described(&board::root(), &by.board, by.algorithm.as_deref())?;
    chip::check(&chip, &board, image)?;
    println!("{}", chip::layout(&chip, &board, image).trim_end());
    Ok(())
}

/// Asks whether to erase, unless that is answered.
fn confirm(by: &By, yes: bool) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Error::NotConfirmed);
    }
    eprint!("Erase all of the flash of {}, and what is on it? [y/N] ", by.board);
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_err() || !matches!(answer.trim(), "y" | "Y" | "yes") {
        return Err(Error::NotConfirmed);
    }
    Ok(())
}

fn list() {
    let found = probes::all(&Lister::new());
    if found.is_empty() {
        println!("no debug probe was found");
    }
    for probe in found {
        let open = match probe.accessibility {
            Accessibility::Accessible => "",
            Accessibility::PermissionDenied => "  (this user may not open it; `flash` shows what to do)",
        };
        println!("{}  {}{open}", probes::selector(&probe.info), probe.info.identifier);
    }
}

/// Is set when the user stops the program: then the log ends in order.
fn stopped_by_user() -> Arc<AtomicBool> {
    let ends = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&ends);
    // Without a handler, the program ends at once.
    let _ = ctrlc::set_handler(move || set.store(true, Ordering::Relaxed));
    ends
}
