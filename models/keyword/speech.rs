//! Speech from the programs `espeak-ng` and `flite`, at 16 kHz, kept in the cache.

use super::voices::{Engine, Utterance};
use crate::progress::Bar;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use tealight_audio::SAMPLE_RATE;

/// Returns the sound of every utterance, in the same order: 16 kHz, without the silence around the word. It is read
/// from the cache, or synthesized; `what` is shown. Results are cached in blocks, so an interrupted run can continue.
///
/// # Errors
/// If a program is not installed or fails, or a file cannot be read or written.
pub fn synthesize(cache: &Path, what: &str, utterances: &[Utterance]) -> Result<Vec<Vec<i16>>> {
    let versions = format!("{} {}", version("espeak-ng")?, version("flite")?);
    let folder = cache.join("speech");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let bar = Bar::new(&format!("synthesizing {} words, {what}", utterances.len()), utterances.len());
    let mut clips = Vec::with_capacity(utterances.len());
    for block in utterances.chunks(BLOCK) {
        let key = crate::export::sha256(format!("{versions} {block:?}").as_bytes());
        let file = folder.join(format!("{}.bin", &key[..32]));
        let kept = std::fs::read(&file).ok().and_then(|bytes| unpacked(&bytes));
        if let Some(kept) = kept.filter(|kept| kept.len() == block.len()) {
            clips.extend(kept);
        } else {
            let spoken = spoken(block)?;
            crate::export::write(&file, &packed(&spoken))?;
            clips.extend(spoken);
        }
        bar.step(clips.len());
    }
    bar.finish();
    Ok(clips)
}

/// The number of utterances in a file of the cache.
const BLOCK: usize = 200;

/// Returns the version of a program: another version may sound different.
fn version(program: &str) -> Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot start {program}; install the package `{program}`"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    // The location of its data is not part of it.
    Ok(text.lines().filter(|line| line.contains("ersion") || line.contains("NG")).collect::<String>())
}

/// Runs the programs on all processors; results are in the order of the utterances.
fn spoken(utterances: &[Utterance]) -> Result<Vec<Vec<i16>>> {
    let folder = tempfile::tempdir()?;
    let (next, workers) = (AtomicUsize::new(0), std::thread::available_parallelism().map_or(1, usize::from));
    let work = |worker: usize| -> Result<Vec<(usize, Vec<i16>)>> {
        let file = folder.path().join(format!("{worker}.wav"));
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(utterance) = utterances.get(index) else { return Ok(done) };
            done.push((
                index,
                one(utterance, &file).with_context(|| {
                    format!("cannot synthesize `{}` in the voice {}", utterance.text, utterance.voice)
                })?,
            ));
        }
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut clips = vec![Vec::new(); utterances.len()];
    for result in results {
        let Ok(done) = result else { bail!("a thread of the speech synthesis panicked") };
        for (index, clip) in done? {
            clips[index] = clip;
        }
    }
    Ok(clips)
}

/// Synthesizes one utterance, through the file.
fn one(utterance: &Utterance, file: &PathBuf) -> Result<Vec<i16>> {
    let Utterance { voice, speed, pitch, text, .. } = utterance;
    let mut command = match utterance.engine {
        Engine::Espeak => {
            let mut command = Command::new("espeak-ng");
            command.args(["-v", voice, "-s", &speed.to_string(), "-p", &pitch.to_string(), "-w"]).arg(file).arg(text);
            command
        }
        Engine::Flite => {
            let mut command = Command::new("flite");
            command.args(["-voice", voice, "--setf", &format!("duration_stretch={}", f64::from(*speed) / 100.0)]);
            command.args(["--setf", &format!("int_f0_target_mean={pitch}"), "-t", text, "-o"]).arg(file);
            command
        }
    };
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let (samples, rate) = read(file)?;
    let ratio = f64::from(rate) / SAMPLE_RATE as f64 * f64::from(utterance.play) / 100.0;
    let whole = resampled(&samples, ratio);
    let clip = trimmed(&whole);
    // No word is shorter than a twentieth of a second.
    if clip.len() < SAMPLE_RATE / 20 {
        bail!("{program} wrote {} samples, too few for a word", clip.len());
    }
    Ok(clip.iter().map(|x| x.round() as i16).collect())
}

/// Returns a mono 16-bit WAV file's samples and rate.
///
/// # Errors
/// If it is not such a file.
pub fn read(file: &Path) -> Result<(Vec<f32>, u32)> {
    let reader = hound::WavReader::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 {
        bail!("{} has {} channels of {} bits, not one of 16", file.display(), spec.channels, spec.bits_per_sample);
    }
    let samples = reader.into_samples::<i16>().map(|sample| Ok(f32::from(sample?))).collect::<Result<_>>();
    Ok((samples.with_context(|| format!("in {}", file.display()))?, spec.sample_rate))
}

