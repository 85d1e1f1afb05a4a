//! The live view: a run at real time, or another speed, in the terminal, with pushes by key.
//!
//! Pushes by key become part of the script, so that the run repeats without a terminal: it ends at a full second, the rest of
//! which is simulated at once.

use crate::terminal::{Key, Terminal};
use crate::trace::{Models, Run, Trace};
use crate::view::{View, lines};
use anyhow::Result;
use std::time::{Duration, Instant};
use tealight_balance::estimate::PERIOD_US;
use tealight_balance::run::{Next, Record};

/// How long a key's push is in milliseconds.
const PUSH_MS: u32 = 100;

/// Periods in a second.
const SECOND: u32 = (1_000_000 / PERIOD_US) as u32;

/// Periods of the curve.
const SHOWN: usize = 4 * SECOND as usize;

/// The time between two pictures.
const FRAME: Duration = Duration::from_millis(40);

/// How to show a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    /// Times real time.
    pub(crate) speed: f64,
    /// The force of a key's push in N.
    pub(crate) newtons: f32,
}

/// What a key asks for.
#[derive(Debug, Default)]
struct Steering {
    /// The end, at the next full second.
    ending: bool,
}

impl Steering {
    /// What happens after a period, by the keys that were pressed in it.
    fn next(&mut self, record: &Record, keys: &[Key], newtons: f32) -> Next {
        self.ending |= keys.contains(&Key::End);
        if self.ending {
            return if (record.index + 1).is_multiple_of(SECOND) { Next::End } else { Next::Go };
        }
        match keys.iter().rev().find(|key| matches!(key, Key::Left | Key::Right)) {
            Some(Key::Left) => Next::Push(-newtons, PUSH_MS),
            Some(_) => Next::Push(newtons, PUSH_MS),
            None => Next::Go,
        }
    }
}

impl Live {
    /// Runs and shows it, until its end or the key `q`.
    ///
    /// # Errors
    /// Those of the run and of the terminal.
    pub(crate) fn run(&self, run: &Run, models: &Models, mut terminal: Terminal) -> Result<Trace> {
        let labels = models.labels()?;
        let mut steering = Steering::default();
        let (begun, mut drawn) = (Instant::now(), None::<Instant>);
        let (mut angles, mut scores, mut missed) = (Vec::new(), Vec::new(), 0);
        let trace = run.steered(models, |record, _| {
            angles.push(record.state.angle);
            missed += u32::from(u64::from(record.period) > PERIOD_US);
            if let Some(found) = record.scores {
                let shares = found.iter().map(|score| (f64::from(*score) + 128.0) / 256.0);
                scores = labels.iter().cloned().zip(shares).collect();
            }
            if steering.ending {
                return steering.next(record, &[], self.newtons);
            }
            if drawn.is_none_or(|at| at.elapsed() >= FRAME) {
                let from = angles.len().saturating_sub(SHOWN);
                let view = View {
                    record,
                    angles: &angles[from..],
                    missed,
                    scores: &scores,
                    speed: self.speed,
                    newtons: self.newtons,
                };
                terminal.show(|columns| lines(&view, columns));
                drawn = Some(Instant::now());
            }
            let due = Duration::from_secs_f64(record.micros as f64 / 1e6 / self.speed);
            let keys = terminal.keys(due.saturating_sub(begun.elapsed()));
            steering.next(record, &keys, self.newtons)
        })?;
        drop(terminal);
        Ok(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::models;

    #[test]
    fn pushes_by_key_repeat_from_the_script_that_they_became() {
        let run = Run { seed: 2, periods: 3_600 * SECOND, pushes: Vec::new(), budget: 20_000 };
        let mut steering = Steering::default();
        let live = run
            .steered(&models(), |record, _| {
                let keys: &[Key] = match record.index {
                    100 | 105 => &[Key::Left],
                    300 => &[Key::Left, Key::Right],
                    450 => &[Key::End],
                    _ => &[],
                };
                steering.next(record, keys, 4.0)
            })
            .unwrap();
        // The second key came while the first push acted; the end is that of the third second.
        let forces: Vec<f32> = live.pushes.iter().map(|push| push.newtons).collect();
        assert_eq!((&forces[..], live.summary.periods), (&[-4.0, 4.0][..], 600));
        let script = crate::script::text(&live.pushes);
        let file = std::env::temp_dir().join(format!("tealight-pushes-{}.txt", std::process::id()));
        std::fs::write(&file, script).unwrap();
        let pushes = crate::script::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let again = Run { periods: live.summary.periods, pushes, ..run.clone() }.trace(&models()).unwrap();
        assert_eq!(again.summary, live.summary);
        let without = Run { periods: live.summary.periods, ..run }.trace(&models()).unwrap();
        assert_ne!(without.summary.digest, live.summary.digest);
    }
}
