//! Linux boards: `tealight` and a model go to a folder of the board over ssh, or to a folder of this machine, and are
//! run there once.
//!
//! Every file is written under a temporary name, and only when all have the SHA-256 that they have here are they given
//! their names. If anything fails before that, the files that were there are as they were. ssh alone is used, and on
//! the board a shell with `sha256sum`, which even small systems have; an ssh server without file transfer will do.

use super::FlashArgs;
use crate::board::LinuxBoard;
use crate::context::Context;
use crate::error::Usage;
use crate::files::{self, sha256};
use crate::limit;
use crate::linux::{self, EMULATED, OnLinux as _};
use crate::progress::Progress;
use crate::run;
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::io::{IsTerminal as _, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The folder in the user's home on the board, if none is named.
const FOLDER: &str = "tealight";
/// The program's name on the board.
const PROGRAM: &str = "tealight";
/// The inputs' name on the board.
const INPUT: &str = "input.bin";

/// Puts `tealight` and a model onto a Linux board and runs it.
///
/// # Errors
/// The board cannot be reached, is of another architecture, has no such folder or no room, or what was copied is
/// damaged.
pub(super) fn flash(context: &Context, board: &LinuxBoard, args: &FlashArgs) -> Result<()> {
    if args.way.is_some() || args.by.probe.is_some() || args.image.is_some() || args.dry_run || args.no_reset {
        let text =
            format!("{} runs Linux: --by, --probe, --image, --dry-run and --no-reset are for other boards", board.id);
        return Err(Usage(text).into());
    }
    let Some(to) = &args.to else {
        let text = "name the board by --to USER@HOST or USER@HOST:FOLDER; --to FOLDER is a folder of this machine";
        return Err(Usage(text.into()).into());
    };
    if let Some(name) = args.service.as_deref().filter(|name| !is_unit_name(name)) {
        return Err(Usage(format!("`{name}` is no name of a service: letters, digits, `-`, `_` and `.` are")).into());
    }
    print!("{}", deliver(context, board, to, args)?);
    Ok(())
}

/// Builds, copies and runs what was asked for, and returns what the program printed.
pub(super) fn deliver(context: &Context, board: &LinuxBoard, to: &str, args: &FlashArgs) -> Result<String> {
    let (model, inputs) = run::model_and_inputs(context, args.model.as_deref(), &args.input)?;
    // The board is looked at before anything is built.
    let mut place = Place::open(to, args.ssh_config.as_deref())?;
    place.look(machines(&board.target), &board.id)?;
    board.ensure(context)?;
    let program = linux::build_program(context, board)?;
    let files = Files::new(&files::read(&program)?, &model.name, &model.bytes, &inputs);
    place.copy(&files)?;
    println!("{}: {}", place.shown(), files.names().join(", "));
    if let Some(name) = &args.service {
        println!("{}", place.serve(name, &unit(&model.name, &place.absolute(), &files))?);
    }
    if args.no_monitor {
        return Ok(String::new());
    }
    match &place {
        Place::Remote(remote) => remote.run(&files),
        Place::Local(folder) => run_here(board, folder, &files),
    }
}

/// What `uname -m` prints on boards that run programs of a target.
fn machines(target: &str) -> &'static [&'static str] {
    match target.split('-').next().unwrap_or_default() {
        "aarch64" => &["aarch64"],
        "armv7" => &["armv7l", "armv8l"],
        "riscv64gc" => &["riscv64"],
        "x86_64" => &["x86_64"],
        _ => &[],
    }
}

/// What is copied: names, contents, and whether it is a program.
struct Files(Vec<(String, Vec<u8>, bool)>);

