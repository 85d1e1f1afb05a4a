//! Writes a WAV file's features, second by second: `cargo run -p tealight-audio --example features IN.wav OUT.bin`. The
//! output is an input file for `tealight run models/keyword/keyword.safetensors --input OUT.bin`.

use std::error::Error;
use tealight_audio::{Features, LogMel, SAMPLE_RATE};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &arguments[..] else { return Err("give a WAV file and a file for its features".into()) };
    let reader = hound::WavReader::open(input).map_err(|error| format!("{input}: {error}"))?;
    let spec = reader.spec();
    if (spec.sample_rate as usize, spec.channels, spec.bits_per_sample) != (SAMPLE_RATE, 1, 16) {
        return Err(format!("{input} must have one channel of 16 bits at {SAMPLE_RATE} Hz, not {spec:?}").into());
    }
    let mut samples = reader.into_samples().collect::<Result<Vec<i16>, _>>()?;
    samples.resize(samples.len().next_multiple_of(SAMPLE_RATE), 0);
    let mut bytes = Vec::new();
    for second in samples.chunks(SAMPLE_RATE) {
        let mut features = Features::<49, 40>::new();
        LogMel::<40>::new().push(second, |frame| features.push(frame));
        bytes.extend(features.as_slice().iter().map(|feature| feature.cast_unsigned()));
    }
    std::fs::write(output, &bytes).map_err(|error| format!("{output}: {error}"))?;
    println!("{} seconds of features in {output}", samples.len() / SAMPLE_RATE);
    Ok(())
}
