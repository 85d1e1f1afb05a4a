//! What shape a layer gives, and whether its parts fit together.

use super::{Constant, FloatError, Layer, Network, Result, ValueId, Window};

impl Network {
    /// The shape of what `layer` gives.
    pub(super) fn infer(&self, name: &str, layer: &Layer, inputs: &[ValueId]) -> Result<Vec<u32>> {
        let wrong = |what: String| FloatError::Shape { layer: name.to_string(), kind: layer.kind(), what };
        let wanted = if matches!(layer, Layer::Add | Layer::Mul) { 2 } else { 1 };
        if inputs.len() != wanted {
            return Err(wrong(format!("it has {} inputs instead of {wanted}", inputs.len())));
        }
        if let Some(unknown) = inputs.iter().find(|input| **input >= self.values.len()) {
            return Err(wrong(format!("there is no value {unknown}")));
        }
        if let Some((weights, bias)) = layer.weights() {
            check_finite(name, layer, weights, bias)?;
        }
        let x = &self.values[inputs[0]].shape;
        let picture = || match x[..] {
            [n, h, w, c] => Ok([n, h, w, c]),
            _ => Err(wrong(format!("its input is {x:?}, not a picture [N, H, W, C]"))),
        };
        let side = |size: [u32; 2], window: &Window| -> Result<[u32; 2]> {
            let [_, h, w, _] = picture()?;
            let side = |axis: usize, input: u32| {
                outputs(input, size[axis], window, axis)
                    .ok_or_else(|| wrong(format!("its window {size:?} with {window:?} does not fit into {x:?}")))
            };
            Ok([side(0, h)?, side(1, w)?])
        };
        match layer {
            Layer::Conv2d { window, weights, bias } => {
                let ([n, _, _, c], &[o, height, width, i]) = (picture()?, &weights.shape[..]) else {
                    return Err(wrong(format!("its weights are {:?}, not [out, height, width, in]", weights.shape)));
                };
                let fits = i > 0 && o > 0 && c % i == 0 && o % (c / i).max(1) == 0 && bias.len() == o as usize;
                if !fits {
                    let what = format!("weights {:?} and {} biases do not fit {c} channels", weights.shape, bias.len());
                    return Err(wrong(what));
                }
                let [h, w] = side([height, width], window)?;
                Ok(vec![n, h, w, o])
            }
            Layer::DepthwiseConv2d { window, weights, bias } => {
                let ([n, _, _, c], &[1, height, width, o]) = (picture()?, &weights.shape[..]) else {
                    return Err(wrong(format!("its weights are {:?}, not [1, height, width, out]", weights.shape)));
                };
                if o == 0 || !o.is_multiple_of(c) || bias.len() != o as usize {
                    let what = format!("weights {:?} and {} biases do not fit {c} channels", weights.shape, bias.len());
                    return Err(wrong(what));
                }
                let [h, w] = side([height, width], window)?;
                Ok(vec![n, h, w, o])
            }
            Layer::FullyConnected { weights, bias } => {
                let (&[n, i], &[o, wi]) = (&x[..], &weights.shape[..]) else {
                    return Err(wrong(format!(
                        "its input is {x:?} and its weights {:?}, not of rank 2",
                        weights.shape
                    )));
                };
                if i != wi || bias.len() != o as usize || o == 0 {
                    let what = format!("weights {:?} and {} biases do not fit {i} inputs", weights.shape, bias.len());
                    return Err(wrong(what));
                }
                Ok(vec![n, o])
            }
            Layer::AvgPool2d { size, window } | Layer::MaxPool2d { size, window } => {
                let [n, _, _, c] = picture()?;
                if window.dilation != [1; 2] || (0..4).any(|side| window.pad[side] >= size[side % 2]) {
                    return Err(wrong(format!(
                        "a window {size:?} that may lie in the padding, or is dilated: {window:?}"
                    )));
                }
                let [h, w] = side(*size, window)?;
                Ok(vec![n, h, w, c])
            }
            Layer::Add | Layer::Mul => {
                let y = &self.values[inputs[1]].shape;
                if x == y { Ok(x.clone()) } else { Err(wrong(format!("its inputs are {x:?} and {y:?}"))) }
            }
            Layer::Reshape { shape } => {
                let elements = |shape: &[u32]| shape.iter().fold(1u64, |n, &dim| n.saturating_mul(dim.into()));
                if elements(shape) == elements(x) {
                    Ok(shape.clone())
                } else {
                    Err(wrong(format!("{x:?} has another number of elements than {shape:?}")))
                }
            }
            Layer::Relu | Layer::Relu6 | Layer::Logistic | Layer::Tanh | Layer::HardSwish | Layer::Softmax => {
                Ok(x.clone())
            }
        }
    }
}

