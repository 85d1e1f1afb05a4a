//! Factors, none below zero, of the terms that are in a sum: few of many possible ones.
//!
//! The active set method of Lawson and Hanson, "Solving Least Squares Problems", chapter 23, with the relative errors as
//! residuals: the term with the steepest descent enters, until none helps or there are enough. The samples are then
//! weighted by their residuals, so that the sum of absolute errors is minimized and odd layers do not pull the others.

use super::Sample;
use std::collections::BTreeMap;

/// Counts below this weigh as much as this: the ticks of some boards' clocks are 40 instructions long.
const SMALL: f64 = 2_000.0;

/// A descent below this helps no more.
const FLAT: f64 = 1e-4;

/// How often samples are weighted by their residuals, and the residual below which they weigh the same.
const ROUNDS: usize = 3;
const CLOSE: f64 = 0.02;

/// The factors of the terms by their names, of at most so many terms.
pub(super) fn factors(samples: &[Sample], most_terms: usize) -> BTreeMap<String, f64> {
    let mut problem = Problem::new(samples, most_terms);
    let mut solution = Solution { factors: vec![0.0; problem.names.len()], active: Vec::new() };
    problem.solve(&mut solution);
    for _ in 0..ROUNDS {
        for row in &mut problem.rows {
            row.weight = CLOSE / row.residual(&solution.factors).abs().max(CLOSE);
        }
        problem.solve(&mut solution);
    }
    let rounded = |factor: f64| (factor * 1e4).round() / 1e4;
    let named = solution.active.iter().map(|&k| (problem.names[k].clone(), rounded(solution.factors[k])));
    named.filter(|(_, factor)| *factor > 0.0).collect()
}

/// The terms that are in the sum, and the factors of all.
struct Solution {
    factors: Vec<f64>,
    active: Vec<usize>,
}

/// A sample: its terms by index, and its count, both divided by the count.
struct Row {
    terms: Vec<(usize, f64)>,
    count: f64,
    weight: f64,
}

impl Row {
    fn residual(&self, factors: &[f64]) -> f64 {
        self.count - self.terms.iter().map(|&(k, term)| term * factors[k]).sum::<f64>()
    }

    fn term(&self, index: usize) -> f64 {
        self.terms.binary_search_by_key(&index, |(k, _)| *k).map_or(0.0, |at| self.terms[at].1)
    }
}

/// The samples with all names of terms.
struct Problem {
    names: Vec<String>,
    rows: Vec<Row>,
    most_terms: usize,
}

impl Problem {
    fn new(samples: &[Sample], most_terms: usize) -> Self {
        let names = samples.iter().flat_map(|sample| &sample.terms).map(|(name, _)| name.as_str());
        let names: std::collections::BTreeSet<&str> = names.collect();
        let names: Vec<&str> = names.into_iter().collect();
        let row = |sample: &Sample| {
            let scale = 1.0 / sample.instructions.max(SMALL);
            let index = |name: &str| names.binary_search(&name).ok();
            let terms = sample.terms.iter().filter_map(|(name, term)| Some((index(name)?, term * scale)));
            let mut terms: Vec<_> = terms.collect();
            terms.sort_by_key(|(k, _)| *k);
            Row { terms, count: sample.instructions * scale, weight: 1.0 }
        };
        let rows = samples.iter().map(row).collect();
        Self { rows, names: names.iter().map(ToString::to_string).collect(), most_terms }
    }

    /// Improves a solution.
    fn solve(&self, solution: &mut Solution) {
        let mut norms = vec![0.0; self.names.len()];
        for row in &self.rows {
            row.terms.iter().for_each(|&(k, term)| norms[k] += row.weight * term * term);
        }
        norms.iter_mut().for_each(|norm| *norm = f64::sqrt(*norm));
        let mut useless = vec![false; self.names.len()];
        // Weights may have changed the factors of the terms that are in the sum.
        self.solve_active(solution, &norms, &mut useless);
        for _ in 0..3 * self.most_terms {
            let Some(best) = self.steepest(solution, &norms, &useless) else { break };
            if solution.active.len() == self.most_terms {
                break;
            }
            solution.active.push(best);
            self.solve_active(solution, &norms, &mut useless);
        }
    }

