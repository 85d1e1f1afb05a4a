"""Networks of int16 activations with int8 weights: zero points of 0, biases of 64 bits, or of 32."""

import numpy as np

from graph import schema

from .common import ACTIVATIONS, PADDING, Case, Model, Q, elements, operator, pick, scale, words
from .conv import output_size

STD = 18918.0  # standard deviation of a uniform random int16
I16 = np.int16


def symmetric(rng, low=1e-5, high=2e-3):
    return Q(scale(rng, low, high))


def layer(rng, g, x_q, weights, taps, axis, channels, act, per_channel, bias, small=False):
    """Weights and bias constants, and the output's quantization, under which most outputs do not saturate. ReLU6 and
    ReLU1 cut inside the int16 range. Values of an input that are `small` keep sums below 32 bits."""
    spread = float(np.std(weights.astype(np.float64))) or 1.0
    std = 300.0 if small else STD
    out_scale = scale(rng, 1e-4, 4e-4)
    w_scale = float(out_scale) * 9000 / (np.sqrt(taps) * std * spread * float(x_q.scale[0]))
    w_scales = w_scale * rng.uniform(0.4, 1.3, channels if per_channel else 1)
    w = g.const(weights, Q(w_scales, 0, axis))
    if bias is None:
        return w, [], Q(out_scale)
    b_scales = (w_scales.astype(np.float32) * x_q.scale[0]).astype(np.float32)
    limit = np.sqrt(taps) * std * spread
    values = rng.integers(int(-limit), int(limit), channels, endpoint=True).astype(bias)
    return w, [g.const(values, Q(b_scales))], Q(out_scale)


def codes(rng, shape, small):
    """Any int16 codes, with both ends, or such that sums of 32 bits do not overflow."""
    if small:
        return rng.integers(-520, 521, shape, dtype=I16)
    x = rng.integers(-32768, 32768, shape, dtype=I16)
    x.reshape(-1)[:2] = [-32768, 32767][: x.size]
    return x


def image(h=6, w=6, k=(3, 3), stride=(1, 1), dilation=(1, 1), padding="SAME"):
    out = [output_size(s, *p, padding) for s, *p in zip((h, w), k, stride, dilation)]
    options = dict(padding=PADDING[padding], strideH=stride[0], strideW=stride[1])
    return out, options, dict(dilationHFactor=dilation[0], dilationWFactor=dilation[1])


