#![doc = include_str!("../README.md")]
// Commands use what the rest leaves.
#![cfg_attr(not(feature = "commands"), allow(dead_code))]

#[cfg(feature = "commands")]
mod after;
#[cfg(feature = "commands")]
mod boards;
#[cfg(feature = "commands")]
mod calibration;
#[cfg(feature = "commands")]
mod compile;
#[cfg(feature = "commands")]
mod engine;
mod error;
mod escape;
#[cfg(feature = "commands")]
mod evaluation;
#[cfg(feature = "commands")]
mod fidelity;
#[cfg(feature = "generate")]
mod generate;
#[cfg(feature = "commands")]
mod given;
#[cfg(feature = "commands")]
mod inputs;
#[cfg(feature = "commands")]
mod inspect;
#[cfg(feature = "commands")]
mod layers;
#[cfg(feature = "commands")]
mod limits;
#[cfg(feature = "commands")]
mod model_file;
mod npy;
#[cfg(feature = "commands")]
mod output_file;
#[cfg(feature = "commands")]
mod picture;
#[cfg(feature = "commands")]
mod plan;
#[cfg(feature = "commands")]
pub mod prediction;
#[cfg(feature = "commands")]
mod progress;
#[cfg(feature = "commands")]
mod report;
#[cfg(feature = "commands")]
mod run;
#[cfg(feature = "commands")]
mod scores;
#[cfg(feature = "commands")]
mod screen;
mod sensor;
#[cfg(feature = "commands")]
mod size;
#[cfg(feature = "commands")]
mod slices;
mod table;
mod tensor_file;
#[cfg(feature = "commands")]
mod weights;

pub use error::{Error, Result};
pub use escape::{visible, visible_lines};
#[cfg(feature = "commands")]
pub use output_file::clean_up_when_interrupted;
#[cfg(feature = "commands")]
pub use screen::Screen;
pub use sensor::{FrontEnd, files as input_files, is_raw, read_inputs, read_samples};
pub use table::{Table, grouped};

#[cfg(feature = "commands")]
/// Compile a trained network into one file, run it, look into it
#[derive(Debug, clap::Parser)]
#[command(name = "tealight", version, arg_required_else_help = true)]
#[command(after_help = "Exit code: 0 done, 1 it failed (standard error says why), 2 wrong use of the command.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[cfg(feature = "commands")]
#[derive(Debug, clap::Subcommand)]
enum Command {
    Compile(Box<compile::Args>),
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

#[cfg(feature = "commands")]
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
