"""Make or check tests/golden/onnx_quantized.safetensors: quantized ONNX networks, and what ONNX Runtime answers.

`make_onnx_quantized.py [--check]`, in the environment of make_onnx.py. For each case: `model`, `input.K.0`, `output.K.0`, and
for output K `step.K`, the scale that it is quantized with (for dynamic quantization, the largest magnitude of the output
of the float network), and `layers`, the number of layers with a rounding of their own.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from make_onnx import Net, convolutional, depthwise, lstm, write
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests/golden/onnx_quantized.safetensors"
F = np.float32
MS = "com.microsoft"


class Quantized(Net):
    """A network of which each output is quantized."""

    def __init__(self, name, opset=17):
        super().__init__(name, opset)
        self.steps, self.layers = [], 1

    def codes(self, scale, zero, unsigned=False):
        return [self.constant(np.array(scale, F)), self.constant(np.array(zero, np.uint8 if unsigned else np.int8))]

    def quantized(self, x, scale, zero, unsigned=False):
        parameters = self.codes(scale, zero, unsigned)
        return self.op("QuantizeLinear", x, *parameters), parameters

    def qdq(self, x, scale=0.03, zero=5, unsigned=False):
        codes, parameters = self.quantized(x, scale, zero + 128 * unsigned, unsigned)
        return self.op("DequantizeLinear", codes, *parameters)

    def weight_codes(self, *shape, axis=None, unsigned=False, zero=0):
        """Constant codes of weights, and the names of their scale and zero point."""
        fan = int(np.prod(shape[1:]))
        values = self.rng.normal(0, 1, shape) / np.sqrt(fan)
        others = tuple(i for i in range(len(shape)) if i != axis)
        scale = np.abs(values).max(axis=others if axis is not None else None, keepdims=axis is not None) / 100
        low, high, kind = (0, 255, np.uint8) if unsigned else (-128, 127, np.int8)
        codes = np.clip(np.round(values / scale) + zero, low, high).astype(kind)
        scale = np.asarray(scale, F).reshape(-1) if axis is not None else np.array(scale, F)
        return [self.constant(codes), self.constant(scale), self.constant(np.full(scale.shape, zero, kind))]

    def weights_dq(self, *shape, **kinds):
        axis = kinds.get("axis")
        return self.op("DequantizeLinear", *self.weight_codes(*shape, **kinds), **({} if axis is None else {"axis": axis}))

    def bias_dq(self, count, scale):
        codes = self.constant(self.rng.integers(-3000, 3000, count).astype(np.int32))
        return self.op("DequantizeLinear", codes, self.constant(np.array(scale, F)))

    def end(self, x, shape, scale=0.03, zero=5, unsigned=False):
        self.output(self.qdq(x, scale, zero, unsigned), shape)
        self.steps.append(scale)
        return self

    def end_codes(self, codes, parameters, shape, scale):
        self.output(self.op("DequantizeLinear", codes, *parameters), shape)
        self.steps.append(scale)
        return self

    def ms(self, kind, *inputs, **attributes):
        return self.op(kind, *inputs, domain=MS, **attributes)

    def model(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.constants)
        sets = [helper.make_opsetid("", self.opset), helper.make_opsetid(MS, 1)]
        model = helper.make_model(graph, opset_imports=sets)
        model.ir_version = 8
        return model.SerializeToString()


def each():
    """A network of one layer between conversions for each operator."""
    n = Quantized("conv")
    x = n.qdq(n.input([1, 3, 7, 6], "image"))
    y = n.op("Conv", x, n.weights_dq(4, 3, 3, 3, axis=0), n.bias_dq(4, 0.0001), pads=[1, 1, 1, 1], strides=[2, 1])
    yield n.end(n.op("Relu", y), [1, 4, 4, 6], 0.02, -128)

    n = Quantized("conv_unsigned")
    x = n.qdq(n.input([1, 3, 7, 6], "image"), unsigned=True)
    w = n.weights_dq(4, 3, 3, 3, unsigned=True, zero=128)
    yield n.end(n.op("Conv", x, w, n.bias_dq(4, 0.0001)), [1, 4, 5, 4], unsigned=True)

    n = Quantized("depthwise")
    x = n.qdq(n.input([1, 4, 7, 6], "image"))
    yield n.end(n.op("Conv", x, n.weights_dq(4, 1, 3, 3, axis=0), group=4, dilations=[2, 1]), [1, 4, 3, 4])

    n = Quantized("conv1d")
    x = n.qdq(n.input([1, 5, 9]), unsigned=True)
    yield n.end(n.op("Conv", x, n.weights_dq(3, 5, 3, axis=0), n.weights(3)), [1, 3, 7])

    n = Quantized("gemm")
    x = n.qdq(n.input([2, 9]))
    yield n.end(n.op("Gemm", x, n.weights_dq(5, 9, axis=0), n.bias_dq(5, 0.0002), transB=1), [2, 5])

    n = Quantized("flat")
    x = n.qdq(n.input([1, 3, 4, 2], "image"))
    x = n.qdq(n.op("Flatten", x))
    yield n.end(n.op("Gemm", x, n.weights_dq(24, 5)), [1, 5])

    n = Quantized("matmul")
    x = n.qdq(n.input([1, 3, 8]))
    y = n.op("MatMul", x, n.weights_dq(8, 6, unsigned=True, zero=120))
    yield n.end(n.op("Add", y, n.bias_dq(6, 0.0002)), [1, 3, 6])

    for op in ("Add", "Sub", "Mul"):
        n = Quantized(op.lower())
        a, b = n.qdq(n.input([1, 3, 4, 5], "a")), n.qdq(n.input([1, 3, 4, 5], "b"), 0.02, -9, True)
        yield n.end(n.op(op, a, b), [1, 3, 4, 5], 0.04, 1, True)

    n = Quantized("scaled")
    a, b = n.qdq(n.input([1, 3, 4, 5], "a")), n.qdq(n.input([1, 3, 1, 1], "b"), 0.02)
    yield n.end(n.op("Mul", a, b), [1, 3, 4, 5])

    n = Quantized("with_numbers")
    x = n.qdq(n.input([1, 12]))
    x = n.qdq(n.op("Add", x, n.constant(np.array(3, F))), 0.04, -100)
    x = n.qdq(n.op("Mul", x, n.weights_dq(1, 12)), 0.02, 0)
    n.layers = 2
    yield n.end(x, [1, 12], 0.02, 0)

    for op, scale, zero, kind in (
        ("Sigmoid", 1 / 256, -128, {}),
        ("Tanh", 1 / 128, 0, {}),
        ("HardSwish", 0.02, -100, {}),
        ("LeakyRelu", 0.02, -60, {"alpha": 0.3}),
        ("Elu", 0.02, -60, {}),
        ("Exp", 0.05, -128, {}),
        ("Softplus", 0.02, -128, {}),
    ):
        n = Quantized(op.lower())
        yield n.end(n.op(op, n.qdq(n.input([3, 20])), **kind), [3, 20], scale, zero)

    n = Quantized("clip", 13)
    x = n.op("Clip", n.qdq(n.input([3, 20])), n.constant(np.array(-0.5, F)), n.constant(np.array(0.75, F)))
    yield n.end(x, [3, 20], 0.01, 0)

    n = Quantized("softmax")
    yield n.end(n.op("Softmax", n.qdq(n.input([3, 9])), axis=-1), [3, 9], 1 / 255, 0 - 128, True)

    n = Quantized("averages")
    x = n.qdq(n.input([1, 3, 6, 8], "image"))
    y = n.op("AveragePool", x, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])
    n.end(n.op("GlobalAveragePool", x), [1, 3, 1, 1], 0.01, 3)
    n.end(n.op("ReduceMean", x, axes=[3], keepdims=0), [1, 3, 6], 0.015, 3)
    yield n.end(y, [1, 3, 3, 4], 0.03, 5)

    n = Quantized("moved")
    x = n.qdq(n.input([1, 4, 6, 6], "image"), unsigned=True)
    x = n.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = n.op("Pad", x, n.ints(0, 0, 0, 1, 0, 0, 0, 0))
    x = n.op("Transpose", n.op("Reshape", x, n.ints(1, 2, 2, 3, 4)), perm=[0, 2, 1, 4, 3])
    x = n.op("Slice", x, n.ints(0), n.ints(2), n.ints(4))
    n.layers = 0
    yield n.end(x, [1, 2, 2, 4, 2], unsigned=True)

    n = Quantized("joined")
    a, b = n.qdq(n.input([1, 2, 3, 4], "a")), n.qdq(n.input([1, 3, 3, 4], "b"), 0.02, -9, True)
    yield n.end(n.op("Concat", a, b, axis=1), [1, 5, 3, 4])

    n = Quantized("resized")
    x = n.qdq(n.input([1, 3, 4, 5], "image"))
    a = n.op("Resize", x, "", n.floats(1, 1, 2, 2), mode="nearest", coordinate_transformation_mode="asymmetric",
             nearest_mode="floor")
    n.end(a, [1, 3, 8, 10])
    yield n.end(n.op("Resize", x, "", n.floats(1, 1, 2, 2), mode="linear"), [1, 3, 8, 10])

    # What has no int8 form: weights that are not symmetric, products of activations.
    n = Quantized("mixed")
    x = n.qdq(n.input([1, 3, 5, 4], "image"))
    x = n.qdq(n.op("Conv", x, n.weights_dq(4, 3, 3, 3, unsigned=True, zero=90)))
    x = n.op("Reshape", x, n.ints(1, 4, 6))
    x = n.op("MatMul", x, n.op("Transpose", x, perm=[0, 2, 1]))
    yield n.end(x, [1, 4, 4], 0.1, 0)


def operators():
    """Operators between codes, of ONNX and of com.microsoft."""
    n = Quantized("qlinear_conv")
    x, of_x = n.quantized(n.input([1, 3, 7, 6], "image"), 0.03, 130, True)
    to = n.codes(0.03, 120, True)
    bias = n.constant(n.rng.integers(-900, 900, 4).astype(np.int32))
    y = n.op("QLinearConv", x, *of_x, *n.weight_codes(4, 3, 3, 3, axis=0), *to, bias, pads=[1, 1, 1, 1])
    z = n.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    n.end_codes(y, to, [1, 4, 7, 6], 0.03)
    yield n.end_codes(z, to, [1, 4, 3, 3], 0.03)

    n = Quantized("qlinear_matmul")
    x, of_x = n.quantized(n.input([2, 3, 8]), 0.03, 3)
    to = n.codes(0.03, -4)
    y = n.op("QLinearMatMul", x, *of_x, *n.weight_codes(8, 5), *to)
    yield n.end_codes(y, to, [2, 3, 5], 0.03)

    for op in ("QLinearAdd", "QLinearMul"):
        n = Quantized(op.lower())
        (a, of_a), (b, of_b) = (n.quantized(n.input([1, 3, 4, 5], name), 0.03, 110, True) for name in "ab")
        to = n.codes(0.04, 100, True)
        yield n.end_codes(n.ms(op, a, *of_a, b, *of_b, *to), to, [1, 3, 4, 5], 0.04)

    for op, scale, kind in (
        ("QLinearSigmoid", 1 / 256, {}),
        ("QLinearLeakyRelu", 0.02, {"alpha": 0.2}),
        ("QLinearGlobalAveragePool", 0.01, {}),
        ("QLinearAveragePool", 0.03, {"kernel_shape": [2, 2]}),
    ):
        n = Quantized(op.lower())
        x, of_x = n.quantized(n.input([1, 3, 4, 5], "image"), 0.03, 110, True)
        to = n.codes(scale, 110 * (scale == 0.03), True)
        yield n.end_codes(n.ms(op, x, *of_x, *to, **kind), to, [1, 3, "rows", "columns"], scale)

    n = Quantized("qlinear_concat")
    (a, of_a), (b, of_b) = n.quantized(n.input([1, 3, 4, 5], "a"), 0.03, 3), n.quantized(n.input([1, 2, 4, 5], "b"), 0.02, -3)
    to = n.codes(0.03, 1)
    yield n.end_codes(n.ms("QLinearConcat", *to, a, *of_a, b, *of_b, axis=1), to, [1, 5, 4, 5], 0.03)

    n = Quantized("qgemm")
    x, of_x = n.quantized(n.input([2, 8]), 0.03, 3)
    to = n.codes(0.03, -4)
    bias = n.constant(n.rng.integers(-900, 900, 5).astype(np.int32))
    y = n.ms("QGemm", x, *of_x, *n.weight_codes(5, 8, axis=0), bias, *to, transB=1)
    yield n.end_codes(y, to, [2, 5], 0.03)


def dense():
    """Layers as Gemm and MatMul."""
    n = Net("dense")
    x = n.op("Relu", n.op("Gemm", n.input(["N", 7]), n.weights(9, 7), n.weights(9), transB=1))
    x = n.op("Tanh", n.op("Gemm", x, n.weights(9, 6), n.weights(6)))
    n.output(n.op("Add", n.op("MatMul", x, n.weights(6, 8)), n.weights(8)), ["N", 8])
    return n


class Samples(CalibrationDataReader):
    def __init__(self, net):
        feed = {info.name: sample for info, sample in zip(net.inputs, net.samples)}
        self.feeds = iter([feed] + [{k: (v * f).astype(F) for k, v in feed.items()} for f in (0.5, -0.8)])

    def get_next(self):
        return next(self.feeds, None)


def by_runtime(kind, net, **options):
    """Quantizes a network by ONNX Runtime's tool."""
    net.opset = max(net.opset, 13)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a.onnx", Path(folder) / "b.onnx"
        # Batch normalization is folded before, as the tool recommends.
        folding = onnxruntime.SessionOptions()
        folding.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        folding.optimized_model_filepath = str(source)
        onnxruntime.InferenceSession(net.model(), folding, providers=["CPUExecutionProvider"])
        if kind == "dynamic":
            quantize_dynamic(source, target, **options)
        else:
            quantize_static(source, target, Samples(net), **options)
        return onnx.load(target).SerializeToString()


