//! A float graph, compiled so that every tensor can be read: each is an output of the model.

use super::{QuantizeError, Result};
use crate::error::CompileError;
use crate::graph::{Graph, TensorId};
use crate::{Options, compile_graph};
use tealight::{ALL_OPS, Block, Model, Session};

/// The compiled network.
#[derive(Debug)]
pub(super) struct FloatRun {
    bytes: Vec<u8>,
    /// The tensors that [`FloatRun::run`] gives, in that order: the input, then what each node writes.
    pub(super) ids: Vec<TensorId>,
}

impl FloatRun {
    /// Compiles a graph of one input.
    pub(super) fn new(graph: &Graph) -> Result<Self> {
        let written: Vec<TensorId> = graph.nodes.iter().flat_map(|node| node.outputs.iter().copied()).collect();
        let graph = Graph { outputs: written.clone(), ..graph.clone() };
        let ids = graph.inputs.iter().copied().chain(written).collect();
        let compiled = compile_graph(graph, "quantize", b"", &Options::default(), &mut |_, _| {})?;
        Ok(Self { bytes: compiled.bytes, ids })
    }

    /// Runs each sample and hands `take` its index and the tensors.
    pub(super) fn run<'a>(
        &self,
        samples: impl Iterator<Item = (usize, &'a [f32])>,
        mut take: impl FnMut(usize, &[&[f32]]) -> Result<()>,
    ) -> Result<()> {
        let mut file = aligned(&self.bytes);
        let model = parse(&mut file, self.bytes.len())?;
        let mut arena = arena(&model);
        let mut session = load(&model, &mut arena)?;
        for (index, sample) in samples {
            session.input(0).copy_from(sample).map_err(|error| internal(&format!("{error:?}")))?;
            session.run();
            let outputs = (0..model.output_count()).map(|i| session.output(i).as_f32());
            take(index, &std::iter::once(sample).chain(outputs).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// A file's bytes where a model may lie.
pub(super) fn aligned(bytes: &[u8]) -> Vec<Block> {
    let mut file = vec![Block::ZERO; Block::count(bytes.len())];
    Block::bytes_mut(&mut file)[..bytes.len()].copy_from_slice(bytes);
    file
}

/// The model in a file that the compiler wrote.
pub(super) fn parse(file: &mut [Block], len: usize) -> Result<Model<'_>> {
    Model::parse(&Block::bytes_mut(file)[..len]).map_err(|error| internal(&format!("its own file is refused: {error}")))
}

/// Memory for a session of `model`.
pub(super) fn arena(model: &Model<'_>) -> Vec<Block> {
    vec![Block::ZERO; Block::count(model.arena_len())]
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
