//! The highest elements of an output, as real values with their labels.

use crate::error::Result;
use crate::screen::Screen;
use crate::table::Table;
use crate::tensor_file::TensorKind;
use serde::Serialize;

/// One element of an output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Score {
    /// Its index among the output's elements.
    pub index: usize,
    /// Its label, if the model has labels.
    pub label: Option<String>,
    /// Its real value.
    pub value: f32,
    /// The element as it is stored.
    pub raw: f64,
}

/// The maximum width of a probability's bar.
const BAR: f32 = 24.0;

/// Returns the `count` highest elements of an output in the order of [`tealight::top_k`]: highest first, equal ones in
/// their order, NaN last.
pub(crate) fn top(kind: &TensorKind, bytes: &[u8], labels: &[String], count: usize) -> Vec<Score> {
    let size = kind.dtype.size() as usize;
    let elements = bytes.len() / size;
    let mut top = vec![(0, 0.0); count.min(elements)];
    let top = tealight::top_k(kind.numbers(bytes).map(|number| kind.floats_of(number)), &mut top);
    let score = |&(index, value): &(usize, f32)| {
        let raw = kind.numbers(&bytes[index * size..][..size]).next().unwrap_or(f64::NAN);
        Score { index, label: label(labels, index, elements), value, raw }
    };
    top.iter().map(score).collect()
}

/// Returns the label of element `index`, if every element has one.
fn label(labels: &[String], index: usize, count: usize) -> Option<String> {
    if labels.len() == count { labels.get(index).cloned() } else { None }
}

/// Prints the scores of each inference, under its heading, and each of its outputs.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(
    results: &[Vec<Vec<Score>>],
    headings: &[String],
    outputs: &[TensorKind],
    screen: &mut Screen,
) -> Result<()> {
    for (result, heading) in results.iter().zip(headings) {
        for (scores, kind) in result.iter().zip(outputs) {
            if results.len() > 1 || outputs.len() > 1 {
                let which = if outputs.len() > 1 { format!(", {kind}") } else { String::new() };
                screen.heading(&format!("{heading}{which}"), "")?;
            }
            screen.print(lines(scores, kind))?;
        }
    }
    Ok(())
}

/// Formats a line for each score; probabilities get a bar.
fn lines(scores: &[Score], kind: &TensorKind) -> String {
    let probabilities = scores.iter().all(|score| (0.0..=1.0).contains(&score.value));
    let mut table = Table::new().text("", 0).number("", 0).number("", 1).text("", 2);
    for score in scores {
        let name = score.label.clone().unwrap_or_else(|| format!("[{}]", score.index));
        let raw = if kind.quantization.scale > 0.0 { format!("({})", score.raw) } else { String::new() };
        let bar = if probabilities { "█".repeat((score.value * BAR).round() as usize) } else { String::new() };
        table.row([name, format!("{:.4}", score.value), raw, bar]);
    }
    table.draw(None).0.trim_start_matches('\n').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tealight_format::{DType, Quantization};

    fn kind(dtype: DType, scale: f32) -> TensorKind {
        TensorKind {
            name: "output 0".into(),
            dtype,
            shape: vec![1, 3],
            quantization: Quantization::new(scale, -128),
            len: 3,
        }
    }

    #[test]
    fn the_highest_come_first_dequantized_with_their_labels() {
        let labels = ["no", "yes", "maybe"].map(String::from);
        let scores = top(&kind(DType::I8, 0.5), &[0x80, 0x00, 0xff], &labels, 2);
        let found: Vec<_> = scores.iter().map(|s| (s.index, s.label.as_deref(), s.value, s.raw)).collect();
        assert_eq!(found, [(1, Some("yes"), 64.0, 0.0), (2, Some("maybe"), 63.5, -1.0)]);
    }

    #[test]
    fn equal_scores_keep_their_order_and_nan_comes_last() {
        let bytes: Vec<u8> = [f32::NAN, 1.0, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let scores = top(&kind(DType::F32, 0.0), &bytes, &[], 3);
        assert_eq!(scores.iter().map(|score| score.index).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(scores[0].label, None);
    }

    #[test]
    fn probabilities_have_bars_and_other_numbers_have_none() {
        let score = |value| Score { index: 0, label: None, value, raw: 0.0 };
        assert_eq!(lines(&[score(0.5), score(0.0)], &kind(DType::I8, 0.1)).matches('█').count(), 12);
        assert!(!lines(&[score(2.0)], &kind(DType::I8, 0.1)).contains('█'));
    }
}