impl Files {
    /// The program, a model and its inputs.
    fn new(program: &[u8], model: &str, bytes: &[u8], inputs: &[u8]) -> Self {
        let mut files =
            vec![(PROGRAM.into(), program.to_vec(), true), (format!("{model}.safetensors"), bytes.to_vec(), false)];
        if !inputs.is_empty() {
            files.push((INPUT.into(), inputs.to_vec(), false));
        }
        Self(files)
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, ..)| name.clone()).collect()
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes, _)| bytes.len() as u64).sum()
    }

    /// The words after the program that run the model.
    fn words(&self) -> Vec<&str> {
        let names = self.0.iter().map(|(name, ..)| name.as_str());
        let model = names.clone().find(|name| name.ends_with(".safetensors")).unwrap_or_default();
        let input: &[&str] = if names.clone().any(|name| name == INPUT) { &["--input", INPUT] } else { &[] };
        [&["run", model], input].concat()
    }
}

/// Where the files go.
enum Place {
    /// A board.
    Remote(Remote),
    /// A folder of this machine.
    Local(PathBuf),
}

impl Place {
    /// `USER@HOST`, `HOST:FOLDER`, or else a folder of this machine, as `scp` tells them apart.
    ///
    /// # Errors
    /// The folder is missing, or there is no room for ssh's own files.
    fn open(to: &str, config: Option<&Path>) -> Result<Self> {
        let before_slash = to.split('/').next().unwrap_or_default();
        if !before_slash.contains(['@', ':']) {
            if !Path::new(to).is_dir() {
                bail!("there is no folder {to}; a board is named as USER@HOST or USER@HOST:FOLDER");
            }
            return Ok(Self::Local(std::path::absolute(to)?));
        }
        let (host, folder) = to.split_once(':').map_or((to, None), |(host, folder)| (host, Some(folder)));
        let folder = folder.filter(|folder| !folder.is_empty());
        if host.is_empty() || host.starts_with('-') {
            return Err(Usage(format!("`{to}` names no board: it is USER@HOST or USER@HOST:FOLDER")).into());
        }
        Ok(Self::Remote(Remote::new(host, folder, config)?))
    }

    /// Finds out whether the files can go there at all.
    fn look(&mut self, machines: &[&str], board: &str) -> Result<()> {
        match self {
            Self::Remote(remote) => remote.look(machines, board),
            Self::Local(_) => Ok(()),
        }
    }

    /// Copies the files. If it fails, those that were there are as they were.
    fn copy(&self, files: &Files) -> Result<()> {
        let progress = Progress::start(format!("copying {} bytes to {}", files.bytes(), self.shown()));
        match self {
            Self::Remote(remote) => remote.copy(files)?,
            Self::Local(folder) => copy_here(folder, files)?,
        }
        progress.done("checksums equal");
        Ok(())
    }

    /// The folder as the machine that has it names it.
    fn absolute(&self) -> String {
        match self {
            Self::Remote(remote) => remote.absolute.clone(),
            Self::Local(folder) => folder.display().to_string(),
        }
    }

    /// For people.
    fn shown(&self) -> String {
        match self {
            Self::Remote(remote) => format!("{}:{}", remote.host, remote.absolute),
            Self::Local(folder) => folder.display().to_string(),
        }
    }

    /// Writes a systemd unit, and enables it on a board. Returns what was done.
    fn serve(&self, name: &str, unit: &str) -> Result<String> {
        match self {
            Self::Remote(remote) => remote.serve(name, unit),
            Self::Local(folder) => {
                let file = folder.join(format!("{name}.service"));
                files::write_whole(&file, unit.as_bytes())?;
                let file = file.display();
                Ok(format!("{file}: `systemctl enable {file}` on the board makes it run when the board starts"))
            }
        }
    }
}

/// A board that ssh reaches. One connection serves all commands, so that a password is asked for once.
struct Remote {
    host: String,
    /// As it was named; otherwise one in the user's home, which is created.
    named: Option<String>,
    /// As the board names it, once it was looked at.
    absolute: String,
    config: Option<PathBuf>,
    /// The folder of the connection's socket.
    socket: TempDir,
}

impl Remote {
    fn new(host: &str, folder: Option<&str>, config: Option<&Path>) -> Result<Self> {
        let socket = tempfile::Builder::new().prefix("tl-").tempdir().context("cannot create a temporary folder")?;
        Ok(Self {
            host: host.into(),
            named: folder.map(String::from),
            absolute: folder.unwrap_or(FOLDER).into(),
            config: config.map(Path::to_path_buf),
            socket,
        })
    }

