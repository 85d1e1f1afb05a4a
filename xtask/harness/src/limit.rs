//! Runs a program with a time limit, at which it is stopped with an error.

use anyhow::{Context as _, Result, bail};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How a program came to its end.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// By itself.
    Exit(ExitStatus),
    /// It was stopped when its work was done.
    Done,
    /// It was stopped at its time limit.
    Late,
}

/// Waits for a program's end; stops it when it is `done`, or at the limit. What it prints is to be read meanwhile.
///
/// # Errors
/// The system does not report its state.
pub fn wait(child: &mut Child, limit: Duration, done: impl Fn() -> bool) -> std::io::Result<End> {
    let start = Instant::now();
    loop {
        let late = start.elapsed() > limit;
        if late || done() {
            child.kill().ok();
            child.wait().ok();
            return Ok(if late { End::Late } else { End::Done });
        }
        match child.try_wait()? {
            Some(status) => return Ok(End::Exit(status)),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Runs `command` without input and returns what it printed. Its output is read meanwhile, so that a full pipe cannot
/// block it.
///
/// # Errors
/// It cannot be started, or did not end within `limit`. That it failed is in its status.
pub fn output(command: &mut Command, limit: Duration) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (end, stdout, stderr) = std::thread::scope(|scope| {
        let (stdout, stderr) = (scope.spawn(|| collect(out)), scope.spawn(|| collect(err)));
        let end = wait(&mut child, limit, || false);
        (end, stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default())
    });
    let End::Exit(status) = end.with_context(|| format!("cannot wait for {name}"))? else {
        let said = String::from_utf8_lossy(&stderr);
        bail!("`{command:?}` did not end within {} s and was stopped:\n{}", limit.as_secs_f32(), said.trim_end());
    };
    Ok(Output { status, stdout, stderr })
}

/// Runs `command` as [`output`] does; it must succeed. Returns its standard output.
///
/// # Errors
/// As [`output`], or it failed: then the error contains its standard error.
pub fn succeed(command: &mut Command, limit: Duration) -> Result<Vec<u8>> {
    let output = output(command, limit)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{command:?}` failed ({}):\n{}", output.status, said.trim_end());
    }
    Ok(output.stdout)
}

/// What comes before an error is still worth showing.
fn collect(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).ok();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<Vec<u8>> {
        succeed(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn what_does_not_end_is_stopped_and_said_to_be() {
        let error = shell("echo half >&2; exec sleep 60", Duration::from_millis(300)).unwrap_err().to_string();
        assert!(error.contains("did not end within 0.3 s") && error.contains("half"), "{error}");
    }

    #[test]
    fn what_fails_is_told_in_its_own_words() {
        let limit = Duration::from_secs(9);
        assert_eq!(shell("echo out; echo err >&2", limit).unwrap(), b"out\n");
        assert!(shell("echo bad >&2; exit 3", limit).unwrap_err().to_string().contains("bad"));
    }

    #[test]
    fn more_than_a_pipe_holds_is_read() {
        let long = shell("head -c 1000000 /dev/zero", Duration::from_secs(60)).unwrap();
        assert_eq!(long.len(), 1_000_000);
    }
}
