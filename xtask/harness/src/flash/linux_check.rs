//! Linux boards over ssh, end to end: an sshd on loopback stands in for a board whose processor QEMU emulates. What is
//! copied must be whole, the answer that of this machine, and each fault must leave what was there before.

use super::{FlashArgs, ProbeArgs, linux};
use crate::board::LinuxBoard;
use crate::context::{Context, run_quietly, try_read};
use crate::files;
use crate::install;
use crate::linux::{OnLinux as _, run_program_here};
use crate::progress::Progress;
use crate::run;
use anyhow::{Context as _, Result, bail, ensure};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xshell::cmd;

/// The board.
const BOARD: &str = "linux-aarch64";

/// Copies to the board, runs there, and injects each fault.
///
/// # Errors
/// Something differs from what must be.
pub fn check(context: &Context) -> Result<()> {
    let board = LinuxBoard::find(&context.root, BOARD)?.with_context(|| format!("there is no {BOARD}"))?;
    board.ensure(context)?;
    let server = Server::start(context, &board)?;
    let expected = expected(context, server.folder.path())?;
    let args = |to: &str| FlashArgs {
        by: ProbeArgs { board: BOARD.into(), ..ProbeArgs::default() },
        to: Some(to.into()),
        ssh_config: Some(server.file("ssh_config")),
        ..FlashArgs::default()
    };
    let deliver = |args: &FlashArgs| linux::deliver(context, &board, args.to.as_deref().unwrap_or_default(), args);

    // A folder of this machine, with a unit.
    let local = tempfile::tempdir()?;
    let service = FlashArgs { service: Some("digits".into()), ..args(&local.path().display().to_string()) };
    let answer = deliver(&service)?;
    ensure!(answer == expected, "from a folder the answer is\n{answer}\nand on this machine\n{expected}");
    ensure!(files::read(&local.path().join("digits.service"))?.starts_with(b"[Unit]"), "there is no unit");

    // The board, in its own folder and as a service.
    let service = FlashArgs { service: Some("digits".into()), ..args("board:") };
    let answer = deliver(&service)?;
    ensure!(answer == expected, "over ssh the answer is\n{answer}\nand on this machine\n{expected}");
    let folder = server.file("home/tealight");
    let before = contents(&folder)?;
    ensure!(
        before == contents(local.path())?.into_iter().filter(|(name, _)| name != "digits.service").collect::<Vec<_>>(),
        "what is on the board is not what is in the folder"
    );
    let unit = String::from_utf8(files::read(&server.file("home/.config/systemd/user/digits.service"))?)?;
    ensure!(unit.contains(&format!("ExecStart=\"{}/tealight\" \"run\"", folder.display())), "the unit is\n{unit}");
    let asked = std::fs::read_to_string(server.file("systemctl"))?;
    ensure!(asked == "--user daemon-reload\n--user enable digits.service\n", "systemctl was asked for\n{asked}");

    // Each fault: its name for `board_script`, the destination, and a part of the expected error.
    let missing = format!("board:{}", server.file("none").display());
    for (fault, to, told) in [
        ("machine x86_64", "board:", "its `uname -m` is `x86_64`, and that of linux-aarch64 is aarch64"),
        ("full", "board:", "writing tealight on board failed"),
        ("cut", "board:", "cannot be reached"),
        ("flip", "board:", "with another checksum"),
        ("", &missing, "there is no folder"),
        ("", "stranger:", "does not let this user in"),
        ("", "nowhere:", "cannot be reached"),
    ] {
        server.set(fault)?;
        let Err(error) = deliver(&args(to)) else { bail!("{fault} {to}: it succeeded") };
        let text = format!("{error:#}");
        ensure!(text.contains(told), "{fault} {to}: no `{told}` in\n{text}");
        server.set("")?;
        // What a cut connection leaves has a temporary name.
        let mut now = contents(&folder)?;
        now.retain(|(name, _)| fault != "cut" || name != ".tealight.new");
        ensure!(now == before, "{fault} {to}: the files on the board are others");
    }
    let answer = deliver(&args("board:"))?;
    ensure!(answer == expected && contents(&folder)? == before, "after the faults the board is another");
    println!("{BOARD}: copied over ssh and to a folder, run with the answer of this machine, 7 faults told");
    Ok(())
}

/// What `tealight` prints on this machine.
fn expected(context: &Context, folder: &Path) -> Result<String> {
    let (model, inputs) = run::model_and_inputs(context, None, &[])?;
    let [file, input, report] = ["digits.safetensors", "input.bin", "report.txt"].map(|name| folder.join(name));
    files::write_whole(&file, &model.bytes)?;
    files::write_whole(&input, &inputs)?;
    let words = ["run".into(), file.into_os_string(), "--input".into(), input.into_os_string()];
    run_program_here(&words, &report)?;
    // On the board they have no folder.
    Ok(String::from_utf8(files::read(&report)?)?.replace(&format!("{}/", folder.display()), ""))
}

/// The files of a folder, by their names.
fn contents(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        all.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), files::read(&path)?));
    }
    all.sort();
    Ok(all)
}

/// An sshd, which ends with this.
struct Server {
    folder: TempDir,
    process: Child,
}

