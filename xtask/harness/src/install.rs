//! Installs what tasks need where that is permitted, and otherwise reports the command to type.
//!
//! Processes that ask at the same time install one after the other ([`lock`]).

use crate::context::{Context, run_quietly, try_read};
use crate::files;
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use xshell::{Cmd, Shell, cmd};

/// Waits until no other process of this workspace installs anything; the others wait until the lock is dropped. What
/// was missing before may be there after.
pub fn lock(context: &Context) -> Result<File> {
    files::lock(context, "install")
}

/// Whether the Rust target's core library is installed.
pub fn has_target(context: &Context, target: &str) -> bool {
    let shell = &context.shell;
    try_read(cmd!(shell, "rustc --print target-libdir --target {target}"))
        .is_some_and(|folder| std::path::Path::new(folder.trim()).is_dir())
}

/// Asks rustup for a Rust target unless it is installed.
pub fn ensure_target(context: &Context, target: &str) -> Result<()> {
    if has_target(context, target) {
        return Ok(());
    }
    let shell = &context.shell;
    if try_read(cmd!(shell, "rustup --version")).is_none() {
        bail!(
            "the Rust target {target} is not installed, and there is no rustup to ask for it;\n\
             install rustup (https://rustup.rs), or your system's package of that target"
        );
    }
    let _lock = lock(context)?;
    let progress = Progress::start(format!("installing the Rust target {target}"));
    run_quietly(cmd!(shell, "rustup target add {target}"))
        .with_context(|| format!("the Rust target {target} is missing and did not install"))?;
    progress.done("");
    Ok(())
}

/// Asks rustup for a component of the toolchain unless its command (`cargo fmt`, `cargo clippy`) answers.
pub fn ensure_component(context: &Context, command: &str, component: &str) -> Result<()> {
    let shell = &context.shell;
    let cargo = context.cargo();
    let install = format!("rustup component add {component}");
    ensure(context, component, cmd!(shell, "{cargo} {command} --version"), &[&install])
}

/// Asks rustup for the nightly toolchain unless it is there.
pub fn ensure_nightly(context: &Context) -> Result<()> {
    let shell = &context.shell;
    let install = "rustup toolchain install nightly --no-self-update --profile minimal";
    ensure(context, "the nightly toolchain", cmd!(shell, "rustup run nightly rustc --version"), &[install])
}

/// Asks rustup for Miri, which only the nightly toolchain has.
pub fn ensure_miri(context: &Context) -> Result<()> {
    let shell = &context.shell;
    let add = "rustup component add --toolchain nightly miri rust-src";
    let install = "rustup toolchain install nightly --no-self-update --profile minimal --component miri,rust-src";
    ensure(context, "Miri", cmd!(shell, "rustup run nightly cargo miri --version"), &[add, install])
}

/// Unless `probe` answers, runs the first of `installs` that works; the error names the last, for a person to type.
fn ensure(context: &Context, what: &str, probe: Cmd<'_>, installs: &[&str]) -> Result<()> {
    if try_read(probe).is_some() {
        return Ok(());
    }
    let _lock = lock(context)?;
    let shell = &context.shell;
    let progress = Progress::start(format!("installing {what}"));
    let mut outcome = Ok(());
    for install in installs {
        let words = install.split(' ').skip(1);
        outcome = run_quietly(cmd!(shell, "rustup {words...}"));
        if outcome.is_ok() {
            break;
        }
    }
    outcome.with_context(|| format!("{what} is missing; type:\n    {}", installs.last().unwrap_or(&"")))?;
    progress.done("");
    Ok(())
}

/// Installs the speech synthesizers, unless they are there.
pub fn ensure_speech(context: &Context) -> Result<()> {
    // A list of voices, because flite answers `--version` as if that were wrong.
    for (program, question) in [("espeak-ng", "--voices"), ("flite", "-lv")] {
        let shell = &context.shell;
        if try_read(cmd!(shell, "{program} {question}")).is_none() {
            install(context, &format!("{program} is not installed"), Package::Speech(program))?;
        }
    }
    Ok(())
}

/// Installs Chromium, unless a browser of this kind is there under one of its names.
///
/// # Errors
/// It cannot be installed.
pub fn ensure_browser(context: &Context) -> Result<()> {
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let shell = &context.shell;
    if std::env::var_os("TEALIGHT_CHROMIUM").is_some()
        || NAMES.iter().any(|name| try_read(cmd!(shell, "{name} --version")).is_some())
    {
        return Ok(());
    }
    install(context, "no Chromium is installed", Package::Browser)
}

