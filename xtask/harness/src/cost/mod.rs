//! `cargo xtask cost`: what the costs in a plan are worth in instructions.
//!
//! Models of all operators, random ones and the extreme ones, are run on an emulated board by firmware that times
//! single polls: whole operators, single rows, and polls with random budgets. A session on this machine does the same
//! polls, and so tells what each of them did. No poll may run more than [`INSTRUCTIONS_PER_UNIT`] instructions for a
//! unit of its budget, or of the longest row where that is more; nor an operator or a row for a unit of its cost.

pub(crate) mod extremes;

use crate::board::{self, Board};
use crate::context::Context;
use crate::polls::{self, LAYER};
use crate::progress::Progress;
use crate::table::{Table, table};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use extremes::extremes;
use serde::Serialize;
use std::collections::BTreeMap;
use tealight::cost_between;
use tealight::{Budget, OwnedSession, Position};
use tealight_format::ops::INSTRUCTIONS_PER_UNIT;
use tealight_format::{DType, Model, OpCode};
use tealight_testing::random::{self, Choices};

/// What to measure.
#[derive(Debug, Args)]
pub struct CostArgs {
    /// Seed of the first random plan
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// How many random plans, besides models that are known to be hard
    #[arg(long, default_value_t = PLANS)]
    plans: u32,
    /// Prints one JSON value instead of a table
    #[arg(long)]
    json: bool,
}

impl Default for CostArgs {
    fn default() -> Self {
        Self { seed: 1, plans: PLANS, json: false }
    }
}

/// Enough to meet each operator some hundred times.
const PLANS: u32 = 1000;

/// Larger models are left out: the firmware has half of this for a file, and half for an arena.
const MEMORY: usize = 512 * 1024;

/// The same of their cost: they would take the time that many small ones take.
const MOST: u64 = 4_000_000;

/// What is polled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Each operator in one go.
    Operators,
    /// Some rows of each operator, one by one; then the rest of it.
    Rows,
    /// Any budget up to a quarter of the cost.
    Random,
}

/// A poll: its budget, and what it did.
#[derive(Clone, Copy, Debug)]
struct Poll {
    budget: u64,
    from: Position,
    to: Position,
    instructions: u64,
}

/// An inference.
#[derive(Clone, Debug)]
struct Job {
    name: String,
    kind: Kind,
    file: Vec<u8>,
    input: Vec<u8>,
    polls: Vec<Poll>,
}

/// What an operator's costs are worth: instructions for a unit.
#[derive(Debug, Serialize)]
struct Worth {
    operator: &'static str,
    measured: usize,
    minimum: f64,
    median: f64,
    maximum: f64,
    /// Where the maximum was.
    at: String,
}

/// Measures, and refuses costs that are too low.
pub fn cost(context: &Context, args: &CostArgs) -> Result<()> {
    let board = board::find_emulated(&context.root, board::DEFAULT)?;
    let mut jobs = Vec::new();
    for (i, extreme) in extremes().into_iter().enumerate() {
        add_jobs(&mut jobs, &extreme.name, &extreme.parts.file(), Some(extreme.input), i as u32)?;
    }
    for seed in args.seed..args.seed.saturating_add(args.plans) {
        let bytes: Vec<u8> = random_bytes(seed).take(1500).collect();
        // Small plans, and those in which work outweighs what an operator takes by itself.
        let scale = [1, 1, 2, 4, 8][seed as usize % 5];
        let file = random::plan_of(&mut Choices::new(&bytes), scale).file();
        if Model::parse(&file).is_ok() {
            add_jobs(&mut jobs, &format!("plan {seed}"), &file, None, seed)?;
        }
    }
    let polls: usize = jobs.iter().map(|job| job.polls.len()).sum();
    let last = args.seed.saturating_add(args.plans.saturating_sub(1));
    let what = format!("{polls} polls on {}, plans of seeds {} to {last}", board.id, args.seed);
    let progress = Progress::start(what);
    measure(context, &board, &mut jobs)?;
    let worths = judge(&jobs)?;
    let most = worths.iter().map(|worth| worth.maximum).fold(0.0, f64::max);
    progress.done(&format!("at most {most:.1} instructions a unit of cost"));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&worths)?);
    } else {
        println!("{}", as_table(&worths));
    }
    // All operators must occur, or the plans no longer cover them.
    if let Some(missing) = OpCode::ALL.iter().find(|code| !worths.iter().any(|worth| worth.operator == code.name())) {
        bail!("no model of {} was measured: pass more plans", missing.name());
    }
    Ok(())
}

/// Adds the inferences of a model, unless it is too large.
fn add_jobs(jobs: &mut Vec<Job>, name: &str, file: &[u8], input: Option<Vec<u8>>, seed: u32) -> Result<()> {
    let mut session =
        OwnedSession::from_bytes(file).map_err(|error| anyhow::anyhow!("the model {name} is refused: {error}"))?;
    let mut choose = random_bytes(seed ^ 0x5555);
    let model = Model::parse(file).map_err(|error| anyhow::anyhow!("the model {name} is refused: {error}"))?;
    if model.arena_len().max(file.len()) > MEMORY / 2 || model.cost() > MOST || model.op_count() == 0 {
        return Ok(());
    }
    let input = input.unwrap_or_else(|| random_input(&model, &mut choose));
    for kind in [Kind::Operators, Kind::Rows, Kind::Random] {
        session.reset();
        let mut rest = &input[..];
        for i in 0..model.input_count() {
            let mut tensor = session.input(i).context("the model has fewer inputs")?;
            let bytes = tensor.as_bytes_mut();
            let (these, later) = rest.split_at_checked(bytes.len()).context("the input is too short")?;
            bytes.copy_from_slice(these);
            rest = later;
        }
        let polls = polls(&mut session, kind, &mut choose);
        jobs.push(Job { name: name.into(), kind, file: file.to_vec(), input: input.clone(), polls });
    }
    Ok(())
}