    /// The term whose factor should be raised from 0.
    fn steepest(&self, solution: &Solution, norms: &[f64], useless: &[bool]) -> Option<usize> {
        let mut slopes = vec![0.0; norms.len()];
        for row in &self.rows {
            let residual = row.weight * row.residual(&solution.factors);
            row.terms.iter().for_each(|&(k, term)| slopes[k] += residual * term);
        }
        let free = |k: &usize| norms[*k] > 0.0 && !useless[*k] && !solution.active.contains(k);
        let slopes = (0..norms.len()).filter(free).map(|k| (slopes[k] / norms[k], k));
        let (slope, best) = slopes.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (slope > FLAT).then_some(best)
    }

    /// Finds the best factors of the active terms; those whose factor would not be positive leave the sum.
    fn solve_active(&self, solution: &mut Solution, norms: &[f64], useless: &mut [bool]) {
        let Solution { factors, active } = solution;
        while !active.is_empty() {
            let best = self.least_squares(active, norms);
            if best.iter().all(|factor| *factor > 0.0) {
                active.iter().zip(best).for_each(|(&k, factor)| factors[k] = factor);
                return;
            }
            // As far towards the best ones as all are positive.
            let room = |(at, best): (usize, &f64)| {
                let now = factors[active[at]];
                (if now > *best { now / (now - best) } else { 0.0 }, at)
            };
            let negative = best.iter().enumerate().filter(|(_, best)| **best <= 0.0);
            let Some((step, first)) = negative.map(room).min_by(|a, b| a.0.total_cmp(&b.0)) else { return };
            active.iter().zip(&best).for_each(|(&k, best)| factors[k] += step * (best - factors[k]));
            let left = active.remove(first);
            factors[left] = 0.0;
            useless[left] |= step == 0.0;
        }
    }

    /// Solves the normal equations of some terms, whose columns have the length 1, by elimination.
    fn least_squares(&self, active: &[usize], norms: &[f64]) -> Vec<f64> {
        let count = active.len();
        let mut matrix = vec![vec![0.0; count + 1]; count];
        for row in &self.rows {
            let terms: Vec<f64> = active.iter().map(|&k| row.term(k) / norms[k].max(f64::MIN_POSITIVE)).collect();
            for (i, line) in matrix.iter_mut().enumerate().filter(|(i, _)| terms[*i] != 0.0) {
                let factor = row.weight * terms[i];
                line.iter_mut().zip(&terms).for_each(|(sum, term)| *sum += factor * term);
                line[count] += factor * row.count;
            }
        }
        // Terms that depend on others stay solvable.
        matrix.iter_mut().enumerate().for_each(|(i, line)| line[i] += 1e-9);
        for i in 0..count {
            let pivot = (i..count).max_by(|&a, &b| matrix[a][i].abs().total_cmp(&matrix[b][i].abs())).unwrap_or(i);
            matrix.swap(i, pivot);
            let divisor = matrix[i][i];
            matrix[i].iter_mut().for_each(|value| *value /= divisor);
            let line = matrix[i].clone();
            for (other, values) in matrix.iter_mut().enumerate() {
                let factor = values[i];
                if other != i && factor != 0.0 {
                    values.iter_mut().zip(&line).for_each(|(value, of)| *value -= factor * of);
                }
            }
        }
        (0..count).map(|i| matrix[i][count] / norms[active[i]].max(f64::MIN_POSITIVE)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate::Random;
    use super::*;

    #[test]
    fn factors_of_an_exact_sum_are_found() {
        let mut random = Random(7);
        let samples: Vec<Sample> = (0..50)
            .map(|_| {
                let terms: Vec<f64> = (0..10).map(|_| f64::from(random.below(1000))).collect();
                let instructions = 5.0 * terms[0] + 2.5 * terms[3] + 0.25 * terms[9];
                let terms = terms.into_iter().enumerate().map(|(k, term)| (k.to_string(), term)).collect();
                Sample { terms, instructions }
            })
            .collect();
        let found = factors(&samples, 40);
        for (k, expected) in [("0", 5.0), ("1", 0.0), ("3", 2.5), ("9", 0.25)] {
            assert!((found.get(k).copied().unwrap_or(0.0) - expected).abs() < 0.01, "{found:?}");
        }
    }
}
