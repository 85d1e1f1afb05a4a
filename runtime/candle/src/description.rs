//! Describes which code computes what in a session.

use crate::cpu::Vectors;
use crate::engine::EngineChoice;
use crate::threads::threads;
use std::fmt;
use tealight_format::ops::BlockType;

/// Whose code computes an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// Candle's, on its threads.
    Candle,
    /// Tealight's kernels, on Candle's threads.
    TealightThreads,
    /// Tealight's kernels, on the caller's thread.
    Tealight,
}

/// Which code computes what in a session, and why. Displays as a few lines of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The engine that was chosen.
    pub engine: EngineChoice,
    /// The processor's features for block products.
    pub processor: &'static str,
    /// The number of threads that share an operator.
    pub threads: usize,
    /// Groups of operators, with the code that computes them.
    pub parts: Vec<DescriptionLine>,
}

/// A line of a [`Description`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptionLine {
    /// The operators.
    pub what: String,
    /// The code that computes them.
    pub runner: Runner,
    /// The reason.
    pub why: &'static str,
}

impl Description {
    pub(crate) fn new(engine: EngineChoice, vectors: Vectors) -> Self {
        let (threads, parts) = match engine {
            EngineChoice::Tealight => {
                let why = "the same bits as on a microcontroller";
                (1, vec![DescriptionLine { what: "all operators".into(), runner: Runner::Tealight, why }])
            }
            EngineChoice::Candle => (threads(), candle(vectors)),
        };
        Self { engine, processor: vectors.name(), threads, parts }
    }
}

fn candle(vectors: Vectors) -> Vec<DescriptionLine> {
    let mut parts = Vec::new();
    for runner in [Runner::Candle, Runner::TealightThreads] {
        let blocks = BlockType::ALL.iter().filter(|block| vectors.runner(**block) == runner);
        let names: Vec<_> = blocks.map(|block| block.name()).collect();
        if !names.is_empty() {
            let why = match (runner, vectors) {
                (Runner::Candle, _) => "Candle has vector code for them, which reads the weights in place",
                (_, Vectors::Neon) => {
                    "Candle's kernels need the dot product instructions, which this processor does not have"
                }
                _ => "Candle has only scalar code for them, of the same bits",
            };
            parts.push(DescriptionLine { what: format!("products of blocks {}", names.join(" ")), runner, why });
        }
    }
    let what = "f32 matrix products and convolutions".into();
    let why = match vectors {
        Vectors::None => "Candle multiplies in blocks that fit the caches, on all threads",
        _ => "Candle has vector code for them",
    };
    parts.push(DescriptionLine { what, runner: Runner::Candle, why });
    let (what, why) = ("all other operators".into(), "Candle has no faster code for them, and none for int8");
    parts.push(DescriptionLine { what, runner: Runner::Tealight, why });
    parts
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Candle => "Candle",
            Self::TealightThreads => "Tealight, on all threads",
            Self::Tealight => "Tealight",
        })
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engine, processor, threads, parts } = self;
        let s = if *threads == 1 { "" } else { "s" };
        write!(f, "engine {engine}, {threads} thread{s}, {processor}")?;
        for DescriptionLine { what, runner, why } in parts {
            write!(f, "\n  {what}: {runner} ({why})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_each_block_type_once_on_every_processor() {
        for vectors in [Vectors::Avx2, Vectors::DotProd, Vectors::Neon, Vectors::None] {
            let text = Description::new(EngineChoice::Candle, vectors).to_string();
            for block in BlockType::ALL {
                let count = text.split([' ', ':']).filter(|word| *word == block.name()).count();
                assert_eq!(count, 1, "{} in:\n{text}", block.name());
            }
        }
    }

    #[test]
    fn does_not_use_candles_block_kernels_where_they_are_illegal_instructions() {
        assert!(BlockType::ALL.iter().all(|&block| Vectors::Neon.runner(block) != Runner::Candle));
        assert!(BlockType::ALL.iter().any(|&block| Vectors::DotProd.runner(block) == Runner::Candle));
    }
}
