//! The terminal of the live view: keys without waiting, and a screen of its own that is left as it was found.

use anyhow::{Result, bail};
use std::time::Duration;

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Left,
    Right,
    /// `q`, or Ctrl-C.
    End,
}

/// The keys in what a terminal sends: arrows are `ESC [ D` and `ESC [ C`, or `ESC O D` and `ESC O C`.
fn keys_of(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (0x1B, [b'[' | b'O', key, later @ ..]) => {
                keys.extend(match key {
                    b'D' => Some(Key::Left),
                    b'C' => Some(Key::Right),
                    _ => None,
                });
                rest = later;
            }
            (b'q' | b'Q' | 3, _) => keys.push(Key::End),
            _ => {}
        }
    }
    keys
}

#[cfg(unix)]
pub(crate) use unix::Terminal;

/// A terminal that is left as it was found.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Terminal;

#[cfg(not(unix))]
impl Terminal {
    /// There is none for the live view on this system.
    pub(crate) fn take() -> Result<Self> {
        bail!("the live view needs a terminal of a Unix system; without `--live` the run is simulated at once")
    }

    pub(crate) fn show(&mut self, _: impl FnOnce(usize) -> Vec<String>) {}

    pub(crate) fn keys(&mut self, _: Duration) -> Vec<Key> {
        keys_of(&[])
    }
}

#[cfg(unix)]
mod unix {
    use super::{Duration, Key, Result, bail, keys_of};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::read;
    use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
    use std::io::{Write as _, stdin, stdout};

    /// A terminal that is left as it was found.
    pub(crate) struct Terminal {
        before: Termios,
    }

    impl Terminal {
        /// Takes the terminal on the standard input and output.
        ///
        /// # Errors
        /// One of them is none.
        pub(crate) fn take() -> Result<Self> {
            if !isatty(stdin()) || !isatty(stdout()) {
                bail!(
                    "the live view needs a terminal on the standard input and output; without `--live` the run is \
                     simulated at once"
                );
            }
            let before = tcgetattr(stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(stdin(), OptionalActions::Now, &raw)?;
            // Another screen, without a cursor.
            print!("\x1b[?1049h\x1b[?25l\x1b[2J");
            Ok(Self { before })
        }

        /// Shows the lines that `lines` makes for a number of columns, as many as there is room for.
        pub(crate) fn show(&mut self, lines: impl FnOnce(usize) -> Vec<String>) {
            let size = tcgetwinsize(stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
            let (columns, rows) = size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
            let lines: Vec<String> = lines(columns).into_iter().take(rows).collect();
            // From the top; what is left of longer lines and of lines below is erased.
            let text = lines.join("\x1b[K\r\n");
            print!("\x1b[H{text}\x1b[J");
            // A terminal that is gone ends the run by its input.
            let _ = stdout().flush();
        }

        /// Waits for so long; returns the keys that were pressed until then. A terminal that is gone is an end.
        pub(crate) fn keys(&mut self, wait: Duration) -> Vec<Key> {
            let mut keys = Vec::new();
            let until = std::time::Instant::now() + wait;
            loop {
                let left = until.saturating_duration_since(std::time::Instant::now());
                let time = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
                let input = stdin();
                let mut waited = [PollFd::new(&input, PollFlags::IN)];
                match poll(&mut waited, Some(&time)) {
                    Ok(0) => return keys,
                    Ok(_) => {
                        let mut bytes = [0; 64];
                        // Not by the standard library, whose buffer would keep keys that are not waited for.
                        match read(&input, &mut bytes) {
                            Ok(count @ 1..) => keys.extend(keys_of(&bytes[..count])),
                            _ => {
                                keys.push(Key::End);
                                return keys;
                            }
                        }
                    }
                    // A signal, such as that of another size.
                    Err(_) if left.is_zero() => return keys,
                    Err(_) => {}
                }
            }
        }
    }

    impl Drop for Terminal {
        fn drop(&mut self) {
            print!("\x1b[?25h\x1b[?1049l");
            let _ = stdout().flush();
            let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_what_a_terminal_sends() {
        assert_eq!(keys_of(b"\x1b[C\x1b[Dxq"), [Key::Right, Key::Left, Key::End]);
        assert_eq!(keys_of(b"\x1bOC\x1b[A\x03"), [Key::Right, Key::End]);
        assert_eq!(keys_of(b"\x1b"), []);
    }
}
