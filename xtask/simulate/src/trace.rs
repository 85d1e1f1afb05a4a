//! A run with both networks, and what it recorded.

use anyhow::{Context as _, Result, anyhow};
use std::path::Path;
use tealight::{AlignedBytes, AllOps, Arena, Model, Session};
use tealight_balance::push::Push;
use tealight_balance::run::{Next, Record, Setup, Summary, steered};
use tealight_balance::scenario::{ANGLE, networks};

/// Bytes for the activations of the policy, and of the second network.
const ARENAS: [usize; 2] = [1_024, 8_192];

/// The files of both networks.
#[derive(Debug)]
pub(crate) struct Models {
    policy: AlignedBytes,
    second: AlignedBytes,
}

/// What determines a run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) periods: u32,
    pub(crate) pushes: Vec<Push>,
    /// Multiply-accumulates of the second network in a period.
    pub(crate) budget: u64,
}

/// What a run recorded.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) seed: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) summary: Summary,
    /// Its pushes: those of the run, and those that were steered.
    pub(crate) pushes: Vec<Push>,
    /// The classes of the second network.
    pub(crate) labels: Vec<String>,
}

impl Models {
    /// Reads those of `balance` and `gesture` below a folder of models.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let file = folder.join(name).join(format!("{name}.safetensors"));
            let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            AlignedBytes::copy_of(&bytes).map_err(|error| anyhow!("{error}"))
        };
        Ok(Self { policy: read("balance")?, second: read("gesture")? })
    }

    /// The classes of the second network.
    ///
    /// # Errors
    /// If its file is no model.
    pub(crate) fn labels(&self) -> Result<Vec<String>> {
        Ok(labels(&parsed(&self.second)?))
    }
}

fn parsed(file: &AlignedBytes) -> Result<Model<'_>> {
    Model::parse(file.as_ref()).map_err(|error| anyhow!("not a Tealight model: {error}"))
}

impl Run {
    /// Runs to its end.
    ///
    /// # Errors
    /// If a file is not the model that it should be.
    pub(crate) fn trace(&self, models: &Models) -> Result<Trace> {
        self.steered(models, |_, _| Next::Go)
    }

    /// Runs, with what `steer` says after each period; it is given the push that its last answer became.
    ///
    /// # Errors
    /// If a file is not the model that it should be.
    pub(crate) fn steered(
        &self,
        models: &Models,
        mut steer: impl FnMut(&Record, Option<Push>) -> Next,
    ) -> Result<Trace> {
        let (policy, second) = (parsed(&models.policy)?, parsed(&models.second)?);
        let mut small = Arena::<{ ARENAS[0] }>::new();
        let mut large = Arena::<{ ARENAS[1] }>::new();
        let policy =
            Session::<AllOps>::load(&policy, small.bytes_mut()).map_err(|error| anyhow!("balance: {error}"))?;
        let session =
            Session::<AllOps>::load(&second, large.bytes_mut()).map_err(|error| anyhow!("gesture: {error}"))?;
        let (mut policy, mut classifier) = networks(policy, session, self.budget)?;
        let setup = Setup { seed: self.seed, angle: ANGLE, periods: self.periods, pushes: &self.pushes };
        let (mut records, mut pushes) = (Vec::new(), self.pushes.clone());
        let summary = steered(&setup, &mut policy, Some(&mut classifier), |record, pushed| {
            records.push(*record);
            pushes.extend(pushed);
            steer(record, pushed)
        })?;
        Ok(Trace { seed: self.seed, records, summary, pushes, labels: labels(&second) })
    }
}

/// The labels in a model's metadata: a JSON array of texts, escaped as a text of the file's header.
fn labels(model: &Model<'_>) -> Vec<String> {
    let text = |escaped| serde_json::from_str::<String>(&format!("\"{escaped}\"")).ok();
    let labels = model.metadata("labels").and_then(text).and_then(|text| serde_json::from_str(&text).ok());
    labels.unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn models() -> Models {
        Models::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")).unwrap()
    }

    /// Ten seconds with a push.
    pub(crate) fn example(budget: u64) -> Trace {
        let pushes = vec![Push { at_ms: 2_000, newtons: 6.0, ms: 100 }];
        Run { seed: 1, periods: 2_000, pushes, budget }.trace(&models()).unwrap()
    }

    #[test]
    fn the_robot_balances_while_the_second_network_runs() {
        let trace = example(20_000);
        assert!(!trace.summary.fallen && trace.summary.missed == 0, "{:?}", trace.summary);
        // Ten seconds are 500 readings: windows at 128, 192, … 448, and the time that an inference takes.
        assert!((5..=6).contains(&trace.summary.inferences), "{:?}", trace.summary);
        assert_eq!((trace.labels.len(), trace.records.len()), (7, 2_000));
        assert_eq!(trace.summary, example(20_000).summary);
    }

    #[test]
    fn a_slice_that_is_too_long_misses_the_period_and_is_told() {
        let summary = example(1_000_000).summary;
        assert!(summary.missed >= summary.inferences && summary.longest_busy > 5_000, "{summary:?}");
    }
}
