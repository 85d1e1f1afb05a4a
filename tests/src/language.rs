//! What the program `candle-llama` reports and `cargo xtask llm` reads: texts that were made, and how far scores agree.

use serde::{Deserialize, Serialize};

/// A text that was made.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Spoken {
    /// What came after the prompt.
    pub tokens: Vec<u32>,
    /// For the prompt and the first token.
    pub prompt_seconds: f64,
    /// For the other tokens.
    pub answer_seconds: f64,
    /// The most that the process had, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

/// How far scores agree, over all positions of a text.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Compared {
    /// How many there are.
    pub positions: usize,
    /// Positions at which Tealight and Candle would have gone on with the same token.
    pub same_choice: usize,
    /// Tealight's to Candle's.
    pub tealight_candle: Difference,
    /// Tealight's to exact ones.
    pub tealight_exact: Difference,
    /// Candle's to exact ones.
    pub candle_exact: Difference,
}

/// How far two lists of scores lie apart, as shares of the distance from the least to the greatest score of a position.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Difference {
    /// The greatest.
    pub worst: f64,
    /// The root of the mean square.
    pub rms: f64,
}

impl Difference {
    /// Of `a` and `b`, which hold `len` scores for each position.
    pub fn of(a: &[f32], b: &[f32], len: usize) -> Self {
        let (mut worst, mut squares) = (0.0f64, 0.0);
        for (a, b) in a.chunks(len).zip(b.chunks(len)) {
            let (min, max) = b.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), &x| (l.min(x), m.max(x)));
            for (a, b) in a.iter().zip(b) {
                let difference = f64::from((a - b).abs() / (max - min));
                worst = worst.max(difference);
                squares += difference * difference;
            }
        }
        Self { worst, rms: (squares / a.len() as f64).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_share_of_the_range_at_its_position() {
        let Difference { worst, rms } = Difference::of(&[0.0, 9.0, 4.0, 6.0], &[0.0, 10.0, 4.0, 8.0], 2);
        assert_eq!(worst, 0.5);
        assert!((rms - (0.26f64 / 4.0).sqrt()).abs() < 1e-7, "{rms}");
    }
}