/// How many windows fit along an axis; `None` if none does.
fn outputs(input: u32, size: u32, window: &Window, axis: usize) -> Option<u32> {
    let (stride, dilation) = (window.stride[axis], window.dilation[axis]);
    if size == 0 || stride == 0 || dilation == 0 {
        return None;
    }
    let extent = (size - 1).checked_mul(dilation)?.checked_add(1)?;
    let room = input.checked_add(window.pad[axis])?.checked_add(window.pad[axis + 2])?.checked_sub(extent)?;
    Some(room / stride + 1)
}

fn check_finite(name: &str, layer: &Layer, weights: &Constant, bias: &[f32]) -> Result<()> {
    let elements = weights.shape.iter().fold(1usize, |n, &dim| n.saturating_mul(dim as usize));
    if elements != weights.data.len() {
        let what = format!("its weights {:?} come with {} numbers", weights.shape, weights.data.len());
        return Err(FloatError::Shape { layer: name.to_string(), kind: layer.kind(), what });
    }
    match weights.data.iter().chain(bias).enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => {
            Err(FloatError::NotFinite { layer: name.to_string(), kind: layer.kind(), index, value: value.to_string() })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_follow_the_windows() {
        let mut network = Network::new("x", &[1, 28, 28, 1]).unwrap();
        let window = Window { stride: [2; 2], pad: [2; 4], ..Window::default() };
        let weights = Constant::new(&[3, 5, 5, 1], vec![0.0; 75]);
        let x = network.add("conv", Layer::Conv2d { window, weights, bias: vec![0.0; 3] }, &[0]).unwrap();
        assert_eq!(network.values()[x].shape, [1, 14, 14, 3]);
        let weights = Constant::new(&[1, 3, 3, 6], vec![0.0; 54]);
        let depthwise = Layer::DepthwiseConv2d { window: Window::default(), weights, bias: vec![0.0; 6] };
        let x = network.add("dw", depthwise, &[x]).unwrap();
        assert_eq!(network.values()[x].shape, [1, 12, 12, 6]);
        let x = network
            .add(
                "pool",
                Layer::MaxPool2d { size: [5, 5], window: Window { stride: [5, 5], ..Window::default() } },
                &[x],
            )
            .unwrap();
        assert_eq!(network.values()[x].shape, [1, 2, 2, 6]);
        let x = network.add("flat", Layer::Reshape { shape: vec![1, 24] }, &[x]).unwrap();
        assert_eq!((network.output(), network.values()[x].len()), (x, 24));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refuse = |layer: Layer, what: &str| {
            let mut network = Network::new("x", &[1, 4]).unwrap();
            let error = network.add("layer7", layer, &[0]).unwrap_err().to_string();
            assert!(error.contains("layer7") && error.contains(what), "{error}");
        };
        let matrix = |shape: &[u32], data: Vec<f32>, outputs: usize| Layer::FullyConnected {
            weights: Constant::new(shape, data),
            bias: vec![0.0; outputs],
        };
        refuse(matrix(&[2, 3], vec![0.0; 6], 2), "do not fit 4 inputs");
        refuse(matrix(&[2, 4], vec![0.0; 7], 2), "7 numbers");
        refuse(matrix(&[2, 4], vec![0.0; 8], 1), "1 biases");
        refuse(matrix(&[1, 4], vec![0.0, f32::NAN, 0.0, 0.0], 1), "weight 1 is NaN");
        refuse(
            Layer::MaxPool2d { size: [2; 2], window: Window { stride: [2; 2], ..Window::default() } },
            "not a picture",
        );
        refuse(Layer::Reshape { shape: vec![5] }, "[5]");
        refuse(Layer::Add, "1 inputs instead of 2");
        let mut network = Network::new("x", &[1, 4, 4, 1]).unwrap();
        assert!(
            network
                .add(
                    "pool",
                    Layer::AvgPool2d { size: [5, 5], window: Window { stride: [1, 1], ..Window::default() } },
                    &[0]
                )
                .is_err()
        );
        assert!(
            network
                .add(
                    "pool",
                    Layer::AvgPool2d { size: [2, 2], window: Window { stride: [0, 1], ..Window::default() } },
                    &[0]
                )
                .is_err()
        );
        assert!(network.add("add", Layer::Add, &[0, 9]).unwrap_err().to_string().contains("no value 9"));
    }
}
