//! A chat template, rendered in a process of its own.
//!
//! A template is a program that comes with the model, perhaps from a stranger. Its length and its steps are bounded, but not
//! what its steps make: forty of them double a text to a terabyte. So `tealight` starts itself once more, with a limit on
//! memory and time that the operating system keeps. Whatever happens to that process, this one goes on.

use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tealight_text::{Conversation, Message, TextError};

use crate::error::{Error, Result};

/// The command that renders what standard input holds.
pub(crate) const RENDER: &str = "render-chat";

/// Memory of the process, its program and stack included. (Kept by Unix systems; macOS does not count all of it.)
#[cfg(unix)]
const MEMORY: u64 = 640 << 20;

/// Seconds that it may compute.
#[cfg(unix)]
const SECONDS: u64 = 4;

/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// A conversation as it is handed over.
#[derive(Deserialize, Serialize)]
struct Request {
    template: String,
    messages: Vec<(String, String)>,
    begin: String,
    end: String,
}

/// What came of it.
#[derive(Deserialize, Serialize)]
enum Answer {
    Text(String),
    Refused(String),
}

/// The text of `conversation`.
///
/// # Errors
/// [`TextError::Template`]: the template is wrong, or takes more memory or time than it may.
pub(super) fn render(conversation: &Conversation) -> std::result::Result<String, TextError> {
    let answer = ask(conversation).map_err(|error| TextError::Template(format!("no process renders it: {error}")))?;
    match serde_json::from_slice(&answer) {
        Ok(Answer::Text(text)) => Ok(text),
        Ok(Answer::Refused(why)) => Err(TextError::Template(why)),
        // It ended without an answer.
        Err(_) => Err(TextError::Template("it takes too much memory or time, or nests too deeply".into())),
    }
}

/// Starts this program once more, and gives what it writes: nothing or a part if it was ended.
fn ask(conversation: &Conversation) -> io::Result<Vec<u8>> {
    let Conversation { template, messages, begin, end } = conversation.clone();
    let messages = messages.into_iter().map(|message| (message.role, message.content)).collect();
    let request = serde_json::to_vec(&Request { template, messages, begin, end })?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg(RENDER).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    thread::scope(|scope| {
        // If it ends early, nothing reads the request; then there is no answer either.
        scope.spawn(move || input.map(|mut input| input.write_all(&request)));
        let reading = scope.spawn(move || {
            let mut answer = Vec::new();
            output.map_or(Ok(0), |mut output| output.read_to_end(&mut answer)).map(|_| answer)
        });
        wait(&mut child)?;
        reading.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

/// Waits for the process, and ends it if that takes too long.
fn wait(child: &mut Child) -> io::Result<()> {
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// The command [`RENDER`]: reads a request from standard input and writes an answer.
///
/// # Errors
/// There is no request, or the answer cannot be written.
pub(crate) fn render_chat() -> Result<()> {
    let failed = || Error::new("this command is for `tealight generate --chat`").help("give that");
    limit_this_process().map_err(|error| failed().cause(error))?;
    let request: Request = serde_json::from_reader(io::stdin().lock()).map_err(|error| failed().cause(error))?;
    let Request { template, messages, begin, end } = request;
    let messages = messages.into_iter().map(|(role, content)| Message { role, content }).collect();
    let answer = match (Conversation { template, messages, begin, end }).render() {
        Ok(text) => Answer::Text(text),
        Err(TextError::Template(why)) => Answer::Refused(why),
        Err(error) => Answer::Refused(error.to_string()),
    };
    serde_json::to_writer(io::stdout().lock(), &answer).map_err(|error| failed().cause(error))
}

#[cfg(unix)]
fn limit_this_process() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    for (resource, most) in [(Resource::As, MEMORY), (Resource::Cpu, SECONDS), (Resource::Core, 0)] {
        // A limit that stands already may be lower.
        let most = Some(getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most)));
        setrlimit(resource, Rlimit { current: most, maximum: most })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn limit_this_process() -> io::Result<()> {
    Ok(())
}