def run(model, net):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {info.name: sample for info, sample in zip(net.inputs, net.samples)})


def last_scale(model, k):
    """Returns the scale of the DequantizeLinear that computes output k."""
    graph = onnx.load_from_string(model).graph
    node = next(node for node in graph.node if graph.output[k].name in node.output)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return float(constants[node.input[1]])


def tensors():
    result = {}

    def add(name, net, model, steps, layers):
        outputs = run(model, net)
        assert len(outputs) == len(steps), name
        result[f"{name}/model"] = np.frombuffer(model, np.uint8)
        result[f"{name}/layers"] = np.array([layers], F)
        for k, sample in enumerate(net.samples):
            result[f"{name}/input.{k}.0"] = sample
        for k, (output, step) in enumerate(zip(outputs, steps)):
            result[f"{name}/output.{k}.0"] = np.ascontiguousarray(output)
            result[f"{name}/step.{k}"] = np.array([step], F)

    for n in list(each()) + list(operators()):
        add(n.name, n, n.model(), n.steps, n.layers)
    for n, layers in ((convolutional(), 5), (depthwise(), 13), (dense(), 5)):
        for suffix, options in (
            ("qdq", dict(quant_format=QuantFormat.QDQ, per_channel=True)),
            ("qdq_unsigned", dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8)),
            ("qoperator", dict(quant_format=QuantFormat.QOperator, activation_type=QuantType.QUInt8)),
        ):
            model = by_runtime("static", n, **options)
            steps = [last_scale(model, k) for k in range(len(n.outputs))]
            add(f"{n.name}_{suffix}", n, model, steps, layers)
    for n in (dense(), convolutional(), lstm()):
        for kind in (QuantType.QInt8, QuantType.QUInt8):
            model = by_runtime("dynamic", n, weight_type=kind, per_channel=kind == QuantType.QInt8)
            steps = [np.abs(output).max() for output in run(n.model(), n)]
            add(f"{n.name}_dynamic{'' if kind == QuantType.QInt8 else '_unsigned'}", n, model, steps, 0)
    n = lstm()
    model = by_runtime("dynamic", n, weight_type=QuantType.QInt8)
    add("lstm_dynamic_one_scale", n, model, [np.abs(output).max() for output in run(n.model(), n)], 0)
    return result


if __name__ == "__main__":
    write(FILE, tensors())
