//! The choice of the next token.

use std::cmp::Ordering;
use tealight::compare_scores;

/// Options for the choice of the next token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divisor of the scores before softmax; 0 takes the highest score.
    pub temperature: f32,
    /// The number of highest scores to choose from; 0 for all.
    pub top_k: usize,
    /// Choose among the highest scores whose probabilities add up to this; 1 for all.
    pub top_p: f32,
    /// Seed of the random choices: the same seed leads to the same choices on every computer.
    pub seed: u64,
}

impl Default for Sampling {
    /// Takes the highest score.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

/// Chooses tokens, one after another.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: Sampling,
    random: u64,
    /// Scores and their tokens, kept so that a choice does not allocate.
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    /// Creates a sampler from its options and seed.
    pub fn new(options: Sampling) -> Self {
        Self { options, random: options.seed, candidates: Vec::new() }
    }

    /// Returns the next token, given the scores of all tokens; `None` if all scores are NaN. Scores are compared as by
    /// [`tealight::compare_scores`], and of equal scores the first is the highest. A token whose score is NaN is never
    /// chosen.
    pub fn next(&mut self, scores: &[f32]) -> Option<u32> {
        let Sampling { temperature, top_k, top_p, .. } = self.options;
        if temperature <= 0.0 || top_k == 1 {
            return tealight::argmax(scores.iter().copied()).map(|(token, _)| token as u32);
        }
        self.candidates.clear();
        self.candidates.extend(scores.iter().copied().zip(0..).filter(|(score, _)| !score.is_nan()));
        if top_k > 0 && top_k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(top_k, best_first);
            self.candidates.truncate(top_k);
        }
        self.candidates.sort_unstable_by(best_first);
        let (max, first) = *self.candidates.first()?;
        if !max.is_finite() {
            return Some(first);
        }
        // From here on, scores are replaced by weights; libm's results are the same on every computer.
        let mut sum = 0.0;
        for (score, _) in &mut self.candidates {
            *score = libm::expf((*score - max) / temperature);
            sum += *score;
        }
        let mut kept = 0.0;
        let enough = self.candidates.iter().position(|(weight, _)| {
            kept += weight;
            kept >= top_p * sum
        });
        self.candidates.truncate(enough.map_or(self.candidates.len(), |last| last + 1));
        let sum: f32 = self.candidates.iter().map(|(weight, _)| weight).sum();
        let mut point = self.unit() * sum;
        let chosen = self.candidates.iter().find(|(weight, _)| {
            point -= weight;
            point < 0.0
        });
        Some(chosen.map_or(first, |&(_, token)| token))
    }

    /// Returns a number from 0 to below 1: the upper 24 bits of SplitMix64 (Steele, Lea and Flood, "Fast splittable
    /// pseudorandom number generators", 2014).
    fn unit(&mut self) -> f32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
    }
}

/// Orders scores with their tokens: the highest score first, then the lowest token.
fn best_first(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    compare_scores(b.0, a.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::{Sampler, Sampling};

    /// Counts how often each of `scores` is chosen in 4000 draws.
    fn counts(options: Sampling, scores: &[f32]) -> Vec<usize> {
        let mut sampler = Sampler::new(options);
        let mut counts = vec![0; scores.len()];
        for _ in 0..4000 {
            counts[sampler.next(scores).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn takes_the_highest_score_and_the_first_of_equals() {
        let mut sampler = Sampler::new(Sampling::default());
        assert_eq!(sampler.next(&[0.0, 3.0, f32::NAN, 3.0]), Some(1));
        assert_eq!(sampler.next(&[f32::NAN, f32::NEG_INFINITY]), Some(1));
        assert_eq!(sampler.next(&[f32::NAN]), None);
        assert_eq!(sampler.next(&[]), None);
    }

    #[test]
    fn choices_follow_the_softmax_of_the_scores_at_the_temperature() {
        let scores = [1.0f32, 2.0, 0.0, 1.5];
        for temperature in [0.5f32, 1.0, 2.0] {
            let weights: Vec<f64> = scores.iter().map(|score| f64::from(score / temperature).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let counts = counts(Sampling { temperature, seed: 7, ..Sampling::default() }, &scores);
            for (count, weight) in counts.iter().zip(&weights) {
                let (expected, got) = (weight / sum, *count as f64 / 4000.0);
                // Four standard deviations of 4000 draws are at most 0.032.
                assert!((expected - got).abs() < 0.032, "{temperature}: {got} instead of {expected}");
            }
        }
    }

    #[test]
    fn never_chooses_what_top_k_and_top_p_exclude() {
        let scores = [1.0, 4.0, 3.0, 2.0];
        let hot = Sampling { temperature: 10.0, seed: 1, ..Sampling::default() };
        let of = |options| counts(options, &scores).iter().map(|count| *count > 0).collect::<Vec<_>>();
        assert_eq!(of(hot), [true, true, true, true]);
        assert_eq!(of(Sampling { top_k: 2, ..hot }), [false, true, true, false]);
        // At this temperature the probabilities are about 0.23, 0.29, 0.26 and 0.22: three of them reach 0.7.
        assert_eq!(of(Sampling { top_p: 0.7, ..hot }), [false, true, true, true]);
        assert_eq!(of(Sampling { top_p: 0.0, ..hot }), [false, true, false, false]);
    }

    #[test]
    fn a_seed_repeats_its_choices_and_another_does_not() {
        let scores: Vec<f32> = (0..50).map(|i| (i % 7) as f32 / 3.0).collect();
        let run = |seed| {
            let mut sampler = Sampler::new(Sampling { temperature: 1.0, seed, ..Sampling::default() });
            (0..20).map(|_| sampler.next(&scores).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}
