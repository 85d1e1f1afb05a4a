//! Options of `tealight compile` for the weights of a float32 network.

use tealight_compiler::quantize::Activations;
use tealight_compiler::{BlockType, WeightType};

/// The value of `--quantize`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum QuantizeTo {
    /// Nothing is quantized.
    None,
    /// The whole network computes with integers: activations of this type.
    Activations(Activations),
    /// Weights are stored in this type.
    Weights(WeightType),
}

impl QuantizeTo {
    /// Parses a name.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "none" => Ok(Self::None),
            "int8" => Ok(Self::Activations(Activations::Int8)),
            "16x8" => Ok(Self::Activations(Activations::Int16)),
            // `none` already keeps the weights as f32.
            "f32" => Err("use none".into()),
            _ => name.parse().map(Self::Weights).map_err(|_| {
                let names: Vec<_> = WeightType::all().map(WeightType::name).filter(|name| *name != "f32").collect();
                format!("accepted: none, int8, 16x8, {}", names.join(", "))
            }),
        }
    }

    /// Returns the block type, if it is one.
    pub(crate) fn blocks(self) -> Option<BlockType> {
        match self {
            Self::Weights(WeightType::Blocks(block)) => Some(block),
            _ => None,
        }
    }
}

/// Parses the value of `--layer`: `NAME=TYPE`.
pub(crate) fn layer(text: &str) -> Result<(String, WeightType), String> {
    match text.rsplit_once('=') {
        Some((name, of)) if !name.is_empty() => Ok((name.to_string(), of.parse()?)),
        _ => Err("write a layer's name and a type: `dense=q8_0`, `blk.*.ffn_down=q6k`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_types_are_read() {
        let q8 = WeightType::Blocks(BlockType::Q8_0);
        assert_eq!(layer("a=b=q8_0"), Ok(("a=b".into(), q8)));
        assert_eq!(layer("*=f32"), Ok(("*".into(), WeightType::F32)));
        for bad in ["q8_0", "=q8_0", "dense=", "dense=q9", ""] {
            assert!(layer(bad).is_err(), "{bad}");
        }
        assert_eq!(QuantizeTo::parse("16x8"), Ok(QuantizeTo::Activations(Activations::Int16)));
        assert_eq!(QuantizeTo::parse("q8_0"), Ok(QuantizeTo::Weights(q8)));
        assert!(QuantizeTo::parse("q9").unwrap_err().starts_with("accepted: none, int8, 16x8, f16, int4, q4_0"));
    }
}
