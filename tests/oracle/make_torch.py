"""Make or check tests/golden/torch.safetensors: networks that PyTorch exports, and what PyTorch answers to some inputs.

`make_torch.py [--check]`, in an environment of its own (requirements-torch.txt, some gigabytes). Each network is exported
by both exporters that PyTorch has. The keys are those of the operators' files; inputs and outputs have the layout of the
ONNX file.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from make_onnx import write

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests/golden/torch.safetensors"
OPSET = {False: 17, True: 18}


class Depthwise(nn.Module):
    """An inverted residual block, as in MobileNet."""

    def __init__(self, channels, wide):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        return x + self.block(x)


class Lstm(nn.Module):
    """A recurrent layer in both directions, of which the last step is read."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 8, batch_first=True, bidirectional=True)
        self.scores = nn.Linear(16, 4)

    def forward(self, x):
        steps, _ = self.lstm(x)
        return self.scores(steps[:, -1])


class Temporal(nn.Module):
    """Causal convolutions with growing dilation, as in a temporal convolutional network."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(4, 8, 1)
        self.layers = nn.ModuleList(nn.Conv1d(8, 8, 3, dilation=dilation) for dilation in (1, 2, 4))
        self.scores = nn.Linear(8, 3)

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            padded = nn.functional.pad(x, (2 * layer.dilation[0], 0))
            x = x + nn.functional.gelu(layer(padded))
        return self.scores(x[:, :, -1])


class Transformer(nn.Module):
    """Two encoder layers with four heads, and the mean over the sequence."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.scores = nn.Linear(16, 3)

    def forward(self, x):
        return self.scores(self.encoder(x).mean(dim=1))


def convolutional():
    """Convolutions with batch normalization, pooling, and an upsampled branch."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.SiLU(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    )


def depthwise():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.Hardswish(),
        Depthwise(8, 16),
        Depthwise(8, 16),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 3 * 3, 4),
        nn.Softmax(dim=-1),
    )


NETWORKS = {
    "convolutional": (convolutional, (1, 3, 20, 20)),
    "depthwise": (depthwise, (1, 3, 12, 12)),
    "lstm": (Lstm, (1, 7, 6)),
    "temporal": (Temporal, (1, 4, 20)),
    "transformer": (Transformer, (1, 9, 16)),
}


def trained(build):
    """Returns a network whose normalizations have the statistics of some batches, as after training."""
    network = build()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def exported(network, example, dynamo):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"opset_version": OPSET[dynamo], "dynamo": dynamo, "input_names": ["x"], "output_names": ["y"]}
        program = torch.onnx.export(network, (example,), None if dynamo else file, verbose=False, **options)
    model = program.model_proto if dynamo else onnx.load_from_string(file.getvalue())
    # Where each node comes from in the Python files, which is longer than the network.
    graph = model.graph
    for item in [model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    return model.SerializeToString(deterministic=True)


def tensors():
    result = {}
    for name, (build, shape) in NETWORKS.items():
        torch.manual_seed(sum(name.encode()))
        network = trained(build)
        example = torch.randn(shape)
        with torch.no_grad():
            output = network(example)
        for dynamo in (False, True):
            key = f"{name}_{'program' if dynamo else 'script'}"
            result[f"{key}/model"] = np.frombuffer(exported(network, example, dynamo), np.uint8)
            result[f"{key}/input.0.0"] = example.numpy()
            result[f"{key}/output.0.0"] = output.numpy()
    return result


if __name__ == "__main__":
    write(FILE, tensors())
