//! Writes down the network that a model's `forward` is.

use crate::array::Array;
use crate::layers::{Conv2d, Linear};
use crate::layout::{self, Layout};
use candle_core::{Error, Result, Tensor, bail};
use std::cell::RefCell;
use std::rc::Rc;
use tealight_compiler::float::{Constant, Layer, Network, ValueId, Window};

/// A value of a network that is being written down.
#[derive(Debug, Clone)]
pub struct Traced {
    network: Rc<RefCell<Network>>,
    value: ValueId,
    /// Candle's dimensions.
    dims: Vec<usize>,
    layout: Layout,
}

/// The network that `forward` computes from an input of Candle's `dims`, such as `[1, 3, 96, 96]`.
///
/// # Errors
/// If layers do not fit together, or the output is a flattened picture: put a linear layer behind it, or leave it as it is.
pub fn trace(dims: &[usize], forward: impl FnOnce(&Traced) -> Result<Traced>) -> Result<Network> {
    let network = Network::new("input", &layout::shape(dims)).map_err(Error::wrap)?;
    let network = Rc::new(RefCell::new(network));
    let input = Traced { network: network.clone(), value: 0, dims: dims.to_vec(), layout: Layout::of(dims) };
    let output = forward(&input)?;
    if !Rc::ptr_eq(&network, &output.network) {
        bail!("the output was not computed from the input");
    }
    if let Layout::Flat { .. } = output.layout {
        bail!("the output is a flattened picture: flatten no output, or put a linear layer behind it");
    }
    network.borrow_mut().set_output(output.value);
    let network = network.borrow().clone();
    Ok(network)
}

/// The elements of a weight.
fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1()
}

/// The bias of a layer; zeros if it has none.
fn bias(tensor: Option<&Tensor>, outputs: usize) -> Result<Vec<f32>> {
    tensor.map_or_else(|| Ok(vec![0.0; outputs]), numbers)
}

impl Traced {
    /// Adds a layer that reads this value and `others`. `dims` are Candle's dimensions of what it gives.
    fn push(&self, name: &str, layer: Layer, others: &[&Self], dims: Vec<usize>, layout: Layout) -> Result<Self> {
        let mut inputs = vec![self.value];
        for other in others {
            if !Rc::ptr_eq(&self.network, &other.network) {
                bail!("{}: its inputs are of two networks", layer.kind());
            }
            if self.layout != other.layout {
                bail!("{}: one input is a flattened picture, the other is not", layer.kind());
            }
            inputs.push(other.value);
        }
        let mut network = self.network.borrow_mut();
        let name = match name {
            // A layer without weights has no name in the checkpoint.
            "" => format!("{}_{}", layer.kind().to_lowercase(), network.nodes().len()),
            name => name.to_string(),
        };
        let value = network.add(&name, layer, &inputs).map_err(Error::wrap)?;
        drop(network);
        Ok(Self { network: self.network.clone(), value, dims, layout })
    }

    fn same_shape(&self, layer: Layer) -> Result<Self> {
        self.push("", layer, &[], self.dims.clone(), self.layout)
    }

    /// A layer that makes a picture of another size, and perhaps with another number of channels.
    fn picture(&self, name: &str, layer: Layer) -> Result<Self> {
        let traced = self.push(name, layer, &[], Vec::new(), Layout::ChannelsLast)?;
        let dims = match self.network.borrow().values()[traced.value].shape[..] {
            [n, h, w, c] => [n, c, h, w].map(|dim| dim as usize).to_vec(),
            _ => bail!("{name}: no picture"),
        };
        Ok(Self { dims, ..traced })
    }
}

impl Array for Traced {
    fn dims(&self) -> Vec<usize> {
        self.dims.clone()
    }

    fn conv2d(&self, layer: &Conv2d) -> Result<Self> {
        let (candle, name) = (layer.candle(), layer.name());
        let config = candle.config();
        let channels = self.dims.get(1).copied().unwrap_or(0);
        let dims = candle.weight().dims();
        if dims.get(1).is_some_and(|inputs| inputs * config.groups != channels) {
            bail!("{name}: weights {dims:?} in {} groups do not fit {:?}", config.groups, self.dims);
        }
        let depthwise = config.groups > 1 && config.groups == channels;
        let (shape, data) = layout::kernel(&numbers(candle.weight())?, dims, depthwise)?;
        let bias = bias(candle.bias(), dims[0])?;
        let window = Window {
            stride: [config.stride as u32; 2],
            dilation: [config.dilation as u32; 2],
            pad: [config.padding as u32; 4],
        };
        let weights = Constant::new(&shape, data);
        let layer = if depthwise {
            Layer::DepthwiseConv2d { window, weights, bias }
        } else {
            Layer::Conv2d { window, weights, bias }
        };
        self.picture(name, layer)
    }

    fn linear(&self, layer: &Linear) -> Result<Self> {
        let (candle, name) = (layer.candle(), layer.name());
        let (&[n, depth], &[outputs, inputs]) = (&self.dims[..], candle.weight().dims()) else {
            bail!("{name}: its input is {:?}, not [N, in]", self.dims);
        };
        if depth != inputs {
            bail!("{name}: weights {:?} do not fit {:?}", candle.weight().dims(), self.dims);
        }
        let weights = self.layout.columns(&numbers(candle.weight())?);
        let weights = Constant::new(&[outputs as u32, inputs as u32], weights);
        let layer = Layer::FullyConnected { weights, bias: bias(candle.bias(), outputs)? };
        self.push(name, layer, &[], vec![n, outputs], Layout::Same)
    }

    fn relu(&self) -> Result<Self> {
        self.same_shape(Layer::Relu)
    }

    fn relu6(&self) -> Result<Self> {
        self.same_shape(Layer::Relu6)
    }

    fn sigmoid(&self) -> Result<Self> {
        self.same_shape(Layer::Logistic)
    }

    fn tanh(&self) -> Result<Self> {
        self.same_shape(Layer::Tanh)
    }

    fn hard_swish(&self) -> Result<Self> {
        self.same_shape(Layer::HardSwish)
    }

    fn max_pool2d(&self, window: [usize; 2], stride: [usize; 2]) -> Result<Self> {
        let [size, stride] = [window, stride].map(|pair| pair.map(|side| side as u32));
        self.picture("", Layer::MaxPool2d { size, window: Window { stride, ..Window::default() } })
    }

    fn avg_pool2d(&self, window: [usize; 2], stride: [usize; 2]) -> Result<Self> {
        let [size, stride] = [window, stride].map(|pair| pair.map(|side| side as u32));
        self.picture("", Layer::AvgPool2d { size, window: Window { stride, ..Window::default() } })
    }

    fn add(&self, other: &Self) -> Result<Self> {
        self.push("", Layer::Add, &[other], self.dims.clone(), self.layout)
    }

    fn mul(&self, other: &Self) -> Result<Self> {
        self.push("", Layer::Mul, &[other], self.dims.clone(), self.layout)
    }

    fn flatten(&self) -> Result<Self> {
        let Some((&n, rest)) = self.dims.split_first() else { bail!("flatten: a number has no dimensions") };
        let rest = rest.iter().product::<usize>();
        let shape = vec![n as u32, rest as u32];
        self.push("", Layer::Reshape { shape }, &[], vec![n, rest], self.layout.flattened(&self.dims))
    }

    fn softmax(&self) -> Result<Self> {
        if self.layout != Layout::Same {
            bail!("softmax: its input is a picture or a flattened one; the last dimension lies elsewhere there");
        }
        self.same_shape(Layer::Softmax)
    }
}
