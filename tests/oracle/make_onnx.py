"""Make or check tests/golden/onnx.safetensors: ONNX networks, and what ONNX Runtime answers to some inputs.

`make_onnx.py [--check]`, in an environment of its own (requirements-onnx.txt). The keys are those of the operators' files;
inputs and outputs have the layout of the ONNX file.
"""

import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests/golden/onnx.safetensors"
F = np.float32


class Net:
    """A network under construction. A method call adds a node and returns the name of its output."""

    def __init__(self, name, opset=17):
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.constants, self.inputs, self.outputs, self.samples = [], [], [], [], []

    def input(self, shape, name="x"):
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self.samples.append(self.rng.normal(0, 1, [d if isinstance(d, int) else 1 for d in shape]).astype(F))
        return name

    def constant(self, array, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weights(self, *shape, spread=1.0):
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        return self.constant((self.rng.normal(0, spread, shape) / np.sqrt(fan)).astype(F))

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def floats(self, *values):
        return self.constant(np.array(values, F))

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"{kind.lower()}{len(self.nodes)}" + (f"_{k}" if k else "") for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"/{names[0]}", **attributes))
        return names[0] if outputs == 1 else names

    def norm(self, x, channels):
        scale = self.constant(self.rng.uniform(0.5, 1.5, channels).astype(F))
        variance = self.constant(self.rng.uniform(0.5, 2, channels).astype(F))
        return self.op("BatchNormalization", x, scale, self.weights(channels), self.weights(channels), variance)

    def output(self, name, shape):
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model.SerializeToString()


def convolutional():
    """Convolutions with batch normalization, as torch exports them; a flattened image before a layer."""
    n = Net("convolutional", 11)
    x = n.input(["batch", 3, 12, 10], "image")
    x = n.op("Conv", x, n.weights(8, 3, 3, 3), n.weights(8), pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3])
    x = n.op("Relu", n.norm(x, 8))
    x = n.op("Conv", x, n.weights(8, 8, 3, 3), pads=[0, 1, 1, 1], kernel_shape=[3, 3])
    x = n.op("LeakyRelu", n.norm(x, 8), alpha=0.1)
    x = n.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    x = n.op("Flatten", x)
    x = n.op("Gemm", x, n.weights(5, 8 * 3 * 3), n.weights(5), transB=1)
    n.output(n.op("Softmax", x, axis=1), ["batch", 5])
    return n


def depthwise():
    """A mobile network: depthwise convolutions, ReLU6, hard-swish, a squeeze-and-excitation block, a mean."""
    n = Net("depthwise", 13)
    x = n.input([1, 4, 9, 9], "image")
    low, high = n.constant(np.array(0, F)), n.constant(np.array(6, F))
    y = n.op("Conv", x, n.weights(4, 1, 3, 3), n.weights(4), group=4, pads=[1, 1, 1, 1])
    y = n.op("Clip", n.norm(y, 4), low, high)
    y = n.op("Conv", y, n.weights(4, 4, 1, 1), n.weights(4))
    x = n.op("Add", x, n.norm(y, 4))
    x = n.op("Conv", x, n.weights(8, 1, 3, 3), group=4, auto_pad="SAME_UPPER", strides=[2, 2])
    x = n.op("Mul", x, n.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))
    s = n.op("GlobalAveragePool", x)
    s = n.op("Relu", n.op("Conv", s, n.weights(2, 8, 1, 1), n.weights(2)))
    s = n.op("Sigmoid", n.op("Conv", s, n.weights(8, 2, 1, 1), n.weights(8)))
    x = n.op("Mul", x, s)
    x = n.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    n.output(n.op("Gemm", x, n.weights(8, 3), n.weights(3)), [1, 3])
    return n


def temporal():
    """A 1-D convolution network over a sequence, with dilation."""
    n = Net("temporal", 13)
    x = n.input([1, 6, 20], "features")
    for dilation in (1, 2, 4):
        pad = n.op("Pad", x, n.ints(0, 0, 2 * dilation, 0, 0, 0))
        y = n.op("Conv", pad, n.weights(6, 6, 3), n.weights(6), dilations=[dilation])
        y = n.op("Mul", y, n.op("Sigmoid", y))
        x = n.op("Add", x, y)
    x = n.op("AveragePool", x, kernel_shape=[4], strides=[4])
    x = n.op("Transpose", x, perm=[0, 2, 1])
    x = n.op("MatMul", x, n.weights(6, 4))
    n.output(n.op("Add", x, n.weights(4)), [1, 5, 4])
    return n