/// Something that a system's package manager has.
#[derive(Clone, Copy, Debug)]
pub enum Package<'a> {
    /// The QEMU program of this name.
    Qemu(&'a str),
    /// Python's pip.
    Pip,
    /// Node's npm.
    Npm,
    /// A speech synthesizer.
    Speech(&'a str),
    /// The browser Chromium.
    Browser,
    /// QEMU's user mode emulators.
    QemuUser,
    /// The client of ssh.
    SshClient,
    /// The C compiler and library that link for this GNU triple.
    CrossToolchain(&'a str),
    /// The program of this name: a C compiler, CMake or Valgrind.
    Program(&'a str),
}

/// Installs a package where that is permitted; the error names `lacking` and the command to type.
pub fn install(context: &Context, lacking: &str, package: Package<'_>) -> Result<()> {
    let shell = &context.shell;
    let Some(manager) = Manager::find(shell) else {
        bail!("{lacking}, and this system has no package manager that xtask supports; install it by hand");
    };
    let commands = manager.commands(&manager.package(package));
    let typed = commands.join(" && ");
    let Some(prefix) = manager.privilege(shell) else {
        bail!("{lacking}, and installing it needs a password; type:\n    {typed}");
    };
    let _lock = lock(context)?;
    let progress = Progress::start(format!("installing {} with {}", manager.package(package), manager.program()));
    for command in commands {
        let words = command.trim_start_matches("sudo ").split(' ');
        let mut words = prefix.iter().copied().chain(words);
        let program = words.next().unwrap_or_default();
        run_quietly(cmd!(shell, "{program} {words...}").env("DEBIAN_FRONTEND", "noninteractive"))
            .with_context(|| format!("{lacking}, and installing it failed; type:\n    {typed}"))?;
    }
    progress.done("");
    Ok(())
}

/// What Debian calls a package.
pub fn package_of_apt(package: Package<'_>) -> String {
    Manager::Apt.package(package)
}

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Pacman,
    Brew,
}

impl Manager {
    fn find(shell: &Shell) -> Option<Self> {
        [Self::Apt, Self::Dnf, Self::Pacman, Self::Brew].into_iter().find(|manager| {
            let program = manager.program();
            try_read(cmd!(shell, "{program} --version")).is_some()
        })
    }

    fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
            Self::Brew => "brew",
        }
    }

    /// The package's name in this system.
    fn package(self, package: Package<'_>) -> String {
        match (self, package) {
            (Self::Brew, Package::Qemu(_)) => "qemu".into(),
            (Self::Dnf, Package::Qemu(binary)) => format!("{binary}-core"),
            (Self::Apt, Package::Qemu(binary)) if binary.starts_with("qemu-system-riscv") => "qemu-system-misc".into(),
            (Self::Apt, Package::Qemu("qemu-system-aarch64")) => "qemu-system-arm".into(),
            (_, Package::Qemu(binary)) => binary.into(),
            (Self::Apt | Self::Dnf, Package::Pip) => "python3-pip".into(),
            (Self::Pacman, Package::Pip) => "python-pip".into(),
            (Self::Brew, Package::Pip) => "python".into(),
            (Self::Brew, Package::Npm) => "node".into(),
            (_, Package::Npm) => "npm".into(),
            (_, Package::Speech(program)) => program.into(),
            (_, Package::Browser) => "chromium".into(),
            (_, Package::QemuUser) => "qemu-user".into(),
            (Self::Apt, Package::SshClient) => "openssh-client".into(),
            (Self::Dnf, Package::SshClient) => "openssh-clients".into(),
            (Self::Pacman | Self::Brew, Package::SshClient) => "openssh".into(),
            (Self::Apt, Package::CrossToolchain(triple)) => {
                // Debian names the library by its own name of the architecture.
                let architecture = match triple {
                    "arm-linux-gnueabihf" => "armhf",
                    "aarch64-linux-gnu" => "arm64",
                    other => other.split('-').next().unwrap_or(other),
                };
                format!("gcc-{triple} libc6-dev-{architecture}-cross")
            }
            (_, Package::CrossToolchain(triple)) => format!("{triple}-gcc"),
            (Self::Apt, Package::Program("arm-none-eabi-gcc")) => "gcc-arm-none-eabi".into(),
            (Self::Apt, Package::Program("riscv64-unknown-elf-gcc")) => "gcc-riscv64-unknown-elf".into(),
            (Self::Apt, Package::Program("gcc")) => "gcc libc6-dev".into(),
            (Self::Dnf, Package::Program("arm-none-eabi-gcc")) => "arm-none-eabi-gcc-cs".into(),
            (_, Package::Program(program)) => program.into(),
        }
    }

    /// What a person would type to install a package.
    fn commands(self, package: &str) -> Vec<String> {
        match self {
            Self::Apt => {
                vec!["sudo apt-get update".into(), format!("sudo apt-get install -y --no-install-recommends {package}")]
            }
            Self::Dnf => vec![format!("sudo dnf install -y {package}")],
            Self::Pacman => vec![format!("sudo pacman -Sy --noconfirm {package}")],
            Self::Brew => vec![format!("brew install {package}")],
        }
    }

    /// Words to put before a command so that it may install, or `None` if a password would be asked for.
    fn privilege(self, shell: &Shell) -> Option<&'static [&'static str]> {
        let root = try_read(cmd!(shell, "id -u")).is_some_and(|id| id.trim() == "0");
        if self == Self::Brew || root {
            return Some(&[]);
        }
        try_read(cmd!(shell, "sudo -n true")).map(|_| &["sudo", "-n"][..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_typed_command_installs_the_right_package_on_each_system() {
        let typed = |manager: Manager, binary| manager.commands(&manager.package(Package::Qemu(binary))).join(" && ");
        assert_eq!(
            typed(Manager::Apt, "qemu-system-arm"),
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends qemu-system-arm"
        );
        assert!(typed(Manager::Apt, "qemu-system-aarch64").ends_with(" qemu-system-arm"));
        assert!(typed(Manager::Apt, "qemu-system-riscv32").ends_with(" qemu-system-misc"));
        assert_eq!(typed(Manager::Dnf, "qemu-system-arm"), "sudo dnf install -y qemu-system-arm-core");
        assert_eq!(typed(Manager::Brew, "qemu-system-arm"), "brew install qemu");
        let cross = |triple| Manager::Apt.package(Package::CrossToolchain(triple));
        assert_eq!(cross("riscv64-linux-gnu"), "gcc-riscv64-linux-gnu libc6-dev-riscv64-cross");
        assert_eq!(cross("arm-linux-gnueabihf"), "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross");
        let program = |name| Manager::Apt.package(Package::Program(name));
        assert_eq!(program("arm-none-eabi-gcc"), "gcc-arm-none-eabi");
        assert_eq!(program("valgrind"), "valgrind");
    }
}