/// Polls to the end of an inference, or nearly so.
fn polls(session: &mut OwnedSession, kind: Kind, choose: &mut impl Iterator<Item = u8>) -> Vec<Poll> {
    let cost = session.model().cost();
    let mut polls: Vec<Poll> = Vec::new();
    while polls.len() < 400 {
        let from = session.position();
        let budget = match kind {
            Kind::Operators => LAYER,
            Kind::Rows if from.row < 12 => 0,
            Kind::Rows => LAYER,
            Kind::Random => word(choose) % (cost / 4 + 2),
        };
        let progress = session.poll(if budget == LAYER { Budget::layer() } else { Budget::macs(budget) });
        let end = Position { op: session.model().op_count(), row: 0, pass: 0 };
        let to = if progress.is_done() { end } else { session.position() };
        polls.push(Poll { budget, from, to, instructions: 0 });
        if progress.is_done() {
            break;
        }
    }
    polls
}

/// The same for a seed, everywhere.
fn random_bytes(seed: u32) -> impl Iterator<Item = u8> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
}

fn word(choose: &mut impl Iterator<Item = u8>) -> u64 {
    choose.take(4).fold(0, |word, byte| word << 8 | u64::from(byte))
}

/// Any bytes, but often numbers of a common size for f32, and positions and indices that caches and tables have.
fn random_input(model: &Model<'_>, choose: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut input = Vec::new();
    for value in model.inputs().map(|input| model.value(input)) {
        let plain = word(choose).is_multiple_of(2);
        for _ in 0..value.len / value.dtype.size() {
            let bits = word(choose) as u32;
            match value.dtype {
                DType::F32 if plain => input.extend((bits as f32 / 2_f32.powi(29) - 4.0).to_le_bytes()),
                DType::I32 => input.extend(((bits % 64) as i32 - 1).to_le_bytes()),
                dtype => input.extend(&bits.to_le_bytes()[..dtype.size() as usize]),
            }
        }
    }
    input
}

/// Does all jobs on the board.
fn measure(context: &Context, board: &Board, jobs: &mut [Job]) -> Result<()> {
    let timed = jobs.iter().map(|job| {
        let budgets = job.polls.iter().map(|poll| poll.budget).collect();
        polls::Job { file: &job.file, input: &job.input, budgets }
    });
    let times = polls::time_polls(context, board, &timed.collect::<Vec<_>>())?;
    for (job, instructions) in jobs.iter_mut().zip(times.instructions) {
        for (poll, instructions) in job.polls.iter_mut().zip(instructions) {
            poll.instructions = instructions;
        }
    }
    Ok(())
}

/// Compares instructions with costs and budgets.
fn judge(jobs: &[Job]) -> Result<Vec<Worth>> {
    let mut worths: BTreeMap<u8, Vec<(f64, String)>> = BTreeMap::new();
    for job in jobs {
        let model = Model::parse(&job.file).map_err(|error| anyhow::anyhow!("{}: {error}", job.name))?;
        for poll in &job.polls {
            let cost = cost_between(&model, poll.from, poll.to);
            let name = model.op(poll.from.op).operator.code().name();
            let at = format!("{}, operator {} ({name}), row {}", job.name, poll.from.op, poll.from.row);
            let allowed = if poll.budget == LAYER { cost } else { poll.budget.max(model.longest_row()) };
            if cost > allowed {
                bail!("{at}: a poll with the budget {} did work of {cost}", poll.budget);
            }
            if poll.instructions > allowed * u64::from(INSTRUCTIONS_PER_UNIT) {
                bail!("{at}: {} instructions where {allowed} units were allowed", poll.instructions);
            }
            if job.kind == Kind::Random {
                continue;
            }
            let worth = poll.instructions as f64 / cost.max(1) as f64;
            if worth > f64::from(INSTRUCTIONS_PER_UNIT) {
                bail!("{at}: {} instructions at a cost of {cost}", poll.instructions);
            }
            worths.entry(model.op(poll.from.op).operator.code() as u8).or_default().push((worth, at));
        }
    }
    let of = |(code, mut worths): (u8, Vec<(f64, String)>)| {
        worths.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (least, middle, most) = (worths.first()?.0, worths[worths.len() / 2].0, worths.last()?);
        Some(Worth {
            operator: OpCode::from_code(code)?.name(),
            measured: worths.len(),
            minimum: least,
            median: middle,
            maximum: most.0,
            at: most.1.clone(),
        })
    };
    Ok(worths.into_iter().filter_map(of).collect())
}

fn as_table(worths: &[Worth]) -> Table {
    let mut table = table(&["instructions a unit of"], &["measured", "minimum", "median", "maximum"], &["at"]);
    for worth in worths {
        let figures = [worth.minimum, worth.median, worth.maximum].map(|figure| format!("{figure:.2}"));
        let start = [worth.operator.to_string(), worth.measured.to_string()];
        table.row([&start[..], &figures, std::slice::from_ref(&worth.at)].concat());
    }
    table
}