def mlp():
    """Layers as Gemm, with all of its attributes, and as MatMul."""
    n = Net("mlp", 13)
    x = n.input(["N", 7], "x")
    x = n.op("Relu", n.op("Gemm", x, n.weights(9, 7), n.weights(9), transB=1, alpha=0.5, beta=2.0))
    x = n.op("Tanh", n.op("Gemm", x, n.weights(9, 6), n.floats(0.25)))
    x = n.op("Elu", n.op("Add", n.weights(8), n.op("MatMul", x, n.weights(6, 8))))
    x = n.op("Dropout", n.op("Gemm", x, n.weights(8, 8)))
    n.output(n.op("LogSoftmax", x, axis=-1), ["N", 8])
    return n


def residual():
    """A network with a branch: Concat, Resize, Split, a channel shuffle, transposed convolution, image output."""
    n = Net("residual", 13)
    x = n.input([1, 4, 8, 6], "image")
    a = n.op("Relu", n.op("Conv", x, n.weights(6, 4, 3, 3), n.weights(6), pads=[1, 1, 1, 1]))
    d = n.op("MaxPool", a, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    d = n.op("Resize", d, "", n.floats(1, 1, 2, 2), mode="nearest", coordinate_transformation_mode="asymmetric",
             nearest_mode="floor")
    u = n.op("Resize", n.op("AveragePool", d, kernel_shape=[2, 2], strides=[2, 2]), "", "", n.ints(1, 6, 8, 6), mode="linear")
    c = n.op("Concat", a, d, u, axis=1)
    shape = n.op("Shape", c)
    batch = n.op("Gather", shape, n.constant(np.array(0, np.int64)), axis=0)
    batch = n.op("Unsqueeze", batch, n.ints(0))
    shuffle = n.op("Concat", batch, n.ints(3, 6, 8, 6), axis=0)
    c = n.op("Reshape", c, shuffle)
    c = n.op("Transpose", c, perm=[0, 2, 1, 3, 4])
    c = n.op("Reshape", c, n.ints(1, -1, 8, 6))
    left, right = n.op("Split", c, n.ints(10, 8), outputs=2, axis=1)
    left = n.op("Conv", left, n.weights(8, 5, 1, 1), group=2)
    s = n.op("Add", left, right)
    s = n.op("Slice", s, n.ints(1, 0), n.ints(8, 2**62), n.ints(2, 3), n.ints(1, 2))
    t = n.op("ConvTranspose", s, n.weights(8, 3, 3, 3), n.weights(3), strides=[2, 2], pads=[1, 1, 0, 1], output_padding=[1, 1])
    n.output(n.op("PRelu", t, n.weights(3, 1, 1)), [1, 3, "rows", "columns"])
    n.output(n.op("ReduceMax", s, axes=[2, 3], keepdims=0), [1, 8])
    return n


def transformer():
    """Self-attention and a feed-forward layer, with layer normalization and GELU as torch exports them."""
    n = Net("transformer", 17)
    x = n.input([1, 5, 8], "tokens")
    y = n.op("LayerNormalization", x, n.weights(8), n.weights(8), axis=-1, epsilon=1e-5)
    heads = []
    for _ in range(3):
        h = n.op("Add", n.op("MatMul", y, n.weights(8, 8)), n.weights(8))
        h = n.op("Reshape", h, n.ints(1, 5, 2, 4))
        heads.append(n.op("Transpose", h, perm=[0, 2, 1, 3]))
    q, k, v = heads
    scores = n.op("MatMul", q, n.op("Transpose", k, perm=[0, 1, 3, 2]))
    scores = n.op("Softmax", n.op("Div", scores, n.constant(np.array(2, F))), axis=-1)
    y = n.op("Reshape", n.op("Transpose", n.op("MatMul", scores, v), perm=[0, 2, 1, 3]), n.ints(1, 5, 8))
    x = n.op("Add", x, n.op("Add", n.op("MatMul", y, n.weights(8, 8)), n.weights(8)))
    y = n.op("LayerNormalization", x, n.weights(8), n.weights(8), axis=-1, epsilon=1e-5)
    y = n.op("Add", n.op("MatMul", y, n.weights(8, 12)), n.weights(12))
    erf = n.op("Add", n.op("Erf", n.op("Div", y, n.constant(np.array(2**0.5, F)))), n.constant(np.array(1, F)))
    y = n.op("Mul", n.op("Mul", y, erf), n.constant(np.array(0.5, F)))
    n.output(n.op("Add", x, n.op("Add", n.op("MatMul", y, n.weights(12, 8)), n.weights(8))), [1, 5, 8])
    return n


def pools():
    """Average pools with and without counted borders, and rounding up; instance normalization; a pixel shuffle."""
    n = Net("pools", 19)
    x = n.input([1, 4, 7, 9], "image")
    common = dict(kernel_shape=[3, 3], strides=[2, 2])
    a = n.op("AveragePool", x, pads=[1, 1, 1, 1], **common)
    b = n.op("AveragePool", x, pads=[1, 1, 1, 1], count_include_pad=1, **common)
    c = n.op("MaxPool", x, ceil_mode=1, pads=[1, 0, 0, 1], kernel_shape=[2, 2], strides=[2, 2])
    y = n.op("Sum", a, b)
    y = n.op("InstanceNormalization", y, n.weights(4), n.weights(4))
    n.output(n.op("DepthToSpace", y, blocksize=2, mode="CRD"), [1, 1, "rows", "columns"])
    n.output(n.op("DepthToSpace", y, blocksize=2), [1, "channels", "rows", "columns"])
    n.output(n.op("SpaceToDepth", n.op("Slice", x, n.ints(0, 0), n.ints(6, 8), n.ints(2, 3)), blocksize=2), [1, "channels", "rows", "columns"])
    n.output(n.op("GlobalMaxPool", c), [1, 4, 1, 1])
    return n


def decided():
    """An `If` whose condition follows from shapes, a Where on constants, and a mean over the batch of a reshape."""
    n = Net("decided", 16)
    x = n.input([1, 6, 4], "x")
    rank = n.op("Size", n.op("Shape", x))
    three = n.constant(np.array(3, np.int64))
    condition = n.op("Equal", rank, three)
    then = helper.make_graph(
        [helper.make_node("Neg", [x], ["negated"])], "then", [], [helper.make_tensor_value_info("negated", 1, [1, 6, 4])]
    )
    other = helper.make_graph(
        [helper.make_node("Einsum", [x], ["never"], equation="abc->abc")], "else", [], [helper.make_tensor_value_info("never", 1, [1, 6, 4])]
    )
    y = n.op("If", condition, then_branch=then, else_branch=other)
    sizes = n.op("Where", n.op("Equal", n.ints(-1, 2), n.ints(-1, -1)), n.ints(12, 12), n.ints(1, 2))
    y = n.op("Reshape", y, sizes)
    y = n.op("Gather", y, n.ints(3, 0, 5), axis=0)
    n.output(n.op("Expand", n.op("Unsqueeze", n.op("Exp", y), n.ints(1)), n.ints(3, 2, 2)), [3, 2, 2])
    return n


def lstm():
    """A bidirectional LSTM over a sequence as torch exports it, and one with peepholes, states and a last state."""
    n = Net("lstm", 14)
    x = n.input([1, 4, 5], "features")
    x = n.op("Transpose", x, perm=[1, 0, 2])
    y, _, _ = n.op("LSTM", x, n.weights(2, 16, 5), n.weights(2, 16, 4), n.weights(2, 32), outputs=3, hidden_size=4,
                   direction="bidirectional")
    y = n.op("Reshape", n.op("Transpose", y, perm=[0, 2, 1, 3]), n.ints(0, 0, -1))
    h, c = n.input([1, 1, 3], "hidden"), n.input([1, 1, 3], "cell")
    all, last, cell = n.op("LSTM", y, n.weights(1, 12, 8), n.weights(1, 12, 3), n.weights(1, 24),
                           n.constant(np.array([4], np.int32)), h, c, n.weights(1, 9), outputs=3, hidden_size=3)
    n.output(n.op("Gemm", n.op("Squeeze", last, n.ints(0)), n.weights(3, 2), n.weights(2)), [1, 2])
    n.output(n.op("Transpose", n.op("Squeeze", all, n.ints(1)), perm=[1, 0, 2]), [1, 4, 3])
    n.output(cell, [1, 1, 3])
    return n


def gru():
    """GRUs of both kinds, a reversed one, and a batch of two with the sequence second."""
    n = Net("gru", 14)
    x = n.input([3, 2, 3], "x")
    y, _ = n.op("GRU", x, n.weights(2, 12, 3), n.weights(2, 12, 4), n.weights(2, 24), outputs=2, hidden_size=4,
                linear_before_reset=1, direction="bidirectional")
    y = n.op("Reshape", n.op("Transpose", y, perm=[0, 2, 1, 3]), n.ints(3, 2, 8))
    y, last = n.op("GRU", y, n.weights(1, 9, 8), n.weights(1, 9, 3), n.weights(1, 18), "", n.weights(1, 2, 3), outputs=2,
                   hidden_size=3, direction="reverse")
    n.output(y, [3, 1, 2, 3])
    n.output(last, [1, 2, 3])
    return n


def rnn():
    """Plain recurrent layers, with other activations."""
    n = Net("rnn", 14)
    x = n.input([3, 1, 3], "x")
    y, _ = n.op("RNN", x, n.weights(2, 4, 3), n.weights(2, 4, 4), outputs=2, hidden_size=4, direction="bidirectional",
                activations=["Relu", "HardSigmoid"], activation_alpha=[0.25], activation_beta=[0.4])
    y = n.op("Reshape", n.op("Transpose", y, perm=[0, 2, 1, 3]), n.ints(3, 1, 8))
    _, h, _ = n.op("LSTM", y, n.weights(1, 8, 8), n.weights(1, 8, 2), outputs=3, hidden_size=2,
                   activations=["HardSigmoid", "Relu", "Softplus"])
    n.output(h, [1, 1, 2])
    return n


def patterns():
    """Operators that exporters write as several: GELU in its forms, hard-swish, normalizations."""
    n = Net("patterns", 17)
    number = lambda value: n.constant(np.array(value, F))
    x = n.input([1, 5, 8], "x")

    def layer_norm(x):
        centred = n.op("Sub", x, n.op("ReduceMean", x, axes=[-1]))
        variance = n.op("ReduceMean", n.op("Pow", centred, number(2)), axes=[-1])
        y = n.op("Div", centred, n.op("Sqrt", n.op("Add", variance, number(1e-5))))
        return n.op("Add", n.op("Mul", y, n.weights(8)), n.weights(8))

    def rms_norm(x):
        mean = n.op("ReduceMean", n.op("Mul", x, x), axes=[2])
        y = n.op("Mul", x, n.op("Reciprocal", n.op("Sqrt", n.op("Add", number(1e-6), mean))))
        return n.op("Mul", n.weights(8), y)

    def gelu(x):
        erf = n.op("Add", n.op("Erf", n.op("Mul", x, number(0.5**0.5))), number(1))
        return n.op("Mul", n.op("Mul", x, number(0.5)), erf)

    def gelu_tanh(x):
        cube = n.op("Mul", n.op("Pow", x, number(3)), number(0.044715))
        tanh = n.op("Tanh", n.op("Mul", n.op("Add", x, cube), number((2 / np.pi) ** 0.5)))
        return n.op("Mul", number(0.5), n.op("Mul", x, n.op("Add", number(1), tanh)))

    def hard_swish(x):
        clip = n.op("Clip", n.op("Add", x, number(3)), number(0), number(6))
        return n.op("Div", n.op("Mul", x, clip), number(6))

    for f in (gelu_tanh, gelu, hard_swish, rms_norm, layer_norm):
        x = f(n.op("Add", n.op("MatMul", x, n.weights(8, 8)), n.weights(8)))
    n.output(x, [1, 5, 8])
    return n


CASES = [convolutional, depthwise, temporal, mlp, residual, transformer, pools, decided, lstm, gru, rnn, patterns]


def tensors():
    result = {}
    for case in CASES:
        n = case()
        model = n.model()
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feeds = {info.name: sample for info, sample in zip(n.inputs, n.samples)}
        result[f"{n.name}/model"] = np.frombuffer(model, np.uint8)
        for k, sample in enumerate(n.samples):
            result[f"{n.name}/input.{k}.0"] = sample
        for k, output in enumerate(session.run(None, feeds)):
            result[f"{n.name}/output.{k}.0"] = np.ascontiguousarray(output)
    return result


def write(file, made):
    """Writes the tensors; with `--check` only compares them with those in the file."""
    if "--check" in sys.argv:
        found = load_file(file)
        stale = sorted(made.keys() ^ found.keys())
        stale += [key for key in made.keys() & found.keys() if not np.array_equal(made[key], found[key])]
        if stale:
            sys.exit(f"{file} is stale: {', '.join(stale)}")
        return
    file.write_bytes(save(made))


if __name__ == "__main__":
    write(FILE, tensors())