@operator
def conv2d_i16():
    def case(n=1, c=3, o=4, act="none", per_channel=True, bias=np.int64, bias_type=None, groups=1, h=6, w=6, k=(3, 3), **window):
        def make(rng):
            model = Model()
            g = model.main
            x_q, small = symmetric(rng), bias is np.int32
            typed = {} if bias_type is None else dict(quantizedBiasType=bias_type)
            x = g.input([n, h, w, c], x_q, I16)
            weights = rng.integers(-127, 128, (o, *k, c // groups), dtype=np.int8)
            wt, b, y_q = layer(
                rng, g, x_q, weights, elements(k) * c // groups, 0, o, act, per_channel, bias, small
            )
            out, options, dilations = image(h, w, k, **window)
            y = g.output([n, *out, o], y_q, I16)
            g.op("CONV_2D", [x, wt, *b], [y], fusedActivationFunction=ACTIVATIONS[act], **options, **dilations, **typed)
            note = words(input=(n, h, w, c), filter=weights.shape, act=act, bias=getattr(bias, "__name__", bias), **typed, **window)
            return Case(model, note, inputs=[[codes(rng, (n, h, w, c), small)]])

        return make

    for bias in (np.int64, np.int32, None):
        yield case(bias=bias)
        yield case(bias=bias, padding="VALID", c=5, o=9)
        yield case(bias=bias, k=(1, 1), c=8, o=5, act="relu")
        yield case(bias=bias, stride=(2, 1), h=7, w=5, act="relu6")
        yield case(bias=bias, per_channel=False, dilation=(2, 2), h=8, w=7)
    yield case(groups=2, c=4, o=6, n=2)
    yield case(groups=3, c=6, o=3, stride=(2, 2), padding="VALID", act="relu_n1_to_1")
    yield case(h=2, w=2, k=(5, 5))
    yield case(h=1, w=1, c=9, o=17)
    yield case(h=12, w=1, k=(4, 1), c=2, o=3, padding="VALID")
    # Sums of more than 32 bits.
    yield case(h=9, w=9, k=(9, 9), c=20, o=2, padding="VALID")
    yield case(h=1, w=4, k=(1, 1), c=700, o=5)
    for _ in range(4):
        yield lambda rng: case(
            n=pick(rng, 1, 2), h=int(rng.integers(1, 11)), w=int(rng.integers(1, 11)), c=int(rng.integers(1, 8)), o=int(rng.integers(1, 8)),
            k=tuple(map(int, rng.integers(1, 5, 2))), stride=tuple(map(int, rng.integers(1, 4, 2))), dilation=pick(rng, (1, 1), (2, 1), (2, 3)),
            act=pick(rng, "none", "relu", "relu6", "relu_n1_to_1"), per_channel=pick(rng, True, False),
        )(rng)  # fmt: skip
    # Without a bias, of a type for which sums have 32 bits, which wrap, or 64.
    for bias_type in (schema.TensorType.INT32, schema.TensorType.INT64):
        yield case(bias=None, bias_type=bias_type, h=9, w=9, k=(9, 9), c=20, o=3, padding="VALID")
        yield case(bias=None, bias_type=bias_type, h=1, w=4, k=(1, 1), c=700, o=5, act="relu")


@operator
def depthwise_conv2d_i16():
    def case(n=1, c=4, m=1, act="none", per_channel=True, bias=np.int64, h=6, w=6, k=(3, 3), **window):
        def make(rng):
            model = Model()
            g = model.main
            x_q = symmetric(rng)
            x = g.input([n, h, w, c], x_q, I16)
            weights = rng.integers(-127, 128, (1, *k, c * m), dtype=np.int8)
            wt, b, y_q = layer(rng, g, x_q, weights, elements(k), 3, c * m, act, per_channel, bias)
            out, options, dilations = image(h, w, k, **window)
            y = g.output([n, *out, c * m], y_q, I16)
            g.op(
                "DEPTHWISE_CONV_2D",
                [x, wt, *b],
                [y],
                depthMultiplier=m,
                fusedActivationFunction=ACTIVATIONS[act],
                **options,
                **dilations,
            )
            return Case(model, words(input=(n, h, w, c), filter=weights.shape, act=act, bias=bias is not None, **window))

        return make

    yield case()
    yield case(padding="VALID", c=9)
    yield case(m=2, c=3)
    yield case(m=5, c=2, n=2, act="relu")
    yield case(m=8, c=1, h=9, w=7, k=(5, 4), stride=(2, 2))
    yield case(stride=(2, 1), h=7, w=4, padding="VALID", act="relu6")
    yield case(dilation=(2, 2), h=8, w=7, per_channel=False)
    yield case(bias=None, act="relu_n1_to_1")
    yield case(h=2, w=2, k=(5, 5))
    yield case(h=1, w=1, c=19)
    yield case(k=(1, 1), c=5)
    # Sums of more than 32 bits.
    yield case(h=3, w=700, k=(3, 600), c=1, padding="VALID")
    for _ in range(4):
        yield lambda rng: case(
            n=pick(rng, 1, 2), h=int(rng.integers(1, 11)), w=int(rng.integers(1, 11)), c=int(rng.integers(1, 7)), m=pick(rng, 1, 1, 2, 3),
            k=tuple(map(int, rng.integers(1, 5, 2))), stride=tuple(map(int, rng.integers(1, 4, 2))), dilation=pick(rng, (1, 1), (2, 1), (2, 3)),
            act=pick(rng, "none", "relu", "relu6", "relu_n1_to_1"), per_channel=pick(rng, True, False),
        )(rng)  # fmt: skip


@operator
def fully_connected_i16():
    def case(shape=(1, 12), units=10, keep=False, act="none", per_channel=False, bias=np.int64, bias_type=None):
        def make(rng):
            model = Model()
            g = model.main
            typed = {} if bias_type is None else dict(quantizedBiasType=bias_type)
            x_q, features, small = symmetric(rng), shape[-1], bias is np.int32
            x = g.input(shape, x_q, I16)
            weights = rng.integers(-127, 128, (units, features), dtype=np.int8)
            w, b, y_q = layer(rng, g, x_q, weights, features, 0, units, act, per_channel, bias, small)
            y = g.output([*shape[:-1], units] if keep else [elements(shape[:-1]), units], y_q, I16)
            g.op(
                "FULLY_CONNECTED", [x, w, *b], [y], keepNumDims=keep, fusedActivationFunction=ACTIVATIONS[act], **typed
            )
            note = words(input=shape, units=units, act=act, per_channel=per_channel, bias=getattr(bias, "__name__", bias), **typed)
            return Case(model, note, inputs=[[codes(rng, shape, small)]])

        return make

    for bias in (np.int64, np.int32, None):
        yield case(bias=bias)
        yield case(bias=bias, shape=(3, 9), units=7, per_channel=True)
        yield case(bias=bias, shape=(2, 3, 8), units=4, keep=True, act="relu")
        yield case(bias=bias, shape=(2, 12), act="relu6", per_channel=True)
    yield case(shape=(1, 1), units=33)
    yield case(shape=(2, 700), units=6)
    yield case(shape=(16,), units=5, act="relu_n1_to_1")
    for bias_type in (schema.TensorType.INT32, schema.TensorType.INT64):
        yield case(shape=(2, 700), units=6, bias=None, bias_type=bias_type)
        yield case(shape=(1, 700), units=9, bias=None, bias_type=bias_type, per_channel=True, act="relu")

    def wrapping(bias_type):
        def make(rng):
            model = Model()
            g = model.main
            x = g.input([3, 800], Q(1e-3), I16)
            w = g.const(rng.integers(100, 128, (7, 800), dtype=np.int8), Q(0.01))
            y = g.output([3, 7], Q(1e-5 * 2**17), I16)
            g.op("FULLY_CONNECTED", [x, w], [y], quantizedBiasType=bias_type)
            values = rng.integers(29000, 32768, (3, 800), dtype=I16)
            return Case(model, words(input=(3, 800), units=7, sums=2**31, quantizedBiasType=bias_type), inputs=[[values]])

        return make

    yield wrapping(schema.TensorType.INT32)
    yield wrapping(schema.TensorType.INT64)


def pool(name):
    def case(n=1, c=3, act="none", h=6, w=6, k=(2, 2), stride=(2, 2), padding="VALID"):
        def make(rng):
            model = Model()
            g = model.main
            q = symmetric(rng, 1e-4, 6e-4)
            out, options, _ = image(h, w, k, stride, (1, 1), padding)
            x, y = g.input([n, h, w, c], q, I16), g.output([n, *out, c], q, I16)
            g.op(
                name, [x], [y], filterHeight=k[0], filterWidth=k[1], fusedActivationFunction=ACTIVATIONS[act], **options
            )
            return Case(model, words(input=(n, h, w, c), window=k, stride=stride, padding=padding, act=act, q=q))

        return make

    yield case()
    yield case(k=(3, 3), stride=(1, 1), padding="SAME", c=9)
    yield case(k=(6, 6), stride=(1, 1), c=19)
    yield case(k=(25, 5), stride=(25, 5), h=25, w=5, c=4)
    yield case(k=(3, 2), stride=(2, 3), h=7, w=9, padding="SAME", n=2)
    yield case(act="relu")
    yield case(act="relu6", padding="SAME", stride=(1, 1))
    yield case(act="relu_n1_to_1", stride=(1, 1))


@operator
def avg_pool2d_i16():
    yield from pool("AVERAGE_POOL_2D")


@operator
def max_pool2d_i16():
    yield from pool("MAX_POOL_2D")


def fitted(values):
    """The symmetric quantization that holds nearly all of these values."""
    return Q(max(float(np.quantile(np.abs(values), 0.98)), 1e-9) / 32767)


FUNCTIONS = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}


def binary(name):
    def case(a_shape, b_shape, act="none", const=None, same_q=False, far=False):
        def make(rng):
            model = Model()
            g = model.main
            a_q = symmetric(rng, 1e-4, 6e-4)
            b_q = a_q if same_q else symmetric(rng, 2e-6, 1e-2) if far else symmetric(rng, 1e-4, 6e-4)
            samples = [float(q.scale[0]) * rng.integers(-32768, 32768, 4096) for q in (a_q, b_q)]
            y_q = fitted(FUNCTIONS[name](*samples))
            if act in ("relu6", "relu_n1_to_1"):
                y_q = Q(np.clip(y_q.scale[0], 1e-4, 4e-4))
            shapes, ends = [a_shape, b_shape], []
            for i, q in enumerate((a_q, b_q)):
                if const == i:
                    ends.append(g.const(rng.integers(-32768, 32768, shapes[i], dtype=I16), q))
                else:
                    ends.append(g.input(shapes[i], q, I16))
            y = g.output(np.broadcast_shapes(a_shape, b_shape), y_q, I16)
            options = dict(fusedActivationFunction=ACTIVATIONS[act])
            if name != "MUL":
                options["potScaleInt16"] = False
            g.op(name, ends, [y], **options)
            return Case(model, words(a=a_shape, b=b_shape, act=act, a_q=a_q, b_q=b_q, y_q=y_q))

        return make

    for shapes in (
        ((1, 4, 4, 3), (1, 4, 4, 3)),
        ((24,), (24,)),
        ((2, 3, 4, 2), (1, 1, 1, 2)),
        ((5,), (3, 4, 5)),
        ((2, 4, 3, 2), (1,)),
        ((1, 3, 1, 4), (2, 1, 5, 1)),
    ):
        yield case(*shapes)
    square = ((1, 3, 4, 5), (1, 3, 4, 5))
    for act in ("relu", "relu6", "relu_n1_to_1"):
        yield case(*square, act=act)
    yield case(*square, const=1)
    yield case((2, 3, 4, 3), (3,), const=1)
    yield case(*square, same_q=True)
    for _ in range(6):
        yield case(*square, far=True)
    yield case((300,), (300,))


@operator
def add_i16():
    yield from binary("ADD")


@operator
def sub_i16():
    yield from binary("SUB")


@operator
def mul_i16():
    yield from binary("MUL")


@operator
def mean_i16():
    def case(shape, axes, keep, other=False):
        def make(rng):
            model = Model()
            g = model.main
            x_q = symmetric(rng)
            y_q = Q(float(x_q.scale[0]) * float(rng.uniform(0.3, 1.2))) if other else x_q
            to = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
            x, y = g.input(shape, x_q, I16), g.output(to, y_q, I16)
            g.op("MEAN", [x, g.ints(list(axes))], [y], keepDims=keep)
            return Case(model, words(input=shape, axes=axes, keep_dims=keep, x=x_q, y=y_q), invokes=2)

        return make

    for other in (False, True):
        yield case((4, 9), (0,), True, other)
        yield case((3, 4, 5), (1, 2), False, other)
        yield case((2, 5, 7, 6), (1, 2), True, other)
        yield case((1, 200, 3), (1,), False, other)
        yield case((2, 3, 4, 5), (0, 1, 2, 3), True, other)
        yield case((2, 3, 4, 5), (3,), False, other)


@operator
def softmax_i16():
    def case(shape=(1, 10), beta=1.0, scale=1e-4):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(np.float32(scale * rng.uniform(0.7, 1.4)))
            x, y = g.input(shape, q, I16), g.output(shape, Q(1 / 32768), I16)
            g.op("SOFTMAX", [x], [y], beta=beta)
            return Case(model, words(input=shape, beta=beta, x=q), invokes=3)

        return make

    yield case()
    yield case(shape=(4, 12))
    yield case(shape=(16,), scale=2e-5)
    yield case(shape=(2, 2, 3, 5))
    yield case(shape=(3, 10), beta=0.25, scale=2e-4)
    yield case(shape=(2, 10), beta=10.0, scale=1e-5)
    yield case(shape=(5, 2))
    yield case(shape=(1, 100))
    yield case(shape=(2, 33), scale=1e-6)
    yield case(shape=(4, 300), scale=1e-5)
    yield case(shape=(2, 12), scale=3e-3)
    yield case(shape=(2, 12), scale=1e-7)
    yield case(shape=(1, 1000), scale=4e-5)


def every(rng, count=2048):
    """Codes from one end to the other, and those about 0."""
    x = np.linspace(-32768, 32767, count - 256).round().astype(I16)
    return rng.permutation(np.concatenate([x, np.arange(-128, 128, dtype=I16)]))


def function(name, x_q, y_q, count, **options):
    def case(i):
        def make(rng):
            model = Model()
            g = model.main
            xq = x_q(rng, i)
            yq = y_q(rng, i, xq)
            drawn = {k: v(i) for k, v in options.items()}
            shape = (2048,) if i % 2 else (2, 16, 16, 4)
            x, y = g.input(shape, xq, I16), g.output(shape, yq, I16)
            g.op(name, [x], [y], **drawn)
            return Case(model, words(input=shape, **drawn, x=xq, y=yq), inputs=[[every(rng)]])

        return make

    for i in range(count):
        yield case(i)


def near(rng, i, q):
    return q if i % 3 == 0 else Q(float(q.scale[0]) * rng.uniform(0.4, 1.6))


@operator
def relu_i16():
    yield from function("RELU", lambda rng, i: symmetric(rng), near, 4)


@operator
def relu6_i16():
    yield from function("RELU6", lambda rng, i: symmetric(rng, 1e-4, 1e-3), lambda rng, i, q: q, 3)


@operator
def leaky_relu_i16():
    alphas = [0.1, 0.3, 0.01, 1.0, 1.5, 0.0]
    yield from function("LEAKY_RELU", lambda rng, i: symmetric(rng), near, 6, alpha=lambda i: alphas[i])


# Powers of two, which have a way of their own, and any others.
SCALES = [2.0**-12, 2.0**-11, 2.0**-13, 2.0**-8, 3e-4, 1e-4, 2e-5, 1e-3, 0.02, 1e-6]


@operator
def logistic_i16():
    unit = Q(1 / 32768)
    yield from function("LOGISTIC", lambda rng, i: Q(SCALES[i]), lambda rng, i, q: unit, len(SCALES))


@operator
def tanh_i16():
    unit = Q(1 / 32768)
    yield from function("TANH", lambda rng, i: Q(SCALES[i]), lambda rng, i, q: unit, len(SCALES))


@operator
def requantize_i16():
    def case(i):
        def make(rng):
            model = Model()
            g = model.main
            shape = [(2048,), (2, 16, 16, 4)][i % 2]
            wide = symmetric(rng, 1e-4, 1e-3)
            narrow = Q(float(wide.scale[0]) * rng.uniform(100, 300), int(rng.integers(-60, 61)))
            if i % 3 == 0:
                x, y = g.input(shape, wide, I16), g.output(shape, narrow)
                values = every(rng)
            elif i % 3 == 1:
                x, y = g.input(shape, narrow), g.output(shape, wide, I16)
                values = np.tile(rng.permutation(256).astype(np.uint8).view(np.int8), 8)
            else:
                x, y = g.input(shape, wide, I16), g.output(shape, near(rng, i, wide), I16)
                values = every(rng)
            g.op("QUANTIZE", [x], [y])
            return Case(model, words(input=shape, wide=wide, narrow=narrow), inputs=[[values]])

        return make

    for i in range(9):
        yield case(i)


@operator
def quantize_i16():
    def case(shape):
        def make(rng):
            model = Model()
            g = model.main
            q = symmetric(rng, 1e-5, 1e-2)
            x, y = g.input(shape, dtype=np.float32), g.output(shape, q, I16)
            g.op("QUANTIZE", [x], [y])
            steps = rng.uniform(-40000, 40000, shape).astype(np.float32)
            flat = steps.reshape(-1)
            half = flat.size // 2
            flat[:half] = rng.integers(-32768, 32767, half).astype(np.float32) + np.float32(0.5)
            values = steps * q.scale[0]
            ends = np.array([0.0, -0.0, 1e6, -1e6, 0.5, -0.5, 1.5, 1e-30], np.float32) * q.scale[0]
            values.reshape(-1)[-ends.size :] = ends
            return Case(model, words(input=shape, y=q), inputs=[[values]])

        return make

    for shape in ((64,), (4, 16), (1, 4, 4, 4)):
        yield case(shape)


@operator
def dequantize_i16():
    def case(shape):
        def make(rng):
            model = Model()
            g = model.main
            q = symmetric(rng, 1e-5, 1e-2)
            g.op("DEQUANTIZE", [g.input(shape, q, I16)], [g.output(shape, dtype=np.float32)])
            return Case(model, words(input=shape, x=q))

        return make

    for shape in ((64,), (4, 16), (1, 4, 4, 4)):
        yield case(shape)


@operator
def movement_i16():
    """What only moves elements."""

    def case(name, shape, to, constants=(), count=1, outputs=1, first=False, **options):
        def make(rng):
            model = Model()
            g = model.main
            q = symmetric(rng)
            inputs = [g.input(shape, q, I16) for _ in range(count)]
            numbers = [g.ints(c) for c in constants]
            ys = [g.output(to, q, I16) for _ in range(outputs)]
            g.op(name, numbers + inputs if first else inputs + numbers, ys, **options)
            return Case(model, words(operator=name, input=shape, output=to))

        return make

    yield case("PAD", (1, 3, 4, 2), (1, 6, 5, 2), [[[0, 0], [1, 2], [1, 0], [0, 0]]])
    yield case("CONCATENATION", (1, 3, 4, 2), (1, 3, 4, 6), count=3, axis=3)
    yield case("CONCATENATION", (2, 5), (4, 5), count=2, axis=0)
    yield case("RESHAPE", (1, 3, 4, 2), (4, 6), [[4, 6]], newShape=[4, 6])
    yield case("TRANSPOSE", (2, 3, 4), (4, 2, 3), [[2, 0, 1]])
    yield case("TRANSPOSE", (1, 3, 4, 2), (1, 4, 3, 2), [[0, 2, 1, 3]])
    yield case("SLICE", (3, 5, 4), (2, 3, 4), [[1, 2, 0], [2, 3, 4]])
    yield case("STRIDED_SLICE", (3, 6, 4), (3, 3, 2), [[0, 0, 1], [3, 6, 3], [1, 2, 1]])
    yield case("SPLIT", (2, 6), (2, 2), [1], outputs=3, first=True, numSplits=3)
    yield case("PACK", (2, 3), (2, 2, 3), count=2, axis=1, valuesCount=2)
    yield case("RESIZE_NEAREST_NEIGHBOR", (1, 3, 2, 3), (1, 5, 4, 3), [[5, 4]])


@operator
def graphs_i16():
    """Small networks, with int8, int16 or float at their ends."""

    def case(kind):
        def make(rng):
            model = Model()
            g = model.main
            x_q = symmetric(rng)
            shape, dtype, values = (1, 8, 8, 2), {"int16": I16, "int8": np.int8, "float": np.float32}[kind], []
            ends_q = {"int16": x_q, "int8": Q(float(x_q.scale[0]) * 250, 3), "float": None}[kind]
            x = g.input(shape, ends_q, dtype)
            if kind == "float":
                values = [[(rng.standard_normal(shape) * 10000 * x_q.scale[0]).astype(np.float32)]]
            if kind != "int16":
                wide = g.tensor(shape, x_q, I16)
                g.op("QUANTIZE", [x], [wide])
                x = wide
            weights = rng.integers(-127, 128, (6, 3, 3, 2), dtype=np.int8)
            wt, b, q = layer(rng, g, x_q, weights, 18, 0, 6, "relu", True, np.int64)
            y = g.tensor((1, 8, 8, 6), q, I16)
            same = dict(padding=PADDING["SAME"], strideH=1, strideW=1)
            g.op("CONV_2D", [x, wt, *b], [y], fusedActivationFunction=1, dilationHFactor=1, dilationWFactor=1, **same)
            weights = rng.integers(-127, 128, (1, 3, 3, 6), dtype=np.int8)
            wt, b, d_q = layer(rng, g, q, weights, 9, 3, 6, "none", True, np.int64)
            z = g.tensor((1, 8, 8, 6), d_q, I16)
            g.op(
                "DEPTHWISE_CONV_2D", [y, wt, *b], [z], depthMultiplier=1, dilationHFactor=1, dilationWFactor=1, **same
            )
            s_q = Q(float(q.scale[0]) * 1.3)
            s, m, t = g.tensor((1, 8, 8, 6), s_q, I16), g.tensor((1, 6), s_q, I16), g.tensor((1, 6), Q(1 / 32768), I16)
            g.op("ADD", [y, z], [s], potScaleInt16=False)
            g.op("MEAN", [s, g.ints([1, 2])], [m], keepDims=False)
            g.op("TANH", [m], [t])
            weights = rng.integers(-127, 128, (5, 6), dtype=np.int8)
            wt, b, f_q = layer(rng, g, Q(1 / 32768), weights, 6, 0, 5, "none", False, np.int64)
            f = g.tensor((1, 5), f_q, I16)
            g.op("FULLY_CONNECTED", [t, wt, *b], [f])
            unit = Q(1 / 32768)
            p = g.output((1, 5), unit, I16) if kind == "int16" else g.tensor((1, 5), unit, I16)
            g.op("SOFTMAX", [f], [p], beta=1.0)
            if kind == "int8":
                g.op("QUANTIZE", [p], [g.output((1, 5), Q(1 / 256, -128))])
            if kind == "float":
                g.op("DEQUANTIZE", [p], [g.output((1, 5), dtype=np.float32)])
            return Case(model, words(ends=kind), inputs=values)

        return make

    for kind in ("int16", "int8", "float"):
        yield case(kind)
