//! FullyConnected against the sum of `(w - weights_zero_point) * (x - input_zero_point)`.

mod common;

use common::{Channels, by_rows, flat, for_seeds, indices};
use tealight_kernels::{ActivationRange, Channel, FullyConnected, fully_connected};

#[test]
fn fully_connected_equals_its_definition_and_rows_are_independent() {
    for_seeds(300, |rng| {
        let (batches, neurons, features) = (rng.size(1, 4), rng.size(1, 11), rng.size(1, 40));
        let input_zero_point = rng.zero_point();
        let p = FullyConnected {
            in_features: features,
            out_features: neurons,
            weights_zero_point: if rng.size(0, 2) == 0 { rng.zero_point() } else { 0 },
            output_zero_point: rng.zero_point(),
            activation: rng.activation(),
        };
        let input = rng.bytes(batches * features);
        let weights = rng.bytes(neurons * features);
        let layer = Channels::random(rng, neurons, features);
        let weights_zero_point = i64::from(p.weights_zero_point);
        let weight = |o, i| i64::from(weights[flat([neurons, features], [o, i])]);

        let expected: Vec<i8> = indices([batches, neurons])
            .map(|[n, o]| {
                let products = (0..features).map(|i| {
                    let x = i64::from(input[flat([batches, features], [n, i])]);
                    (weight(o, i) - weights_zero_point) * (x - i64::from(input_zero_point))
                });
                layer.output(o, products.sum(), p.output_zero_point, p.activation)
            })
            .collect();

        let channels = layer.folded(|o| {
            (0..features).map(|i| -i64::from(input_zero_point) * (weight(o, i) - weights_zero_point)).sum()
        });
        let output = by_rows(rng, batches * neurons, 1, |rows, output| {
            fully_connected(&p, rows, &input, &weights, &channels, output);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn an_accumulator_wraps() {
    let p = FullyConnected {
        in_features: 1,
        out_features: 1,
        weights_zero_point: 0,
        output_zero_point: 0,
        activation: ActivationRange::FULL,
    };
    let channels = [Channel { bias: i32::MAX, multiplier: 1 << 30, shift: 1 - 24 }];
    let mut output = [0];
    fully_connected(&p, 0..1, &[1], &[1], &channels, &mut output);
    // i32::MAX + 1 * 1 is i32::MIN.
    assert_eq!(output, [-128]);
}
