//! Reproducible randomness: the same seed gives the same weights, order and distortions on every machine.

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::Init;
use candle_nn::init::NormalOrUniform;
use candle_nn::var_builder::SimpleBackend;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A generator: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Creates a generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a value uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a value uniform in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// Returns an integer uniform in `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.unit() * count as f64) as usize
    }

    /// Returns a value from the standard normal distribution, by the Box-Muller transform.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Shuffles a slice (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// Initial weights: created when a model requests them by name, each from its own generator.
#[derive(Debug, Clone)]
pub struct VarInit {
    seed: u64,
    made: Arc<Mutex<BTreeMap<String, Var>>>,
}

impl VarInit {
    /// Creates the source of the weights that `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self { seed, made: Arc::default() }
    }

    /// Returns all weights created so far, by name.
    pub fn weights(&self) -> BTreeMap<String, Var> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SimpleBackend for VarInit {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(var) = made.get(name) {
            return Ok(var.as_tensor().clone());
        }
        let seed = name.bytes().fold(self.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let mut random = Random::new(seed);
        let mut draw: Box<dyn FnMut() -> f64> = match init {
            Init::Const(value) => Box::new(move || value),
            Init::Randn { mean, stdev } => Box::new(move || mean + stdev * random.normal()),
            Init::Uniform { lo, up } => Box::new(move || random.between(lo, up)),
            Init::Kaiming { dist, fan, non_linearity } => {
                let deviation = non_linearity.gain() / (fan.for_shape(&shape) as f64).sqrt();
                match dist {
                    NormalOrUniform::Normal => Box::new(move || deviation * random.normal()),
                    NormalOrUniform::Uniform => Box::new(move || deviation * 3f64.sqrt() * random.between(-1.0, 1.0)),
                }
            }
        };
        let values: Vec<f32> = (0..shape.elem_count()).map(|_| draw() as f32).collect();
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)?;
        made.insert(name.to_string(), var.clone());
        Ok(var.as_tensor().clone())
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("the weight {name} is requested without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_nn::VarBuilder;

    #[test]
    fn a_seed_determines_the_weights() {
        let weights = |seed| {
            let init = VarInit::new(seed);
            let vb = VarBuilder::from_backend(Box::new(init.clone()), DType::F32, Device::Cpu);
            candle_nn::linear(3, 2, vb.pp("fc")).unwrap();
            assert_eq!(init.weights().keys().collect::<Vec<_>>(), ["fc.bias", "fc.weight"]);
            init.weights()["fc.weight"].flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(7).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
