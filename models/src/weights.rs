//! Checkpoints: safetensors files of float weights. A checkpoint must contain exactly the weights that the model
//! requests, with the model's shapes.

use candle_core::{DType, Device, Error, Result, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The reason why a checkpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// A weight that the model requests is missing.
    #[error("the checkpoint has no weight `{name}` {shape:?}; it has: {known}")]
    Missing {
        /// Its name.
        name: String,
        /// The shape in the model.
        shape: Vec<usize>,
        /// The names in the checkpoint.
        known: String,
    },
    /// A weight has another shape than in the model.
    #[error("the weight `{name}` is {found:?} in the checkpoint; the model takes {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its shape in the checkpoint.
        found: Vec<usize>,
        /// Its shape in the model.
        expected: Vec<usize>,
    },
    /// There are weights that the model does not request.
    #[error("the checkpoint has weights that the model does not use: {0}")]
    Unknown(String),
}

struct Checkpoint {
    weights: HashMap<String, Tensor>,
    used: Arc<Mutex<BTreeSet<String>>>,
}

impl SimpleBackend for Checkpoint {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, _: &Device) -> Result<Tensor> {
        let Some(weight) = self.weights.get(name) else {
            let mut known: Vec<&str> = self.weights.keys().map(String::as_str).collect();
            known.sort_unstable();
            let (name, shape) = (name.to_string(), shape.dims().to_vec());
            return Err(Error::wrap(WeightError::Missing { name, shape, known: known.join(", ") }));
        };
        if weight.shape() != &shape {
            let (found, expected) = (weight.dims().to_vec(), shape.dims().to_vec());
            return Err(Error::wrap(WeightError::Shape { name: name.to_string(), found, expected }));
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string());
        weight.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("the weight {name} is requested without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.weights.contains_key(name)
    }
}

/// Loads a model from the bytes of a safetensors file.
///
/// [`WeightError`] in Candle's error, or if the file is not a safetensors file.
/// [`WeightError`] in Candle's error, or that the file is not one.
pub fn load<M>(file: &[u8], model: impl FnOnce(VarBuilder) -> Result<M>) -> Result<M> {
    let weights = candle_core::safetensors::load_buffer(file, &Device::Cpu)?;
    let used = Arc::<Mutex<BTreeSet<String>>>::default();
    let names: BTreeSet<String> = weights.keys().cloned().collect();
    let checkpoint = Checkpoint { weights, used: used.clone() };
    let model = model(VarBuilder::from_backend(Box::new(checkpoint), DType::F32, Device::Cpu))?;
    let used = used.lock().unwrap_or_else(PoisonError::into_inner);
    let unknown: Vec<&str> = names.difference(&used).map(String::as_str).collect();
    if unknown.is_empty() { Ok(model) } else { Err(Error::wrap(WeightError::Unknown(unknown.join(", ")))) }
}

/// Returns weights as the bytes of a safetensors file.
///
/// # Errors
/// Errors of Candle.
pub fn save(weights: &BTreeMap<String, Var>) -> Result<Vec<u8>> {
    let tensors: BTreeMap<&str, &Tensor> = weights.iter().map(|(name, var)| (name.as_str(), var.as_tensor())).collect();
    safetensors::serialize(tensors, None).map_err(Error::wrap)
}

/// Like [`save`], with weights rounded to f16.
///
/// # Errors
/// Errors of Candle.
pub fn save_f16(weights: &BTreeMap<String, Var>) -> Result<Vec<u8>> {
    let rounded = weights.iter().map(|(name, var)| Ok((name.as_str(), var.as_tensor().to_dtype(DType::F16)?)));
    safetensors::serialize(rounded.collect::<Result<BTreeMap<&str, Tensor>>>()?, None).map_err(Error::wrap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::linear;

    fn checkpoint(shapes: &[(&str, &[usize])]) -> Vec<u8> {
        let tensors: BTreeMap<&str, Tensor> = shapes
            .iter()
            .map(|(name, shape)| (*name, Tensor::zeros(*shape, DType::F32, &Device::Cpu).unwrap()))
            .collect();
        safetensors::serialize(tensors, None).unwrap()
    }

    fn refused(shapes: &[(&str, &[usize])]) -> String {
        load(&checkpoint(shapes), |vb| linear(3, 2, vb.pp("fc"))).unwrap_err().to_string()
    }

    #[test]
    fn rejects_a_checkpoint_that_does_not_match_the_model() {
        let good: [(&str, &[usize]); 2] = [("fc.weight", &[2, 3]), ("fc.bias", &[2])];
        assert!(load(&checkpoint(&good), |vb| linear(3, 2, vb.pp("fc"))).is_ok());
        assert!(refused(&good[..1]).contains("no weight `fc.bias` [2]; it has: fc.weight"));
        assert!(
            refused(&[("fc.weight", &[3, 2]), good[1]])
                .contains("`fc.weight` is [3, 2] in the checkpoint; the model takes [2, 3]")
        );
        assert!(refused(&[good[0], good[1], ("fc2.bias", &[2])]).contains("does not use: fc2.bias"));
        assert!(load(b"not a file", |vb| linear(3, 2, vb.pp("fc"))).is_err());
    }
}
