//! Weights of fully connected layers in pairs: two rows together, for products of two at a time.

/// Whether the rows of `[out_features, in_features]` weights can lie in pairs: they lie in fours, four inputs after four,
/// and inputs are read by eights.
pub const fn can_pair([out_features, in_features]: [usize; 2]) -> bool {
    out_features > 0 && in_features > 0 && out_features.is_multiple_of(4) && in_features.is_multiple_of(8)
}