    /// ssh with our options.
    fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(self.config.iter().flat_map(|file| [OsStr::new("-F"), file.as_os_str()]));
        ssh.args(["-T", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]);
        ssh.args(["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o"]);
        ssh.arg(format!("ControlPath={}", self.socket.path().join("s").display()));
        // Without a terminal, ssh fails instead of asking for a password.
        if !std::io::stdin().is_terminal() {
            ssh.args(["-o", "BatchMode=yes"]);
        }
        ssh
    }

    /// Runs a script of the board's shell with this input.
    fn shell(&self, script: &str, input: &[u8]) -> Result<Output> {
        // A file: the connection outlives the command, and may keep a pipe open.
        let mut errors = tempfile::tempfile().context("cannot create a temporary file")?;
        let mut child = self
            .ssh()
            .arg("--")
            .arg(&self.host)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone()?)
            .spawn()
            .context("cannot start ssh; is it installed?")?;
        let pipe = child.stdin.take();
        let mut output = std::thread::scope(|scope| {
            // If the board stops reading, its exit code and its error output tell why.
            scope.spawn(move || pipe.map(|mut pipe| pipe.write_all(input)));
            child.wait_with_output()
        })?;
        errors.rewind()?;
        errors.read_to_end(&mut output.stderr)?;
        if output.status.code() == Some(255) {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim_end();
            if said.contains("Permission denied") || said.contains("Host key verification failed") {
                bail!("{} does not let this user in: {said}\nDoes `ssh {}` work?", self.host, self.host);
            }
            bail!("{} cannot be reached: {said}\nIs it on, and does `ssh {}` work?", self.host, self.host);
        }
        Ok(output)
    }

    /// Runs a script that must succeed, and returns what it printed.
    fn succeed(&self, what: &str, script: &str, input: &[u8]) -> Result<String> {
        let output = self.shell(script, input)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{what} on {} failed ({}): {}", self.host, output.status, said.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The architecture, and a folder that can be written to.
    fn look(&mut self, machines: &[&str], board: &str) -> Result<()> {
        let progress = Progress::start(format!("looking at {}", self.host));
        let folder = quoted(&self.absolute);
        let create = if self.named.is_some() { String::new() } else { format!("mkdir -p {folder}; ") };
        let script = format!(
            "m=$(uname -m); echo \"$m\"; case $m in {}) ;; *) exit 5 ;; esac; \
             {create}cd {folder} || exit 3; test -w . || exit 4; pwd -P",
            machines.join("|")
        );
        let output = self.shell(&script, &[])?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = printed.lines();
        let machine = lines.next().unwrap_or_default();
        if !machines.contains(&machine) {
            bail!(
                "{} is not a {board}: its `uname -m` is `{machine}`, and that of {board} is {}\n\
                 Nothing was copied. `cargo xtask boards` lists the boards.",
                self.host,
                machines.join(" or ")
            );
        }
        match (output.status.code(), lines.next()) {
            (Some(0), Some(absolute)) => self.absolute = absolute.into(),
            (Some(3), _) => bail!("there is no folder {} on {}; nothing was copied", self.absolute, self.host),
            (Some(4), _) => {
                bail!("the user has no permission to write to {} on {}; nothing was copied", self.absolute, self.host)
            }
            _ => bail!(
                "{} on {} cannot be looked at: {}",
                self.absolute,
                self.host,
                String::from_utf8_lossy(&output.stderr).trim_end()
            ),
        }
        progress.done(machine);
        Ok(())
    }

    /// Copies under temporary names, compares, and renames.
    fn copy(&self, files: &Files) -> Result<()> {
        let folder = quoted(&self.absolute);
        let new = |name: &str| quoted(&format!(".{name}.new"));
        let all: Vec<_> = files.0.iter().map(|(name, ..)| new(name)).collect();
        let all = all.join(" ");
        let copied = || {
            for (name, bytes, _) in &files.0 {
                let script = format!("cd {folder} && cat > {}", new(name));
                self.succeed(&format!("writing {name}"), &script, bytes)?;
            }
            let sums = self.succeed("comparing", &format!("cd {folder} && sha256sum {all}"), &[])?;
            let mut sums = sums.lines();
            for (name, bytes, _) in &files.0 {
                let sum = sums.next().unwrap_or_default().split_whitespace().next().unwrap_or_default();
                if sum != sha256(bytes) {
                    bail!("{name} arrived on {} with another checksum: copy it again", self.host);
                }
            }
            let rename = files.0.iter().map(|(name, _, program)| {
                let mode = if *program { "755" } else { "644" };
                let (new, name) = (new(name), quoted(name));
                format!(" && chmod {mode} {new} && mv -f {new} {name}")
            });
            self.succeed("renaming", &format!("cd {folder}{} && sync", rename.collect::<String>()), &[])
        };
        copied().map(drop).map_err(|error| {
            // If the board is out of reach, the next copy writes over them.
            let _ = self.shell(&format!("cd {folder} && rm -f {all}"), &[]);
            error.context("what was on the board before is as it was")
        })
    }

    /// Writes the unit where systemd looks for the user's, or for root the system's, and enables it.
    fn serve(&self, name: &str, unit: &str) -> Result<String> {
        let script = format!(
            "set -e\n\
             if [ \"$(id -u)\" = 0 ]; then d=/etc/systemd/system; c=systemctl; \
             else d=\"$HOME/.config/systemd/user\"; c='systemctl --user'; fi\n\
             mkdir -p \"$d\"\ncat > \"$d/.{name}.new\"\nmv -f \"$d/.{name}.new\" \"$d/{name}.service\"\n\
             $c daemon-reload\n$c enable {name}.service\necho \"$d/{name}.service\""
        );
        let printed = self.succeed("enabling the service", &script, unit.as_bytes())?;
        let file = printed.lines().last().unwrap_or_default();
        let linger =
            if file.contains("/.config/") { ", once `loginctl enable-linger` allows that to this user" } else { "" };
        Ok(format!("{}:{file}: enabled; it runs when the board starts{linger}", self.host))
    }

    /// Runs the model.
    fn run(&self, files: &Files) -> Result<String> {
        let words: Vec<_> = files.words().into_iter().map(quoted).collect();
        let script = format!("cd {} && ./{PROGRAM} {}", quoted(&self.absolute), words.join(" "));
        self.succeed("running the model", &script, &[])
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.socket.path().join("s").exists() {
            let end =
                self.ssh().args(["-O", "exit", "--", &self.host]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            // Otherwise it ends by itself after a minute.
            let _ = end;
        }
    }
}

/// Copies to a folder of this machine.
fn copy_here(folder: &Path, files: &Files) -> Result<()> {
    let new = |name: &str| folder.join(format!(".{name}.new"));
    let copied = || {
        for (name, bytes, program) in &files.0 {
            let file = new(name);
            files::write_whole(&file, bytes)?;
            if files::read(&file)? != *bytes {
                bail!("{} is not what was written: is the disk damaged?", file.display());
            }
            #[cfg(unix)]
            if *program {
                use std::os::unix::fs::PermissionsExt as _;
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
            }
            #[cfg(not(unix))]
            let _ = program;
        }
        for (name, ..) in &files.0 {
            let to = folder.join(name);
            std::fs::rename(new(name), &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(())
    };
    copied().inspect_err(|_| {
        for (name, ..) in &files.0 {
            // What is not there needs no removal.
            let _ = std::fs::remove_file(new(name));
        }
    })
}

/// Runs the model from a folder of this machine, emulated where it is for another processor.
fn run_here(board: &LinuxBoard, folder: &Path, files: &Files) -> Result<String> {
    let program = folder.join(PROGRAM);
    let native = machines(&board.target).contains(&std::env::consts::ARCH) && cfg!(target_os = "linux");
    let mut command = match board.emulator.cpus.first().filter(|_| !native) {
        Some(cpu) => board.command(&program, cpu),
        None => Command::new(&program),
    };
    let printed = limit::succeed(command.args(files.words()).current_dir(folder), EMULATED)?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

/// A systemd unit that runs the model once when the board starts.
fn unit(model: &str, folder: &str, files: &Files) -> String {
    // systemd expands `%`, and `$` in commands.
    let escaped = |word: &str| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"));
    let command = |word: &str| escaped(word).replace('$', "$$");
    let words: Vec<_> = files.words().into_iter().map(command).collect();
    format!(
        "[Unit]\nDescription=Tealight runs {model}\n\n\
         [Service]\nType=oneshot\nWorkingDirectory={}\nExecStart={} {}\n\n\
         [Install]\nWantedBy=default.target\n",
        folder.replace('%', "%%"),
        command(&format!("{folder}/{PROGRAM}")),
        words.join(" ")
    )
}

/// Whether systemd, and every shell, takes a name as it is.
fn is_unit_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(plain)
}

/// A word for the board's shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files::new(b"program", "digits", b"model", b"input")
    }

    #[test]
    fn a_place_is_a_board_or_a_folder_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Place::open(folder.path().to_str().unwrap(), None).unwrap(), Place::Local(_)));
        assert!(Place::open("/no such folder", None).err().unwrap().to_string().contains("there is no folder"));
        for (text, host, named) in
            [("pi@board", "pi@board", None), ("pi@board:", "pi@board", None), ("board:/a:b", "board", Some("/a:b"))]
        {
            let Ok(Place::Remote(remote)) = Place::open(text, None) else { panic!("{text}") };
            assert_eq!((remote.host.as_str(), remote.named.as_deref()), (host, named));
        }
        assert!(Place::open("-oProxyCommand=x:", None).err().unwrap().is::<Usage>());
    }

    #[test]
    fn files_in_a_folder_are_whole_and_the_program_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::open(folder.path().to_str().unwrap(), None).unwrap();
        place.copy(&files()).unwrap();
        let names: Vec<_> = ["tealight", "digits.safetensors", "input.bin"].map(|name| folder.path().join(name)).into();
        assert_eq!(
            names.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>(),
            [&b"program"[..], b"model", b"input"]
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        // A file that cannot be written leaves the others, and no temporary ones.
        std::fs::create_dir(folder.path().join(".input.bin.new")).unwrap();
        assert!(place.copy(&Files::new(b"other", "digits", b"other", b"other")).is_err());
        assert_eq!(std::fs::read(&names[0]).unwrap(), b"program");
        assert!(!folder.path().join(".tealight.new").exists());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(names[0].metadata().unwrap().permissions().mode() & 0o111, 0o111);
        }
    }

    #[test]
    fn a_unit_runs_the_model_whatever_its_folder_is_called() {
        let text = unit("digits", "/home/a b/100%", &files());
        assert!(text.contains("WorkingDirectory=/home/a b/100%%\n"), "{text}");
        let command = r#"ExecStart="/home/a b/100%%/tealight" "run" "digits.safetensors" "--input" "input.bin""#;
        assert!(text.contains(command), "{text}");
        for (name, fits) in [("a-b.c_1", true), ("", false), ("a b", false), ("-a", false), ("a;b", false)] {
            assert_eq!(is_unit_name(name), fits, "{name}");
        }
    }

    #[test]
    fn a_word_stays_one_in_a_shell() {
        let shell =
            |word: &str| Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output().unwrap();
        for word in ["a b", "it's", "$HOME `x` \\"] {
            assert_eq!(String::from_utf8(shell(word).stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_linux_board_is_not_asked_for_what_a_chip_has() {
        let context = Context::new().unwrap();
        let board = LinuxBoard::find(&context.root, "linux-aarch64").unwrap().unwrap();
        let refusal = |args: FlashArgs| flash(&context, &board, &args).unwrap_err();
        let to = Some("pi@board".to_string());
        for args in [
            FlashArgs::default(),
            FlashArgs { to: to.clone(), dry_run: true, ..FlashArgs::default() },
            FlashArgs { to, service: Some("a b".into()), ..FlashArgs::default() },
        ] {
            let error = refusal(args);
            assert!(error.is::<Usage>(), "{error}");
        }
    }
}
