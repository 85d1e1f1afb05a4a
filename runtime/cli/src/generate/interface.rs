//! Checks whether a model is a language model.

use tealight::{DType, Model, Operator, Value};
use tealight_text::Tokenizer;

/// The interface of a language model: one token in, a score for every token out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    /// Positions that its state holds; `None` if there is no limit.
    pub(super) context: Option<u32>,
    /// Tokens that its plan for batches reads at a time; `None` if it has none.
    pub(super) batch: Option<usize>,
}

impl Interface {
    /// Checks that `model` takes a token and returns a score for each token of the tokenizer.
    ///
    /// # Errors
    /// Describes its actual inputs or outputs.
    pub(super) fn of(model: &Model<'_>, tokenizer: &Tokenizer) -> Result<Self, String> {
        let value = |index: Option<usize>| index.map(|index| model.value(index));
        let token = value(model.input(0)).filter(|input| input.dtype == DType::I32 && input.len == 4);
        if model.input_count() != 1 || token.is_none() {
            return Err("it must have one input, one I32 token".into());
        }
        let count = tokenizer.count();
        let all = |output: &Value| output.dtype == DType::F32 && output.len as usize / 4 == count;
        if model.output_count() != 1 || value(model.output(0)).filter(all).is_none() {
            return Err(format!("it must have one output, an F32 score for each of the {count} tokens"));
        }
        let capacity = |index| match model.op(index).operator {
            Operator::Positions(positions) => u32::try_from(positions.capacity).ok(),
            _ => None,
        };
        Ok(Self { context: (0..model.op_count()).filter_map(capacity).min(), batch: None })
    }

    /// The same interface, with the plan for batches, which must take several tokens and their count.
    ///
    /// # Errors
    /// Describes its actual inputs.
    pub(super) fn with_batch(self, batch: &Model<'_>) -> Result<Self, String> {
        let len = |i| batch.input_value(i).filter(|input| input.dtype == DType::I32).map_or(0, |input| input.len / 4);
        if batch.input_count() != 2 || len(0) == 0 || len(1) != 1 {
            return Err("its plan for batches must have two inputs, I32 tokens and the count of them".into());
        }
        Ok(Self { batch: Some(len(0) as usize), ..self })
    }
}
