//! The output of a network that reconstructs its input: both drawn channel by channel, and the distance between them.

use serde::{Deserialize, Serialize};

/// How such a network is shown, `[reconstruction]` in its `demo.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconstruction {
    /// Names of the channels, which lie side by side, step after step.
    channels: Vec<String>,
    /// A score above it is an anomaly.
    threshold: f64,
}

/// The score of one inference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Mean squared difference of input and output.
    pub score: f64,
    /// Whether it is above the threshold.
    pub anomaly: bool,
}

/// Heights of a drawn value.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Reconstruction {
    /// What the score of an input and its output means.
    pub fn verdict(&self, input: &[f32], output: &[f32]) -> Verdict {
        let squares = input.iter().zip(output).map(|(a, b)| f64::from(a - b).powi(2));
        let score = squares.sum::<f64>() / input.len().max(1) as f64;
        Verdict { score, anomaly: score > self.threshold }
    }

    /// Input and output, a line for each channel, and the verdict.
    pub fn draw(&self, input: &[f32], output: &[f32]) -> String {
        let both = || input.iter().chain(output).copied();
        let (low, high) = both().fold((0.0_f32, 0.0_f32), |(low, high), value| (low.min(value), high.max(value)));
        let level = |value: &f32| {
            let part = (value - low) / (high - low).max(f32::MIN_POSITIVE);
            LEVELS.get((part * 7.0).round() as usize).copied().unwrap_or(' ')
        };
        let steps = input.len() / self.channels.len().max(1);
        let line = |values: &[f32], channel: usize| -> String {
            values.iter().skip(channel).step_by(self.channels.len()).map(level).collect()
        };
        let name = self.channels.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let mut text = format!("{:name$}  {:steps$}  as it came back\n", "", "window");
        for (channel, label) in self.channels.iter().enumerate() {
            text.push_str(&format!("{label:name$}  {}  {}\n", line(input, channel), line(output, channel)));
        }
        let Verdict { score, anomaly } = self.verdict(input, output);
        let (sign, word) = if anomaly { (">", "an anomaly") } else { ("<=", "normal") };
        text + &format!("score {score:.3} {sign} {:.3}: {word}\n", self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_comes_back_otherwise_is_an_anomaly() {
        let shown = Reconstruction { channels: vec!["x".into(), "long".into()], threshold: 0.5 };
        let input = [0.0, 7.0, 1.0, 6.0, 2.0, 5.0];
        assert_eq!(shown.verdict(&input, &input), Verdict { score: 0.0, anomaly: false });
        let drawn = shown.draw(&input, &input);
        assert!(drawn.contains("x     ▁▂▃  ▁▂▃\n") && drawn.contains("long  █▇▆  █▇▆\n"), "{drawn}");
        assert!(drawn.ends_with("score 0.000 <= 0.500: normal\n"), "{drawn}");
        let drawn = shown.draw(&input, &[1.0, 7.0, 1.0, 6.0, 2.0, 3.0]);
        assert!(drawn.ends_with("score 0.833 > 0.500: an anomaly\n"), "{drawn}");
    }
}
