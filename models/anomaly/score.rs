//! The reconstruction error of a window, and how well it separates normal windows from anomalies.

/// Returns the mean squared difference of a window and its reconstruction: the score.
pub fn score(window: &[f32], back: &[f32]) -> f64 {
    let squares = window.iter().zip(back).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / window.len().max(1) as f64
}

/// Returns the area under the receiver operating characteristic: the share of pairs of a normal and an anomalous window
/// in which the anomalous one has the higher score; equal scores count half. NaN if there is no pair.
pub fn auc(normal: &[f64], anomalous: &[f64]) -> f64 {
    let mut sorted = normal.to_vec();
    sorted.sort_by(f64::total_cmp);
    let won = |score: &f64| {
        let (below, up_to) = (sorted.partition_point(|one| one < score), sorted.partition_point(|one| one <= score));
        (below + up_to) as f64 / 2.0
    };
    anomalous.iter().map(won).sum::<f64>() / (normal.len() * anomalous.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_mean_squared_difference() {
        assert_eq!(score(&[1.0, 2.0], &[1.0, 4.0]), 2.0);
    }

    #[test]
    fn the_auc_is_the_share_of_pairs_in_order() {
        assert_eq!(auc(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]), 0.0);
        assert_eq!(auc(&[1.0, 3.0], &[2.0, 3.0]), (0.5 + 0.75) / 2.0);
        assert!(auc(&[], &[1.0]).is_nan());
    }
}
