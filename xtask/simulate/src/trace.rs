//! A run with both networks, and what it recorded.

use anyhow::{Context as _, Result, anyhow};
use tealight::{AlignedBytes, AllOps, Arena, Model, Session};
use tealight_balance::push::Push;
use tealight_balance::run::{Record, Summary};
use tealight_balance::scenario::{PUSHES, Scenario};

/// Bytes for the activations of the policy, and of the second network.
const ARENAS: [usize; 2] = [1_024, 8_192];

/// What determines a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'p> {
    pub(crate) seed: u64,
    pub(crate) periods: u32,
    pub(crate) pushes: &'p [Push],
    /// Multiply-accumulates of the second network in a period.
    pub(crate) budget: u64,
}

/// What a run recorded.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) seed: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) summary: Summary,
    /// The classes of the second network.
    pub(crate) labels: Vec<String>,
}

impl Run<'_> {
    /// Runs with the files of the two networks.
    ///
    /// # Errors
    /// If a file is not the model that it should be.
    pub(crate) fn trace(&self, policy: &[u8], second: &[u8]) -> Result<Trace> {
        let copy = |file| AlignedBytes::copy_of(file).map_err(|error| anyhow!("{error}"));
        let (policy, second) = (copy(policy)?, copy(second)?);
        let parse = |file| Model::parse(file).map_err(|error| anyhow!("not a Tealight model: {error}"));
        let (policy, second) = (parse(policy.as_ref())?, parse(second.as_ref())?);
        let mut small = Arena::<{ ARENAS[0] }>::new();
        let mut large = Arena::<{ ARENAS[1] }>::new();
        let labels = labels(&second);
        let policy =
            Session::<AllOps>::load(&policy, small.bytes_mut()).map_err(|error| anyhow!("balance: {error}"))?;
        let second =
            Session::<AllOps>::load(&second, large.bytes_mut()).map_err(|error| anyhow!("gesture: {error}"))?;
        let scenario = Scenario::new(self.seed, self.periods, self.budget, self.pushes)
            .with_context(|| format!("there are more than {PUSHES} pushes"))?;
        let mut records = Vec::new();
        let summary = scenario.run(policy, second, |record| records.push(*record))?;
        Ok(Trace { seed: self.seed, records, summary, labels })
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

    /// Ten seconds with a push.
    pub(crate) fn example(budget: u64) -> Trace {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let read = |name: &str| std::fs::read(models.join(name).join(format!("{name}.safetensors"))).unwrap();
        let pushes = [Push { at_ms: 2_000, newtons: 6.0, ms: 100 }];
        let run = Run { seed: 1, periods: 2_000, pushes: &pushes, budget };
        run.trace(&read("balance"), &read("gesture")).unwrap()
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
