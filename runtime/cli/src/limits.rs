//! Limits of a model's memory and work when it is run. A file of a kilobyte can require 4 GiB, or hours.

use crate::error::{Error, Result};
use crate::size::{parse_count, parse_size};
use crate::table::{bytes, grouped};
use tealight::Model;

/// The default limit of the cost of one inference: seconds on a desktop processor. A ResNet-50 on images of 224×224
/// needs 4.1 billion multiply-accumulate operations, and costs somewhat more.
pub(crate) const INFERENCE: u64 = 8_000_000_000;

/// The default limit of the cost of a token of a small language model; a text has about a hundred of them.
#[cfg(feature = "generate")]
pub(crate) const TOKEN: u64 = 64_000_000;

/// The limit of the cost of an inference for each byte of the file, if that is more: a language model uses each of its
/// weights once for a token. A byte of blocks costs up to 14; attention over a long context is added to that.
const WORK_PER_BYTE: u64 = 32;

/// The default limit of the arena, in bytes.
const MEMORY: u64 = 512 << 20;

/// Options that limit the resources of a model.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Limits {
    /// Refuse a model that needs more memory than this for its arena (state, caches and activations); the default is
    /// 512M
    ///
    /// Bytes, or with a unit: 512M, 2G. A .tflite or .gguf that is compiled in memory may use the same amount for its
    /// constants. `tealight inspect` shows how much a model needs. The arena of a language model grows with its
    /// context.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_memory: Option<u64>,
    /// Refuse a model if one inference costs more than this
    ///
    /// A number, or with a unit: 500M, 20G (powers of 1000). `tealight inspect --json` shows the cost of an inference.
    /// The default is 8G for `run` and 64M per token for `generate`, or 32 per byte of the model file if that is more.
    #[arg(long, value_name = "COST", value_parser = parse_count)]
    max_work: Option<u64>,
}

impl Limits {
    /// Checks the requirements of `model`; `work` is the default limit of the cost of an inference.
    ///
    /// # Errors
    /// They exceed a limit; the message names the option.
    pub(crate) fn check(&self, model: &Model<'_>, work: u64) -> Result<()> {
        self.check_batch(model, work, 1)
    }

    /// [`check`](Self::check) for a model whose inference is the work of `count`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn check_batch(&self, model: &Model<'_>, work: u64, count: u64) -> Result<()> {
        let arena = model.arena_len() as u64;
        let limit = self.max_memory.unwrap_or(MEMORY);
        if arena > limit {
            let what = format!("the model needs {} for its arena, more than the {}", bytes(arena), bytes(limit));
            return Err(Error::new(format!("{what} that --max-memory allows"))
                .help(format!("if you trust the model and have the memory, give --max-memory {arena} or more")));
        }
        let (cost, file) = (model.cost(), model.bytes().len() as u64);
        let limit = self.max_work.unwrap_or_else(|| work.max(file.saturating_mul(WORK_PER_BYTE)));
        let cost = cost.div_ceil(count.max(1));
        if cost > limit {
            let what = format!("one inference of the model costs {} units of about a", grouped(cost));
            return Err(Error::new(format!(
                "{what} multiply-accumulate, more than the {} of --max-work",
                grouped(limit)
            ))
            .help(format!("if you trust the model and have the time, give --max-work {cost} or more")));
        }
        Ok(())
    }
}