/// Resamples to play `ratio` times faster: a windowed sinc (Hann) that keeps the frequencies of both rates.
pub fn resampled(samples: &[f32], ratio: f64) -> Vec<f32> {
    /// The number of zero crossings of the sinc on each side.
    const REACH: usize = 16;
    /// The number of table entries between two of them.
    const FINE: usize = 128;
    let kernel: Vec<f64> = (0..=REACH * FINE + 1)
        .map(|point| {
            let x = point as f64 / FINE as f64;
            let angle = std::f64::consts::PI * x;
            let sinc = if point == 0 { 1.0 } else { angle.sin() / angle };
            sinc * (0.5 + 0.5 * (angle / REACH as f64).cos())
        })
        .collect();
    let cutoff = (1.0 / ratio).min(1.0);
    let reach = REACH as f64 / cutoff;
    let one = |index: usize| {
        let centre = index as f64 * ratio;
        let first = (centre - reach).max(0.0).ceil() as usize;
        let last = ((centre + reach) as usize).min(samples.len().saturating_sub(1));
        let mut sum = 0.0;
        for (at, &sample) in samples.iter().enumerate().take(last + 1).skip(first) {
            let paths = (at as f64 - centre).abs() * cutoff * FINE as f64;
            let (point, part) = (paths as usize, paths.fract());
            if let Some([before, after]) = kernel.get(point..point + 2) {
                sum += f64::from(sample) * (before + (after - before) * part);
            }
        }
        (sum * cutoff) as f32
    };
    (0..(samples.len() as f64 / ratio) as usize).map(one).collect()
}

/// Returns the sound from the first to the last 10 ms that are less than 40 dB below the maximum, with 10 ms around it.
fn trimmed(samples: &[f32]) -> &[f32] {
    const STEP: usize = SAMPLE_RATE / 100;
    let energies: Vec<f32> = samples.chunks(STEP).map(|chunk| chunk.iter().map(|x| x * x).sum()).collect();
    let min = energies.iter().copied().fold(0.0, f32::max) * 1e-4;
    let loud = |energy: &f32| *energy > min;
    let first = energies.iter().position(loud).unwrap_or(0).saturating_sub(1) * STEP;
    let last = energies.iter().rposition(loud).map_or(0, |last| (last + 2) * STEP).min(samples.len());
    samples.get(first..last).unwrap_or(&[])
}

/// Serializes clips: each clip's length in samples, then its samples.
fn packed(clips: &[Vec<i16>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for clip in clips {
        bytes.extend((clip.len() as u32).to_le_bytes());
        bytes.extend(clip.iter().flat_map(|sample| sample.to_le_bytes()));
    }
    bytes
}

fn unpacked(mut bytes: &[u8]) -> Option<Vec<Vec<i16>>> {
    let mut clips = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (clip, rest) = rest.split_at_checked(2 * u32::from_le_bytes(*length) as usize)?;
        clips.push(clip.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect());
        bytes = rest;
    }
    bytes.is_empty().then_some(clips)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resampled_sine_is_the_sine_at_the_new_rate() {
        let sine = |hertz: f64, rate: f64, n: usize| (std::f64::consts::TAU * hertz * n as f64 / rate).sin() as f32;
        for (rate, hertz) in [(22_050.0, 700.0), (22_050.0, 6_000.0), (8_000.0, 2_500.0), (17_000.0, 440.0)] {
            let source: Vec<f32> = (0..4_000).map(|n| sine(hertz, rate, n)).collect();
            let found = resampled(&source, rate / 16_000.0);
            for (n, found) in found.iter().enumerate().take(found.len() - 100).skip(100) {
                let wanted = sine(hertz, 16_000.0, n);
                assert!((found - wanted).abs() < 0.01, "{hertz} Hz at {rate}, sample {n}: {found} against {wanted}");
            }
        }
        // Frequencies above the new rate's limit are removed.
        let high: Vec<f32> = (0..4_000).map(|n| sine(10_000.0, 22_050.0, n)).collect();
        assert!(resampled(&high, 22_050.0 / 16_000.0).iter().skip(100).take(2_500).all(|x| x.abs() < 0.01));
    }

    #[test]
    fn silence_around_a_word_is_cut_off() {
        let mut samples = vec![0.0; 3_200];
        samples.extend([1_000.0; 4_800]);
        samples.extend([5.0; 3_200]);
        assert_eq!(trimmed(&samples).len(), 4_800 + 320);
        assert!(trimmed(&[]).is_empty());
    }

    #[test]
    fn clips_are_cached_unchanged_and_a_truncated_file_is_not_used() {
        let clips = vec![vec![1, -2, i16::MIN], vec![], vec![i16::MAX]];
        let bytes = packed(&clips);
        assert_eq!(unpacked(&bytes), Some(clips));
        assert_eq!(unpacked(&bytes[..bytes.len() - 1]), None);
    }
}
