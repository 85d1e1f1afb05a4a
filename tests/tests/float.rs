//! Float networks: read from `.tflite`, run in float, calibrated, quantized, run again.

use tealight_compiler::Options;
use tealight_compiler::float::from_tflite;
use tealight_compiler::quantize::{Quantize, compile_float};
use tealight_tests::host::Host;
use tealight_tests::models::splitmix64;
use tealight_tests::ops::float_networks;

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn a_float_network_gives_what_the_reference_kernels_give() {
    let networks = float_networks();
    assert!(!networks.is_empty());
    for (name, case) in networks {
        let network = from_tflite(&case.model).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!case.steps.is_empty());
        for step in &case.steps {
            let found = network.run(&floats(&step.inputs[0])).unwrap();
            for (found, wanted) in found[network.output()].iter().zip(floats(&step.outputs[0])) {
                // The same products, summed in another order.
                assert!((found - wanted).abs() < 1e-5, "{name}: {found} against {wanted}");
            }
        }
    }
}

#[test]
fn a_float_network_quantized_stays_near_itself() {
    for (name, case) in float_networks() {
        let network = from_tflite(&case.model).unwrap();
        let mut state = 1;
        let mut number = || (splitmix64(&mut state) >> 40) as f32 / (1 << 23) as f32 * 2.0 - 2.0;
        let size = network.values()[network.input()].len();
        let samples: Vec<Vec<f32>> = (0..60).map(|_| (0..size).map(|_| number()).collect()).collect();
        let (compiled, report) =
            compile_float(&network, &samples, &Quantize::default(), &case.model, &Options::default()).unwrap();
        assert!(report.snr_db > 25.0, "{name}: {report:?}");
        let mut host = Host::new(&compiled.bytes).unwrap();
        let mut session = host.session();
        session.run();
        assert_eq!(session.output(0).as_i8().len(), 5);
    }
}