impl Server {
    /// Starts it on a free port of loopback, with keys that are made for it.
    fn start(context: &Context, board: &LinuxBoard) -> Result<Self> {
        let shell = &context.shell;
        if try_read(cmd!(shell, "ssh-keygen -?").ignore_status()).is_none() {
            install::install(context, "ssh is not installed", install::Package::SshClient)?;
        }
        let (sshd, libraries) = sshd(context)?;
        let folder = tempfile::Builder::new().prefix("tealight-ssh-").tempdir().context("cannot create a folder")?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "user", "stranger"] {
            let file = at(key);
            run_quietly(cmd!(shell, "ssh-keygen -q -t ed25519 -N '' -f {file}"))?;
        }
        std::fs::copy(at("user.pub"), at("authorized_keys"))?;
        std::fs::create_dir(at("home"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let put = |name: &str, text: String| std::fs::write(at(name), text).with_context(|| at(name));
        put(
            "sshd_config",
            format!(
                "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitRootLogin prohibit-password\nForceCommand sh {}\n",
                at("host"),
                at("authorized_keys"),
                at("board")
            ),
        )?;
        let user = cmd!(shell, "id -un").quiet().read()?;
        let host = |name: &str, port: u16, key: &str| {
            format!(
                "Host {name}\n HostName 127.0.0.1\n Port {port}\n User {user}\n IdentityFile {}\n IdentitiesOnly yes\n\
                 \x20IdentityAgent none\n UserKnownHostsFile /dev/null\n StrictHostKeyChecking no\n LogLevel ERROR\n",
                at(key)
            )
        };
        put(
            "ssh_config",
            host("board", port, "user") + &host("stranger", port, "stranger") + &host("nowhere", free_port()?, "user"),
        )?;
        put("board", board_script(folder.path(), board))?;
        let process = Command::new(&sshd)
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .env("LD_LIBRARY_PATH", libraries)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("log"))?)
            .spawn()
            .with_context(|| format!("cannot start {}", sshd.display()))?;
        let mut server = Self { folder, process };
        server.wait(port)?;
        Ok(server)
    }

    /// Waits until it answers.
    fn wait(&mut self, port: u16) -> Result<()> {
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if self.process.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(20) {
                let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
                bail!("sshd does not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets the fault up, or none.
    fn set(&self, fault: &str) -> Result<()> {
        Ok(std::fs::write(self.file("fault"), fault)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nothing listens on.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What the server does with a command: the board's shell. Its processor is emulated, its user is not root, its systemd
/// writes down what it is asked for, and the faults are those named in the file `fault`.
fn board_script(folder: &Path, board: &LinuxBoard) -> String {
    let cpu = board.emulator.cpus.first().map_or("max", String::as_str);
    format!(
        r#"T='{folder}'
HOME=$T/home
export HOME
cd "$HOME" || exit 1
fault=$(cat "$T/fault" 2>/dev/null)
uname() {{ case $fault in machine*) echo "${{fault#machine }}" ;; *) echo aarch64 ;; esac; }}
id() {{ echo 1000; }}
systemctl() {{ echo "$*" >> "$T/systemctl"; }}
sha256sum() {{ case $fault in flip) command sha256sum "$@" | sed 's/^./x/' ;; *) command sha256sum "$@" ;; esac; }}
case $fault in full) ulimit -f 100 ;; esac
case "$fault $SSH_ORIGINAL_COMMAND" in
"cut "*"cat > "*)
    head -c 5000 > tealight/.tealight.new
    kill -9 $PPID
    exit 1
    ;;
esac
eval "$(printf '%s' "$SSH_ORIGINAL_COMMAND" | sed 's|&& \./tealight|\&\& {emulator} -cpu {cpu} ./tealight|')"
"#,
        folder = folder.display(),
        emulator = board.emulator.binary
    )
}

/// The system's sshd, or one of Debian's package, unpacked into the cache: that starts no server on this machine. And
/// the folder of its libraries.
fn sshd(context: &Context) -> Result<(PathBuf, PathBuf)> {
    let shell = &context.shell;
    let root = try_read(cmd!(shell, "id -u")).is_some_and(|id| id.trim() == "0");
    let folder = context.cache().join("sshd");
    let installed = PathBuf::from("/usr/sbin/sshd");
    let (program, libraries) = if installed.is_file() {
        (installed, PathBuf::new())
    } else {
        if !folder.is_dir() {
            unpack(context, &folder, root)?;
        }
        let libraries = folder.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
        (folder.join("usr/sbin/sshd"), libraries)
    };
    if root {
        // As the package's own script does: the server gives up its rights to this user.
        if try_read(cmd!(shell, "id sshd")).is_none() {
            run_quietly(cmd!(
                shell,
                "useradd --system --no-create-home --home-dir /run/sshd --shell /usr/sbin/nologin sshd"
            ))?;
        }
        std::fs::create_dir_all("/run/sshd").context("cannot create /run/sshd")?;
    }
    Ok((program, libraries))
}

/// Unpacks Debian's package of the server, and of the one library that it alone needs.
fn unpack(context: &Context, folder: &Path, root: bool) -> Result<()> {
    let shell = &context.shell;
    let progress = Progress::start("fetching openssh-server");
    let parent = folder.parent().context("the cache has no parent")?;
    std::fs::create_dir_all(parent)?;
    let work = tempfile::Builder::new().prefix("sshd-").tempdir_in(parent)?;
    let download = || {
        let _folder = shell.push_dir(work.path());
        run_quietly(cmd!(shell, "apt-get download openssh-server libwrap0"))
    };
    if let Err(error) = download() {
        if !root {
            return Err(error.context("type `sudo apt-get update`, or install openssh-server"));
        }
        let _lock = install::lock(context)?;
        run_quietly(cmd!(shell, "apt-get update"))?;
        download()?;
    }
    let into = work.path().join("root");
    for entry in std::fs::read_dir(work.path())? {
        let archive = entry?.path();
        if archive.extension().is_some_and(|end| end == "deb") {
            run_quietly(cmd!(shell, "dpkg-deb --extract {archive} {into}"))?;
        }
    }
    std::fs::rename(&into, folder)?;
    progress.done("");
    Ok(())
}
