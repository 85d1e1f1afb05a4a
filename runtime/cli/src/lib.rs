#![doc = include_str!("../README.md")]

mod after;
mod boards;
mod calibration;
mod compile;
mod engine;
mod error;
mod escape;
mod evaluation;
mod fidelity;
#[cfg(feature = "generate")]
mod generate;
mod inputs;
mod inspect;
mod layers;
mod limits;
mod model_file;
mod npy;
mod output_file;
mod picture;
mod plan;
pub mod prediction;
mod progress;
mod report;
mod run;
mod scores;
mod screen;
mod sensor;
mod size;
mod slices;
mod table;
mod tensor_file;
mod weights;

pub use error::{Error, Result};
pub use escape::{visible, visible_lines};
pub use output_file::clean_up_when_interrupted;
pub use screen::Screen;
pub use sensor::{FrontEnd, files as input_files, is_raw, read_inputs, read_samples};
pub use table::{Table, grouped};

/// Compile a trained network into one file, run it, look into it
#[derive(Debug, clap::Parser)]
#[command(name = "tealight", version, arg_required_else_help = true)]
#[command(after_help = "Exit code: 0 done, 1 it failed (standard error says why), 2 wrong use of the command.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Compile(compile::Args),
    Run(run::Args),
    Inspect(inspect::Args),
    Plan(plan::Args),
    Report(report::Args),
    #[cfg(feature = "generate")]
    Generate(generate::Args),
    /// What `generate --chat` starts in a process of its own
    #[cfg(feature = "generate")]
    #[command(hide = true, name = generate::RENDER)]
    RenderChat,
}

impl Cli {
    /// Runs the command; its report goes to `screen`.
    ///
    /// # Errors
    /// What could not be done, why, and what to do about it.
    pub fn run(&self, screen: &mut Screen) -> Result<()> {
        match &self.command {
            Command::Compile(args) => compile::run(args, screen),
            Command::Run(args) => run::run(args, screen),
            Command::Inspect(args) => inspect::run(args, screen),
            Command::Plan(args) => plan::run(args, screen),
            Command::Report(args) => report::run(args, screen),
            #[cfg(feature = "generate")]
            Command::Generate(args) => generate::run(args, screen),
            #[cfg(feature = "generate")]
            Command::RenderChat => return generate::render_chat(),
        }?;
        screen.finish()
    }
}
