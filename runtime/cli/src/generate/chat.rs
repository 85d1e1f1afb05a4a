//! Renders a chat template in a separate process.
//!
//! A template is a program that comes with the model, perhaps from an untrusted source. Its length and its steps are
//! limited, but not the memory that its steps allocate: forty of them double a text to a terabyte. So `tealight` starts
//! itself again, with limits of memory and time that the operating system enforces. If that process fails, this one
//! continues.

use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tealight_text::{Conversation, Message, TextError};

use crate::error::{Error, Result};

/// The command that renders the request in standard input.
pub(crate) const RENDER: &str = "render-chat";

/// Maximum memory of the process, including its program and stack. (Enforced by Unix systems; macOS does not count all
/// of it.)
#[cfg(unix)]
const MEMORY: u64 = 640 << 20;

/// Maximum computing time in seconds.
#[cfg(unix)]
const SECONDS: u64 = 4;

/// How long to wait for the process.
const PATIENCE: Duration = Duration::from_secs(8);

/// A conversation, as it is passed to the process.
#[derive(Deserialize, Serialize)]
struct Request {
    template: String,
    messages: Vec<(String, String)>,
    begin: String,
    end: String,
}

/// The result of the process.
#[derive(Deserialize, Serialize)]
enum Answer {
    Text(String),
    Refused(String),
}

/// Returns the text of `conversation`.
///
/// # Errors
/// [`TextError::Template`]: the template is wrong, or exceeds its limits of memory or time.
pub(super) fn render(conversation: &Conversation) -> std::result::Result<String, TextError> {
    let answer = ask(conversation)
        .map_err(|error| TextError::Template(format!("cannot start a process to render it: {error}")))?;
    match serde_json::from_slice(&answer) {
        Ok(Answer::Text(text)) => Ok(text),
        Ok(Answer::Refused(why)) => Err(TextError::Template(why)),
        // The process ended without an answer.
        Err(_) => Err(TextError::Template("it takes too much memory or time, or nests too deeply".into())),
    }
}

/// Starts this program again and returns what it writes, which is incomplete if the process was ended.
fn ask(conversation: &Conversation) -> io::Result<Vec<u8>> {
    let Conversation { template, messages, begin, end } = conversation.clone();
    let messages = messages.into_iter().map(|message| (message.role, message.content)).collect();
    let request = serde_json::to_vec(&Request { template, messages, begin, end })?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg(RENDER).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    thread::scope(|scope| {
        // If the process ends early, the request is not read, and there is no answer either.
        scope.spawn(move || input.map(|mut input| input.write_all(&request)));
        let reading = scope.spawn(move || {
            let mut answer = Vec::new();
            output.map_or(Ok(0), |mut output| output.read_to_end(&mut answer)).map(|_| answer)
        });
        wait(&mut child)?;
        reading.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

/// Waits for the process, and ends it if it takes too long.
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
    let failed = || Error::new("this command is internal to `tealight generate --chat`").help("use that instead");
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
    for (resource, max) in [(Resource::As, MEMORY), (Resource::Cpu, SECONDS), (Resource::Core, 0)] {
        // An existing limit may be lower.
        let max = Some(getrlimit(resource).maximum.map_or(max, |maximum| maximum.min(max)));
        setrlimit(resource, Rlimit { current: max, maximum: max })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn limit_this_process() -> io::Result<()> {
    Ok(())
}
