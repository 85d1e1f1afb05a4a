//! Float networks: compiled as they are, and quantized.

use tealight::OwnedSession;
use tealight_compiler::quantize::{Quantize, compile_float, import_float};
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::models::splitmix64;
use tealight_tests::ops::float_networks;
use tealight_tests::tolerance::{Tolerance, floats, near};

#[test]
fn a_float_network_matches_the_reference_kernels() {
    let networks = float_networks();
    assert!(!networks.is_empty());
    for (name, case) in networks {
        let compiled = compile_tflite(&case.model, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
        assert!(!case.steps.is_empty());
        for step in &case.steps {
            session.input(0).unwrap().copy_from_bytes(&step.inputs[0]).unwrap();
            session.run();
            let found = session.output(0).unwrap().as_slice::<f32>().unwrap();
            near(found, &floats(&step.outputs[0]), Tolerance::Tensor, 1.0).unwrap_or_else(|e| panic!("{name} {e}"));
        }
    }
}

/// Signal and noise of what the int8 network gives, against what the float one gives, in decibels.
fn snr_db(wanted: &[f32], found: &[f32]) -> f64 {
    let squares = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
    let signal = squares(&mut wanted.iter().copied());
    let noise = squares(&mut wanted.iter().zip(found).map(|(wanted, found)| wanted - found));
    10.0 * (signal / noise).log10()
}

#[test]
fn a_float_network_quantized_stays_near_itself() {
    let networks = float_networks();
    assert!(!networks.is_empty());
    for (name, case) in networks {
        let network = import_float(&case.model, &Options::default()).unwrap();
        let mut state = 1;
        let mut number = || (splitmix64(&mut state) >> 40) as f32 / (1 << 23) as f32 * 2.0 - 2.0;
        let size = network.tensors[network.inputs[0]].elements();
        let samples: Vec<Vec<f32>> = (0..80).map(|_| (0..size).map(|_| number()).collect()).collect();
        let (calibration, held_out) = samples.split_at(60);
        let quantize = Quantize { float_io: true, ..Quantize::default() };
        let (int8, report) = compile_float(&network, calibration, &quantize, &case.model, &Options::default()).unwrap();
        assert!(report.snr_db > 25.0, "{name}: {report:?}");

        // And measured here, on inputs that it was not made with.
        let float = compile_tflite(&case.model, &Options::default()).unwrap();
        let outputs = [&float.bytes, &int8.bytes].map(|file| {
            let mut session = OwnedSession::from_bytes(file).unwrap();
            let output = |input: &Vec<f32>| {
                session.input(0).unwrap().copy_from(input).unwrap();
                session.run();
                session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
            };
            held_out.iter().flat_map(output).collect::<Vec<f32>>()
        });
        let [wanted, found] = outputs;
        assert_eq!((wanted.len(), found.len()), (20 * 5, 20 * 5), "{name}");
        assert!(wanted.iter().any(|x| (x - wanted[0]).abs() > 0.01), "{name}: the outputs are all alike");
        let db = snr_db(&wanted, &found);
        assert!(db > 25.0, "{name}: {db} dB");
    }
}
