//! How a budget of [`Session::poll`](tealight::Session::poll) slices an inference, without running it.

use crate::error::{Error, Result};
use crate::prediction::Predictor;
use serde::Serialize;
use tealight::{Budget, Engine, Model, OwnedSession, Part, Position, Progress, costs_between};

/// The calls of `poll` in an inference.
#[derive(Debug, Serialize)]
pub(crate) struct Slices {
    /// What each may do, in units of about a multiply-accumulate.
    pub budget: u64,
    /// Their number.
    pub calls: usize,
    /// The cost of the one that does most: more than the budget where one row alone exceeds it.
    pub longest: u64,
    /// The first and the last operator of that one.
    pub operators: [usize; 2],
    /// What each call does: indices of operators, and the costs of their parts, in order.
    #[serde(skip)]
    parts: Vec<Vec<(usize, u64)>>,
}

/// Computes nothing: the positions of a session do not depend on what is computed.
struct Nothing;

impl Engine for Nothing {
    fn compute(&mut self, _: &mut Part<'_>) -> bool {
        true
    }
}

/// Slices an inference of `model` by `budget`.
///
/// # Errors
/// There is not enough memory for the model's arena.
pub(crate) fn slices(model: &Model<'_>, budget: u64) -> Result<Slices> {
    let session = OwnedSession::from_bytes(model.bytes());
    let session = session.map_err(|error| Error::new("cannot slice an inference of the model").cause(error))?;
    let mut session = session.with_engine(Nothing);
    let (mut parts, mut from, mut progress) = (Vec::new(), session.position(), Progress::Pending);
    while !progress.is_done() {
        if progress.wants_rows() {
            let _ = session.input_rows();
            from = session.position();
        }
        progress = session.poll(Budget::macs(budget));
        let end = Position { op: model.op_count(), ..Position::default() };
        let to = if progress.is_done() { end } else { session.position() };
        let mut call = Vec::new();
        costs_between(model, from, to, |index, cost| call.push((index, cost)));
        parts.push(call);
        from = to;
    }
    let (mut longest, mut operators) = (0, [0, 0]);
    for call in &parts {
        let cost = call.iter().map(|(_, cost)| cost).sum();
        let indices = || call.iter().map(|&(index, _)| index);
        if let (Some(first), Some(last)) = (indices().min(), indices().max())
            && cost > longest
        {
            (longest, operators) = (cost, [first, last]);
        }
    }
    Ok(Slices { budget, calls: parts.len(), longest, operators, parts })
}

impl Slices {
    /// The instructions of the call that takes most on `core`, predicted from those of whole operators, in proportion to
    /// their cost; `None` as in [`Predictor::instructions`].
    pub(crate) fn instructions(&self, model: &Model<'_>, predictor: &Predictor, core: &str) -> Option<u64> {
        let layers = predictor.layers(model, core)?;
        let mut costs = vec![0; layers.len()];
        for &(index, cost) in self.parts.iter().flatten() {
            costs[index] += cost;
        }
        let of_part = |&(index, cost): &(usize, u64)| layers[index] as f64 * cost as f64 / costs[index].max(1) as f64;
        let of_call = |call: &Vec<(usize, u64)>| call.iter().map(of_part).sum::<f64>();
        self.parts.iter().map(of_call).reduce(f64::max).map(|count| count as u64)
    }
}
