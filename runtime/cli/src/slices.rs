//! How a budget of [`Session::poll`](tealight::Session::poll) slices an inference, without running it.

use crate::error::{Error, Result};
use crate::prediction::Predictor;
use serde::Serialize;
use tealight::{Budget, Engine, Model, OwnedSession, Part, Position, costs_between};

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
    #[serde(skip)]
    positions: Vec<Position>,
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
    let mut positions = vec![session.position()];
    while session.poll(Budget::macs(budget)).is_pending() {
        positions.push(session.position());
    }
    positions.push(Position { op: model.op_count(), ..Position::default() });
    let mut slices = Slices { budget, calls: positions.len() - 1, longest: 0, operators: [0, 0], positions };
    for (from, to) in slices.pairs() {
        let (mut cost, mut operators) = (0, None);
        costs_between(model, from, to, |index, part| {
            cost += part;
            operators =
                Some(operators.map_or([index, index], |[first, last]: [usize; 2]| [first.min(index), last.max(index)]));
        });
        if cost > slices.longest {
            (slices.longest, slices.operators) = (cost, operators.unwrap_or([0, 0]));
        }
    }
    Ok(slices)
}

impl Slices {
    /// From where to where each call gets.
    fn pairs(&self) -> Vec<(Position, Position)> {
        self.positions.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }

    /// The instructions of the call that takes most on `core`, predicted from those of whole operators; `None` as in
    /// [`Predictor::instructions`].
    pub(crate) fn instructions(&self, model: &Model<'_>, predictor: &Predictor, core: &str) -> Option<u64> {
        let layers = predictor.layers(model, core)?;
        let mut costs = vec![0; layers.len()];
        let end = Position { op: model.op_count(), ..Position::default() };
        costs_between(model, Position::default(), end, |index, cost| costs[index] += cost);
        // An operator's instructions, in proportion to its cost.
        let of_slice = |(from, to): (Position, Position)| {
            let mut count = 0.0;
            costs_between(model, from, to, |index, cost| {
                count += layers[index] as f64 * cost as f64 / costs[index].max(1) as f64;
            });
            count
        };
        self.pairs().into_iter().map(of_slice).reduce(f64::max).map(|count| count as u64)
    }
}
