//! The choice of the next token, without memory of its own.
//!
//! It chooses as the sampler of `tealight-text` does among all tokens, so the board and `tealight generate` produce the
//! same text. That sampler sorts the scores; this one searches for the next lower score each time, which needs no
//! memory.

use core::cmp::Ordering;
use tealight::compare_scores;

/// Chooses one token after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampler {
    /// Divisor of the scores before softmax; 0 takes the highest score.
    pub(crate) temperature: f32,
    /// The state of the random number generator.
    pub(crate) random: u64,
}

impl Sampler {
    /// Returns the next token, given the scores of all; `None` if no score is a number. Of equal scores the first is
    /// the highest, and NaN is never chosen.
    pub(crate) fn next(&mut self, scores: &[f32]) -> Option<u32> {
        let (first, max) = descending(scores).next()?;
        // Written so that a NaN temperature takes the highest score.
        let tempered = self.temperature > 0.0;
        if !tempered || !max.is_finite() {
            return Some(first);
        }
        let weights = || {
            let weight = |(token, score): (u32, f32)| (token, libm::expf((score - max) / self.temperature));
            descending(scores).map(weight)
        };
        let sum = weights().fold(0.0_f32, |sum, (_, weight)| sum + weight);
        // A token whose weight is too small to change the sum is not chosen.
        let mut kept = 0.0_f32;
        let mut last = 0_usize;
        for (_, weight) in weights() {
            kept += weight;
            last = last.saturating_add(1);
            if kept >= sum {
                break;
            }
        }
        let mut point = unit(&mut self.random) * kept;
        let chosen = weights().take(last).find(|(_, weight)| {
            point -= weight;
            point < 0.0
        });
        Some(chosen.map_or(first, |(token, _)| token))
    }
}

/// Returns the tokens and their scores, the highest score first, without those whose score is NaN.
fn descending(scores: &[f32]) -> impl Iterator<Item = (u32, f32)> {
    let numbered = move || (0_u32..).zip(scores.iter().copied()).filter(|(_, score)| !score.is_nan());
    let order = |a: &(u32, f32), b: &(u32, f32)| compare_scores(b.1, a.1).then(a.0.cmp(&b.0));
    let mut before: Option<(u32, f32)> = None;
    core::iter::from_fn(move || {
        let rest = numbered().filter(|one| before.is_none_or(|before| order(&before, one) == Ordering::Less));
        before = rest.min_by(order);
        before
    })
}

/// Returns a number from 0 to below 1: the upper 24 bits of SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014).
fn unit(random: &mut u64) -> f32 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *random;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_the_same_tokens_as_the_host_sampler() {
        let mut random = 7;
        for case in 0..105_u32 {
            let count = 1 + (unit(&mut random) * 90.0) as usize;
            let mut scores: Vec<f32> = (0..count).map(|_| 20.0 * unit(&mut random) - 10.0).collect();
            // Equal scores, and NaN.
            if case % 3 == 0 {
                scores.iter_mut().for_each(|score| *score = score.round());
            }
            if let (Some(score), true) = (scores.get_mut(count / 2), case % 5 == 0) {
                *score = f32::NAN;
            }
            let temperature = if case % 7 == 0 { 0.0 } else { 0.1 + 2.0 * unit(&mut random) };
            let how = tealight_text::Sampling { temperature, seed: random, ..tealight_text::Sampling::default() };
            let mut theirs = tealight_text::Sampler::new(how);
            let mut ours = Sampler { temperature, random };
            for _ in 0..5 {
                assert_eq!(ours.next(&scores), theirs.next(&scores), "case {case}: {temperature}, {scores:?}");
            }
        }
    }

    #[test]
    fn without_scores_there_is_no_choice() {
        assert_eq!(Sampler { temperature: 1.0, random: 0 }.next(&[]), None);
        assert_eq!(Sampler { temperature: 1.0, random: 0 }.next(&[f32::NAN]), None);
        assert_eq!(Sampler { temperature: f32::NAN, random: 0 }.next(&[1.0, 2.0]), Some(1));
    }
}
