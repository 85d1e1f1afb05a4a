//! What a network answered: its outputs as numbers, and the highest of them with their labels.

use serde::Serialize;
use tealight_cli::visible;

/// One output element.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Its place in the output.
    pub index: usize,
    /// Its label, if the model has labels.
    pub label: Option<String>,
    /// Its real value.
    pub value: f32,
}

/// The `count` highest of `values` in the order of [`tealight::top_k`]: highest first, equal ones in their order, NaN
/// last.
pub fn top(values: &[f32], labels: &[String], count: usize) -> Vec<Score> {
    let mut top = vec![(0, 0.0); count.min(values.len())];
    let top = tealight::top_k(values.iter().copied(), &mut top);
    top.iter().map(|&(index, value)| Score { index, label: labels.get(index).cloned(), value }).collect()
}

/// One line a score; probabilities get a bar.
pub fn lines(scores: &[Score]) -> String {
    let label = |label: &String| visible(label).into_owned();
    let name = |score: &Score| score.label.as_ref().map_or_else(|| format!("output {}", score.index), label);
    let width = scores.iter().map(|score| name(score).chars().count()).max().unwrap_or(0);
    let probabilities = scores.iter().all(|score| (0.0..=1.0).contains(&score.value));
    let mut text = String::new();
    for score in scores {
        let bar = if probabilities { bar(score.value) } else { String::new() };
        let line = format!("{:<width$}  {:>9.4}  {bar}", name(score), score.value);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A bar of up to 24 blocks for 0 to 1.
fn bar(value: f32) -> String {
    "█".repeat((value * 24.0).round() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_come_first_with_their_labels() {
        let labels = ["a".to_string(), "b".to_string()];
        let scores = top(&[0.1, 0.7, 0.2], &labels, 2);
        assert_eq!((scores[0].index, scores[0].label.as_deref()), (1, Some("b")));
        assert_eq!((scores[1].index, scores[1].label.as_deref()), (2, None));
        assert_eq!(scores.len(), 2);
    }

    #[test]
    fn a_label_shows_as_itself_whatever_a_terminal_would_obey() {
        let drawn = lines(&top(&[0.5], &["a\x1b[2J\nb".to_string()], 1));
        assert!(drawn.contains("a\\u{1b}[2J\\nb") && drawn.lines().count() == 1, "{drawn}");
    }

    #[test]
    fn equal_scores_keep_their_order_and_nan_comes_last() {
        let scores = top(&[1.0, f32::NAN, 1.0], &[], 9);
        assert_eq!(scores.iter().map(|score| score.index).collect::<Vec<_>>(), [0, 2, 1]);
    }

    #[test]
    fn probabilities_are_drawn_and_other_numbers_are_not() {
        let drawn = lines(&top(&[0.5, 0.25], &[], 2));
        assert_eq!(drawn.matches('█').count(), 18);
        assert!(drawn.contains("output 0"));
        assert!(!lines(&top(&[5.0, 0.25], &[], 2)).contains('█'));
    }
}
