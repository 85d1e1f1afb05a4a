"""Make or check tests/golden/ops/uint8.safetensors: uint8 networks of older converters, and what LiteRT answers.

`make_uint8.py [--check]`, in the environment of `tests/networks/requirements.txt`. TensorFlow Lite Micro has no uint8
kernels, so the answers are those of LiteRT's reference kernels, but for FULLY_CONNECTED: since 2025 the reference
multiplies its sums by a float64, where the optimized kernel takes the 31 bits of a multiplier as all others do. The keys
are those of the operators' files.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from cases.multipliers import product_only
from golden import report, rng_for, safetensors
from graph import ACTIVATIONS, PADDING, Model, Q

ROOT = Path(__file__).resolve().parents[2]

U8 = np.uint8


class Net:
    """A network under construction, whose tensors are uint8."""

    def __init__(self, rng):
        self.rng, self.model = rng, Model()
        self.g = self.model.main

    def q(self, zero_point=None):
        if zero_point is None:
            zero_point = self.rng.integers(0, 256)
        return Q(self.rng.uniform(0.01, 0.05), int(zero_point))

    def input(self, shape, q=None):
        return self.g.input(shape, q or self.q(), U8)

    def tensor(self, shape, q=None):
        return self.g.tensor(shape, q or self.q(), U8)

    def output(self, shape, q=None):
        return self.g.output(shape, q or self.q(), U8)

    def scale(self, tensor):
        return float(self.g.tensors[tensor].quantization.scale[0])

    def quantization(self, tensor):
        q = self.g.tensors[tensor].quantization
        return Q(q.scale[0], int(q.zeroPoint[0]))

    def weights(self, shape, zero_point, low=0, high=255):
        codes = self.rng.integers(low, high, shape, dtype=U8, endpoint=True)
        codes.flat[0], codes.flat[-1] = low, high
        return self.g.const(codes, Q(self.rng.uniform(0.002, 0.01), zero_point))

    def bias(self, x, w, count, limit=2000):
        scale = np.float32(self.scale(x)) * np.float32(self.scale(w))
        return self.g.const(self.rng.integers(-limit, limit + 1, count, dtype=np.int32), Q(scale))

    def layer(self, name, x, w, y, padding="SAME", stride=(1, 1), dilation=(1, 1), activation="none", bias=True):
        shape = self.g.tensors[w].shape
        count = shape[3] if name == "DEPTHWISE_CONV_2D" else shape[0]
        options = {}
        if name != "FULLY_CONNECTED":
            options = dict(padding=PADDING[padding], strideH=stride[0], strideW=stride[1])
            options |= dict(dilationHFactor=dilation[0], dilationWFactor=dilation[1])
        if name == "DEPTHWISE_CONV_2D":
            options["depthMultiplier"] = count // self.g.tensors[x].shape[3]
        # A convolution must have a bias.
        b = [self.bias(x, w, count, 2000 if bias else 0)] if bias or name != "FULLY_CONNECTED" else []
        self.g.op(name, [x, w, *b], [y], fusedActivationFunction=ACTIVATIONS[activation], **options)
        return y




def layer(name, x_shape, w_shape, y_shape, zero_point, low=0, high=255, **more):
    def make(rng):
        net = Net(rng)
        x = net.input(x_shape)
        w = net.weights(w_shape, zero_point, low, high)
        # Most sums are then within the range of codes, whatever the zero points.
        terms = np.prod(w_shape[1:3] if name == "DEPTHWISE_CONV_2D" else w_shape[1:])
        sums = (abs(128 - int(net.quantization(x).zero_point[0])) + 74) * (abs((low + high) / 2 - zero_point) + 74)
        scale = net.scale(x) * net.scale(w) * sums * np.sqrt(terms) / 60
        net.layer(name, x, w, net.output(y_shape, Q(scale, int(rng.integers(100, 156)))), **more)
        return net

    return make


def multiplier(name, rows=2, zero_point=128, filters=4):
    """Scales with which it shows whether the product of two was rounded to float32."""

    def make(rng):
        net = Net(rng)
        a, b, o = product_only(rng)
        c = 4
        x = net.input([1, 8, 8, c], Q(a, int(rng.integers(100, 156))))
        y = net.output([1, 8, 8, filters], Q(o, int(rng.integers(100, 156))))
        if name == "DEPTHWISE_CONV_2D":
            w = np.full((1, rows, 1, c), zero_point, U8)
            w[0, 0, 0, :] += 1
        else:
            w = np.full((filters, rows, 1, c), zero_point, U8)
            w[:c, 0, 0, :] += np.eye(c, dtype=U8)
            w[c:] = 255
        net.layer(name, x, net.g.const(w, Q(b, zero_point)), y, bias=False)
        return net

    return make


def pool(name, shape, window, y_shape, padding="VALID", stride=(1, 1), activation="none"):
    def make(rng):
        net = Net(rng)
        x = net.input(shape)
        y = net.output(y_shape, net.quantization(x))
        options = dict(padding=PADDING[padding], strideH=stride[0], strideW=stride[1])
        options |= dict(filterHeight=window[0], filterWidth=window[1])
        net.g.op(name, [x], [y], fusedActivationFunction=ACTIVATIONS[activation], **options)
        return net

    return make


def binary(name, a_shape, b_shape, activation="none"):
    def make(rng):
        net = Net(rng)
        a, b = net.input(a_shape), net.input(b_shape)
        y_shape = np.broadcast_shapes(a_shape, b_shape)
        scale = net.scale(a) * net.scale(b) * 100 if name == "MUL" else 1.5 * (net.scale(a) + net.scale(b))
        y = net.output(y_shape, Q(scale, int(rng.integers(100, 156))))
        net.g.op(name, [a, b], [y], fusedActivationFunction=ACTIVATIONS[activation])
        return net

    return make


def concatenation(same):
    def make(rng):
        net = Net(rng)
        q = net.q()
        x = [net.input([1, 4, 16, c], q if same else None) for c in (1, 3, 2)]
        y = net.output([1, 4, 16, 6], q)
        net.g.op("CONCATENATION", x, [y], axis=3, fusedActivationFunction=0)
        return net

    return make


def function(name, y_q=None, keeps=False, **options):
    """A function of each of the 256 codes."""

    def make(rng):
        net = Net(rng)
        x = net.input([1, 256])
        net.g.op(name, [x], [net.output([1, 256], net.quantization(x) if keeps else y_q)], **options)
        return net

    return make


def resize(name, shape, size, **options):
    def make(rng):
        net = Net(rng)
        x = net.input(shape)
        y = net.output([shape[0], *size, shape[3]], net.quantization(x))
        net.g.op(name, [x, net.g.ints(size)], [y], **options)
        return net

    return make


def moves(rng):
    """A constant beside an input; padding, a part of it, and transposed."""
    net = Net(rng)
    q = net.q()
    x = net.input([1, 4, 4, 2], q)
    c = net.g.const(rng.integers(0, 256, [1, 4, 4, 2], dtype=U8), q)
    joined = net.tensor([1, 4, 4, 4], q)
    net.g.op("CONCATENATION", [c, x], [joined], axis=3, fusedActivationFunction=0)
    padded = net.tensor([1, 6, 7, 4], q)
    net.g.op("PAD", [joined, net.g.ints([[0, 0], [1, 1], [2, 1], [0, 0]])], [padded])
    part = net.tensor([1, 5, 6, 4], q)
    net.g.op("SLICE", [padded, net.g.ints([0, 1, 0, 0]), net.g.ints([1, 5, 6, 4])], [part])
    turned = net.tensor([1, 4, 6, 5], q)
    net.g.op("TRANSPOSE", [part, net.g.ints([0, 3, 2, 1])], [turned])
    net.g.op("RESHAPE", [turned, net.g.ints([1, 120])], [net.output([1, 120], q)], newShape=[1, 120])
    return net


def space_to_batch(rng):
    """Around the image, LiteRT adds the zero point."""
    net = Net(rng)
    x = net.input([1, 5, 6, 2])
    six = Q(6 / 255, 30)
    layer = net.layer("CONV_2D", x, net.weights([3, 1, 1, 2], 128), net.tensor([1, 5, 6, 3], six))
    y = net.output([4, 4, 4, 3], six)
    net.g.op("SPACE_TO_BATCH_ND", [layer, net.g.ints([2, 2]), net.g.ints([[1, 2], [1, 1]])], [y])
    return net


def network(rng):
    """Convolutions of all kinds with weights of any zero point, a residual, both poolings, softmax; a part is float."""
    net = Net(rng)
    x = net.input([1, 12, 9, 3], Q(1 / 128, 128))
    six = Q(6 / 255, 0)
    w, y = net.weights([8, 3, 3, 3], 157), net.tensor([1, 6, 5, 8], six)
    a = net.layer("CONV_2D", x, w, y, stride=(2, 2), activation="relu6")
    w, y = net.weights([1, 3, 3, 8], 204), net.tensor([1, 6, 5, 8], six)
    b = net.layer("DEPTHWISE_CONV_2D", a, w, y, activation="relu6")
    c = net.layer("CONV_2D", b, net.weights([8, 1, 1, 8], 94), net.tensor([1, 6, 5, 8], Q(0.05, 120)))
    s = net.tensor([1, 6, 5, 8], Q(0.06, 110))
    net.g.op("ADD", [a, c], [s], fusedActivationFunction=0)
    p = net.tensor([1, 3, 3, 8], net.quantization(s))
    options = dict(padding=PADDING["SAME"], strideH=2, strideW=2, filterHeight=2, filterWidth=2)
    net.g.op("MAX_POOL_2D", [s], [p], fusedActivationFunction=0, **options)
    v = net.tensor([1, 1, 2, 8], net.quantization(s))
    options = dict(padding=PADDING["VALID"], strideH=1, strideW=1, filterHeight=3, filterWidth=2)
    net.g.op("AVERAGE_POOL_2D", [p], [v], fusedActivationFunction=0, **options)
    flat = net.tensor([1, 16], net.quantization(s))
    net.g.op("RESHAPE", [v, net.g.ints([1, 16])], [flat], newShape=[1, 16])
    logits = net.layer("FULLY_CONNECTED", flat, net.weights([10, 16], 61), net.tensor([1, 10], Q(0.1, 130)))
    net.g.op("SOFTMAX", [logits], [net.output([1, 10], Q(1 / 256, 0))], beta=1.0)
    net.g.op("DEQUANTIZE", [logits], [net.g.output([1, 10], dtype=np.float32)])
    return net


CONV, DEPTHWISE, DENSE = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"
CASES = {
    "conv_symmetric": layer(CONV, [1, 7, 6, 3], [5, 3, 3, 3], [1, 7, 6, 5], 128),
    "conv_narrow": layer(CONV, [1, 7, 6, 3], [5, 3, 3, 3], [1, 7, 6, 5], 100, low=10, high=220),
    "conv_two_parts": layer(CONV, [1, 7, 6, 3], [5, 3, 3, 3], [1, 4, 3, 5], 157, stride=(2, 2), activation="relu"),
    "conv_three_parts": layer(CONV, [1, 7, 6, 3], [5, 2, 3, 3], [1, 6, 4, 5], 0, padding="VALID"),
    "conv_dilated": layer(CONV, [1, 9, 8, 2], [4, 3, 3, 2], [1, 9, 8, 4], 90, dilation=(2, 2)),
    "conv_pointwise": layer(CONV, [2, 4, 5, 7], [6, 1, 1, 7], [2, 4, 5, 6], 61, activation="relu6"),
    "conv_pointwise_strided": layer(CONV, [1, 5, 6, 7], [6, 1, 1, 7], [1, 3, 3, 6], 200, stride=(2, 2)),
    "depthwise_symmetric": layer(DEPTHWISE, [1, 7, 6, 4], [1, 3, 3, 4], [1, 7, 6, 4], 128),
    "depthwise_two_parts": layer(DEPTHWISE, [1, 7, 6, 4], [1, 3, 3, 4], [1, 7, 6, 4], 204),
    "depthwise_strided": layer(DEPTHWISE, [1, 8, 7, 4], [1, 3, 3, 4], [1, 4, 4, 4], 50, stride=(2, 2), activation="relu6"),
    "depthwise_valid": layer(DEPTHWISE, [1, 8, 7, 2], [1, 4, 2, 6], [1, 5, 6, 6], 140, padding="VALID"),
    "depthwise_three_parts": layer(DEPTHWISE, [1, 5, 6, 3], [1, 3, 3, 3], [1, 5, 6, 3], 255),
    "depthwise_dilated": layer(DEPTHWISE, [1, 9, 10, 2], [1, 3, 3, 2], [1, 9, 10, 2], 110, dilation=(2, 3)),
    "dense_symmetric": layer(DENSE, [3, 20], [7, 20], [3, 7], 128),
    "dense_narrow": layer(DENSE, [3, 20], [7, 20], [3, 7], 120, low=5, high=240),
    "dense_full": layer(DENSE, [3, 20], [7, 20], [3, 7], 61, activation="relu"),
    "dense_no_bias": layer(DENSE, [1, 33], [9, 33], [1, 9], 255, bias=False),
    "multiplier_conv": multiplier(CONV),
    "multiplier_depthwise": multiplier(DEPTHWISE),
    "multiplier_pointwise": multiplier(CONV, rows=1, zero_point=100, filters=5),
    "average_odd": pool("AVERAGE_POOL_2D", [1, 7, 9, 4], (3, 3), [1, 3, 4, 4], stride=(2, 2)),
    "average_even": pool("AVERAGE_POOL_2D", [1, 8, 8, 4], (4, 2), [1, 5, 7, 4]),
    "average_same": pool("AVERAGE_POOL_2D", [1, 7, 8, 4], (3, 3), [1, 4, 4, 4], padding="SAME", stride=(2, 2), activation="relu"),
    "maximum": pool("MAX_POOL_2D", [1, 7, 8, 4], (3, 2), [1, 4, 4, 4], padding="SAME", stride=(2, 2), activation="relu6"),
    "add": binary("ADD", [1, 8, 16, 2], [1, 8, 16, 2], activation="relu"),
    "add_broadcast": binary("ADD", [1, 8, 16, 2], [1, 1, 1, 2]),
    "sub": binary("SUB", [1, 256], [1, 256]),
    "mul": binary("MUL", [1, 8, 16, 2], [1, 8, 16, 2], activation="relu6"),
    "concatenation": concatenation(True),
    "concatenation_scales": concatenation(False),
    "logistic": function("LOGISTIC", Q(1 / 256, 0)),
    "tanh": function("TANH", Q(1 / 128, 128)),
    "relu": function("RELU"),
    "relu6": function("RELU6"),
    "relu6_same": function("RELU6", keeps=True),
    "softmax": function("SOFTMAX", Q(1 / 256, 0), beta=1.0),
    "resize_bilinear": resize("RESIZE_BILINEAR", [1, 4, 5, 3], [8, 10]),
    "resize_bilinear_corners": resize("RESIZE_BILINEAR", [1, 4, 5, 3], [9, 13], alignCorners=True),
    "resize_bilinear_centres": resize("RESIZE_BILINEAR", [1, 6, 5, 3], [7, 11], halfPixelCenters=True),
    "resize_nearest": resize("RESIZE_NEAREST_NEIGHBOR", [1, 4, 5, 3], [8, 10]),
    "space_to_batch": space_to_batch,
    "moves": moves,
    "network": network,
}


def varied(name, make):
    """The tensors of a case that is drawn until its outputs have many codes."""
    for attempt in range(100):
        tensors = run(name, make, rng_for(f"{name}#{attempt}"))
        outputs = [tensor for key, tensor in tensors.items() if f"{name}/output" in key]
        if all(len(np.unique(y)) >= min(y.size / 3, 12) for y in outputs):
            return tensors
    raise RuntimeError(f"{name}: every output is flat")


def run(name, make, rng):
    model = make(rng).model.to_bytes()
    dense = name.startswith("uint8.dense")
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if dense else OpResolverType.BUILTIN_REF
    machine = Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)
    machine.allocate_tensors()
    tensors = {f"{name}/model": np.frombuffer(model, U8)}
    for k in range(2):
        for i, tensor in enumerate(machine.get_input_details()):
            shape = tensor["shape"]
            codes = rng.permutation(np.resize(np.arange(256), max(256, np.prod(shape))))[: np.prod(shape)]
            codes = codes.astype(U8).reshape(shape)
            machine.set_tensor(tensor["index"], codes)
            tensors[f"{name}/input.{i}.{k}"] = codes
        machine.invoke()
        for i, tensor in enumerate(machine.get_output_details()):
            tensors[f"{name}/output.{i}.{k}"] = machine.get_tensor(tensor["index"]).copy()
    return tensors


def main():
    tensors = {}
    about = {"oracle": f"LiteRT {version('ai-edge-litert')}", "made_by": "tests/oracle/make_uint8.py"}
    for name, make in CASES.items():
        tensors |= varied(f"uint8.{name}", make)
        about[f"uint8.{name}"] = name.replace("_", " ")
    data = safetensors(tensors, about)
    return report({ROOT / "tests/golden/ops/uint8.safetensors": data}, "--check" in sys.argv[1:], ROOT)


sys.exit(main())
