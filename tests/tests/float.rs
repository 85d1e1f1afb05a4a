//! Float networks: compiled as they are, and quantized.

use tealight_compiler::quantize::{Quantize, compile_float, import_float};
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::host::Host;
use tealight_tests::models::splitmix64;
use tealight_tests::nearness::{Nearness, near, reals};
use tealight_tests::ops::float_networks;

#[test]
fn a_float_network_gives_what_the_reference_kernels_give() {
    let networks = float_networks();
    assert!(!networks.is_empty());
    for (name, case) in networks {
        let compiled = compile_tflite(&case.model, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut host = Host::new(&compiled.bytes).unwrap();
        let mut session = host.session();
        assert!(!case.steps.is_empty());
        for step in &case.steps {
            session.input(0).copy_from(&step.inputs[0]).unwrap();
            session.run();
            let found = session.output(0).as_f32();
            near(found, &reals(&step.outputs[0]), Nearness::Tensor, 1.0).unwrap_or_else(|e| panic!("{name} {e}"));
        }
    }
}

#[test]
fn a_float_network_quantized_stays_near_itself() {
    for (name, case) in float_networks() {
        let network = import_float(&case.model, &Options::default()).unwrap();
        let mut state = 1;
        let mut number = || (splitmix64(&mut state) >> 40) as f32 / (1 << 23) as f32 * 2.0 - 2.0;
        let size = network.tensors[network.inputs[0]].elements();
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
