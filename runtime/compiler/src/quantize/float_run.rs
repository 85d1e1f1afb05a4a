//! A float graph, compiled so that every tensor can be read after the operator that writes it.

use super::samples::Sample;
use super::{QuantizeError, Result};
use crate::diag::CompileError;
use crate::driver::{Compiled, compile_to_watch};
use crate::ir::graph::{Content, ElementType, Graph, TensorId};
use crate::limit::Limit;
use crate::options::Options;
use crate::session;
pub(super) use crate::session::values_of;
use std::collections::HashMap;
use tealight::{Budget, Model, OwnedSession};

/// An index in [`FloatRun::values`], and the value there.
type Pair = (usize, usize);

/// The compiled network.
#[derive(Debug)]
pub(super) struct FloatRun {
    bytes: Vec<u8>,
    /// The tensors that [`FloatRun::run`] returns, in that order: the inputs, then the outputs of each node, except
    /// state.
    pub(super) ids: Vec<TensorId>,
    /// The first index of each tensor in `ids`.
    places: HashMap<TensorId, usize>,
    /// Elements of each input.
    inputs: Vec<usize>,
    /// The value of the plan for each tensor after the inputs; `None` for one without elements.
    values: Vec<Option<usize>>,
    /// Bytes that [`FloatRun::run`] takes: arena, file and tensors.
    memory: u64,
}

impl FloatRun {
    /// Compiles a graph of float32 tensors; tensors of other types are not returned. All nodes lead to the graph's
    /// outputs.
    ///
    /// # Errors
    /// It cannot be compiled, or running it takes more memory than `options` allow.
    pub(super) fn new(graph: &Graph, options: &Options) -> Result<Self> {
        let real = |&id: &TensorId| {
            let tensor = &graph.tensors[id];
            tensor.dtype == ElementType::F32 && tensor.content == Content::Computed
        };
        let written: Vec<TensorId> = graph.nodes.iter().flat_map(|node| node.outputs.clone()).filter(real).collect();
        let inputs: Vec<usize> = graph.inputs.iter().map(|&id| graph.tensors[id].elements()).collect();
        let ids: Vec<TensorId> = graph.inputs.iter().copied().chain(written.iter().copied()).collect();
        let mut places = HashMap::new();
        for (at, &id) in ids.iter().enumerate() {
            places.entry(id).or_insert(at);
        }
        let elements = written.iter().map(|&id| graph.tensors[id].elements() as u64);
        let copies = elements.fold(0u64, |sum, count| sum.saturating_add(count.saturating_mul(4)));
        let limit = Limit::to_run(graph, options);
        let what = || "running the float network on the inputs".to_string();
        limit.make(copies, what)?;
        let options = Options { max_memory: options.max_memory, ..Options::default() };
        let compiled = compile_to_watch(graph.clone(), &written, &options)?;
        limit.make(memory(&compiled), what)?;
        let memory = copies.saturating_add(memory(&compiled));
        let known: HashMap<TensorId, usize> = compiled.tensors.into_iter().collect();
        let value = |id: &TensorId| match known.get(id) {
            None if graph.tensors[*id].elements() > 0 => Err(unreadable(graph, *id)),
            value => Ok(value.copied()),
        };
        let values = written.iter().map(value).collect::<Result<_>>()?;
        Ok(Self { bytes: compiled.bytes, ids, places, inputs, values, memory })
    }

    /// Returns the bytes that [`Self::run`] takes.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    /// Returns the first index of a tensor in [`Self::ids`].
    pub(super) fn place(&self, id: TensorId) -> Option<usize> {
        self.places.get(&id).copied()
    }

    /// Runs each sample and passes it to `take` with the tensors.
    pub(super) fn run<'a>(
        &self,
        samples: impl Iterator<Item = Sample<'a>>,
        mut take: impl FnMut(Sample<'a>, &[&[f32]]) -> Result<()>,
    ) -> Result<()> {
        let mut session = open(&self.bytes)?;
        let (before, written) = self.by_operator(&session.model());
        let mut copies: Vec<Vec<f32>> = vec![Vec::new(); self.values.len()];
        for sample in samples {
            if sample.first {
                session.reset();
            }
            let mut tensors: Vec<&[f32]> = parts(sample.numbers, &self.inputs).collect();
            for (k, numbers) in tensors.iter().enumerate() {
                write_input(&mut session, k, numbers)?;
            }
            // Copied at once: the memory of a tensor is reused after its last reader.
            let mut copy = |session: &OwnedSession, values: &[Pair]| {
                for &(at, value) in values {
                    copies[at].clear();
                    copies[at].extend_from_slice(session.value(value).as_slice().unwrap_or(&[]));
                }
            };
            copy(&session, &before);
            for written in &written {
                let _ = session.poll(Budget::layer());
                copy(&session, written);
            }
            tensors.extend(copies.iter().map(Vec::as_slice));
            take(sample, &tensors)?;
        }
        Ok(())
    }

    /// Returns (index in `values`, value) of the tensors that no operator writes (views of inputs, state), and of those
    /// that each operator writes.
    fn by_operator(&self, model: &Model<'_>) -> (Vec<Pair>, Vec<Vec<Pair>>) {
        let writers = writers(model);
        let (mut before, mut written) = (Vec::new(), vec![Vec::new(); model.op_count()]);
        for (at, value) in self.values.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?))) {
            let owner = model.value(value).alias.map_or(value, usize::from);
            match writers.get(&owner) {
                Some(&op) => written[op].push((at, value)),
                None => before.push((at, value)),
            }
        }
        (before, written)
    }
}

/// Returns the operator that writes each value of a plan.
pub(super) fn writers(model: &Model<'_>) -> HashMap<usize, usize> {
    (0..model.op_count()).map(|op| (usize::from(model.op(op).output), op)).collect()
}

/// Returns the bytes that a session of a compiled network takes, including its file.
pub(super) fn memory(compiled: &Compiled) -> u64 {
    u64::from(compiled.report.arena_len) + compiled.bytes.len() as u64
}

/// Splits a sample into the elements of each input.
fn parts<'a>(mut numbers: &'a [f32], sizes: &[usize]) -> impl Iterator<Item = &'a [f32]> {
    sizes.iter().map(move |&size| {
        let (part, rest) = numbers.split_at(size.min(numbers.len()));
        numbers = rest;
        part
    })
}

/// Sets input `k` to these f32 values, converted to its type.
pub(super) fn write_input(session: &mut OwnedSession, k: usize, numbers: &[f32]) -> Result<()> {
    session::write_input(session, k, numbers).map_err(|error| internal(&error))
}

/// Opens a session of a model that the compiler wrote.
pub(super) fn open(file: &[u8]) -> Result<OwnedSession> {
    OwnedSession::from_bytes(file).map_err(|error| internal(&format!("its own file does not run: {error}")))
}

/// Returns the error that a tensor has no value in the running network: an operator only passes a constant on, or the
/// operators that list it among their inputs do not read it.
fn unreadable(graph: &Graph, id: TensorId) -> QuantizeError {
    match graph.nodes.iter().find(|node| node.outputs.contains(&id)) {
        Some(node) => {
            graph.unsupported(node, "results that depend on an input, and that another operator reads").into()
        }
        None => internal(&format!("tensor `{}` cannot be read", graph.tensors[id].name)),
    }
}

/// Returns the error for a fault of the compiler.
pub(super) fn internal(what: &str) -> QuantizeError {
    QuantizeError::Compile(CompileError::Internal(what.to_string()))
}
