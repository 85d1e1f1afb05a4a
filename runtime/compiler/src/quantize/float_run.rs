//! A float graph, compiled so that every tensor can be read: each is an output of the model.

use super::samples::Sample;
use super::{QuantizeError, Result};
use crate::error::CompileError;
use crate::graph::{Content, ElementType, Graph, TensorId};
use crate::session;
pub(super) use crate::session::{aligned, arena, reals_of};
use crate::{Options, compile_to_measure};
use std::collections::HashMap;
use tealight::{ALL_OPS, Block, Model, Session};

/// The compiled network.
#[derive(Debug)]
pub(super) struct FloatRun {
    bytes: Vec<u8>,
    /// The tensors that [`FloatRun::run`] gives, in that order: the inputs, then what each node writes, but for state.
    pub(super) ids: Vec<TensorId>,
    /// The first place of each of them there.
    places: HashMap<TensorId, usize>,
    /// Elements of each input.
    inputs: Vec<usize>,
}

impl FloatRun {
    /// Compiles a graph of float32 tensors; those of other types are not given.
    pub(super) fn new(graph: &Graph) -> Result<Self> {
        let real = |&id: &TensorId| {
            let tensor = &graph.tensors[id];
            tensor.dtype == ElementType::F32 && tensor.content == Content::Computed
        };
        let written: Vec<TensorId> = graph.nodes.iter().flat_map(|node| node.outputs.clone()).filter(real).collect();
        let inputs = graph.inputs.iter().map(|&id| graph.tensors[id].elements()).collect();
        let ids: Vec<TensorId> = graph.inputs.iter().copied().chain(written.iter().copied()).collect();
        let mut places = HashMap::new();
        for (at, &id) in ids.iter().enumerate() {
            places.entry(id).or_insert(at);
        }
        let graph = Graph { outputs: written, ..graph.clone() };
        let compiled = compile_to_measure(graph, &Options::default())?;
        Ok(Self { bytes: compiled.bytes, ids, places, inputs })
    }

    /// The first place of a tensor in [`Self::ids`].
    pub(super) fn place(&self, id: TensorId) -> Option<usize> {
        self.places.get(&id).copied()
    }

    /// Runs each sample and hands it to `take` with the tensors.
    pub(super) fn run<'a>(
        &self,
        samples: impl Iterator<Item = Sample<'a>>,
        mut take: impl FnMut(Sample<'a>, &[&[f32]]) -> Result<()>,
    ) -> Result<()> {
        let mut file = aligned(&self.bytes);
        let model = parse(&mut file, self.bytes.len())?;
        let mut arena = arena(&model);
        let mut session = load(&model, &mut arena)?;
        for sample in samples {
            if sample.first {
                session.reset();
            }
            let mut tensors: Vec<&[f32]> = parts(sample.numbers, &self.inputs).collect();
            for (k, numbers) in tensors.iter().enumerate() {
                give(&mut session, k, numbers)?;
            }
            session.run();
            tensors.extend((0..model.output_count()).map(|i| session.output(i).as_f32()));
            take(sample, &tensors)?;
        }
        Ok(())
    }
}

/// A sample's elements, input by input.
fn parts<'a>(mut numbers: &'a [f32], sizes: &[usize]) -> impl Iterator<Item = &'a [f32]> {
    sizes.iter().map(move |&size| {
        let (part, rest) = numbers.split_at(size.min(numbers.len()));
        numbers = rest;
        part
    })
}

/// Gives input `k` these real numbers, in its type.
pub(super) fn give(session: &mut Session<'_, ALL_OPS>, k: usize, numbers: &[f32]) -> Result<()> {
    session::give(session, k, numbers).map_err(|error| internal(&error))
}

/// The model in a file that the compiler wrote.
pub(super) fn parse(file: &mut [Block], len: usize) -> Result<Model<'_>> {
    Model::parse(&Block::bytes_mut(file)[..len]).map_err(|error| internal(&format!("its own file is refused: {error}")))
}

/// A session of a model that the compiler wrote.
pub(super) fn load<'a>(model: &Model<'a>, arena: &'a mut [Block]) -> Result<Session<'a, ALL_OPS>> {
    Session::load(model, Block::bytes_mut(arena))
        .map_err(|error| internal(&format!("its own file does not run: {error:?}")))
}

/// The error that the compiler is at fault.
pub(super) fn internal(what: &str) -> QuantizeError {
    QuantizeError::Compile(CompileError::Internal(what.to_string()))
}
