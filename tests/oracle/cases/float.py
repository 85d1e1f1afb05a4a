"""The f32 operators. Their goldens are compared under a tolerance: TFLM sums in another order and takes another libm.

The operators' names end in `_f32`; that is how the test knows.
"""

import numpy as np

from .binary import PRELU_SHAPES
from .binary import SHAPES as PAIRS
from .common import ACTIVATIONS, PADDING, Case, Model, Q, operator, words
from .conv import output_size

REAL = np.float32


def normal(rng, shape, spread=1.0):
    return (rng.standard_normal(shape) * spread).astype(REAL)


def weighted(rng, g, shape, taps, channels, bias):
    """Weights under which outputs are about as large as inputs, and a bias or none."""
    constants = [g.const(normal(rng, shape, 1 / np.sqrt(taps)))]
    return constants + ([g.const(normal(rng, channels, 0.3))] if bias else [])


def windows(stride, padding, act, dilation=None):
    options = {
        "padding": PADDING[padding],
        "strideH": stride[0],
        "strideW": stride[1],
        "fusedActivationFunction": ACTIVATIONS[act],
    }
    if dilation:
        options |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    return options


@operator
def conv2d_f32():
    def case(n=1, h=6, w=6, c=3, o=4, k=(3, 3), stride=(1, 1), dilation=(1, 1), padding="SAME", act="none", bias=True, groups=1):  # fmt: skip
        def make(rng):
            model = Model()
            g = model.main
            x = g.input([n, h, w, c], dtype=REAL)
            constants = weighted(rng, g, (o, *k, c // groups), k[0] * k[1] * c // groups, o, bias)
            out = [output_size(s, *p, padding) for s, *p in zip((h, w), k, stride, dilation)]
            y = g.output([n, *out, o], dtype=REAL)
            g.op("CONV_2D", [x, *constants], [y], **windows(stride, padding, act, dilation))
            note = words(input=(n, h, w, c), filter=(o, *k, c // groups), stride=stride, dilation=dilation, padding=padding, act=act, bias=bias)  # fmt: skip
            return Case(model, note, inputs=[[normal(rng, (n, h, w, c), 2)]])

        return make

    yield case()
    yield case(padding="VALID", act="relu")
    yield case(k=(1, 1), c=19, o=5)
    yield case(stride=(2, 1), h=7, w=4, act="relu6")
    yield case(dilation=(2, 3), h=8, w=9, act="relu_n1_to_1")
    yield case(n=2, stride=(2, 2), padding="VALID", bias=False)
    yield case(groups=2, c=6, o=4)
    yield case(groups=4, c=4, o=8, n=2, k=(3, 2), act="relu")
    yield case(h=2, w=2, k=(5, 5))
    yield case(h=1, w=20, k=(1, 7), c=5, o=3, stride=(1, 2))
    yield case(h=5, w=7, k=(5, 7), padding="VALID", c=11, o=9)


@operator
def depthwise_conv2d_f32():
    def case(n=1, h=6, w=6, c=4, m=1, k=(3, 3), stride=(1, 1), dilation=(1, 1), padding="SAME", act="none", bias=True):
        def make(rng):
            model = Model()
            g = model.main
            x = g.input([n, h, w, c], dtype=REAL)
            constants = weighted(rng, g, (1, *k, c * m), k[0] * k[1], c * m, bias)
            out = [output_size(s, *p, padding) for s, *p in zip((h, w), k, stride, dilation)]
            y = g.output([n, *out, c * m], dtype=REAL)
            options = windows(stride, padding, act, dilation)
            g.op("DEPTHWISE_CONV_2D", [x, *constants], [y], depthMultiplier=m, **options)
            note = words(input=(n, h, w, c), filter=(1, *k, c * m), stride=stride, dilation=dilation, padding=padding, act=act, bias=bias)  # fmt: skip
            return Case(model, note, inputs=[[normal(rng, (n, h, w, c), 2)]])

        return make

    yield case()
    yield case(m=2, c=3, padding="VALID", act="relu")
    yield case(m=8, c=1, h=9, w=7, k=(5, 4), stride=(2, 2))
    yield case(dilation=(2, 1), h=8, w=5, act="relu6")
    yield case(n=2, c=18, stride=(1, 2), bias=False)
    yield case(h=2, w=2, k=(5, 5), act="relu_n1_to_1")


@operator
def fully_connected_f32():
    def case(shape=(1, 16), units=5, act="none", bias=True, keep=False):
        def make(rng):
            model = Model()
            g = model.main
            x = g.input(shape, dtype=REAL)
            constants = weighted(rng, g, (units, shape[-1]), shape[-1], units, bias)
            batches = list(shape[:-1]) if keep else [int(np.prod(shape[:-1]))]
            y = g.output([*batches, units], dtype=REAL)
            options = {"fusedActivationFunction": ACTIVATIONS[act], "keepNumDims": keep}
            g.op("FULLY_CONNECTED", [x, *(constants if bias else [constants[0], -1])], [y], **options)
            note = words(input=shape, units=units, act=act, bias=bias, keep_dims=keep)
            return Case(model, note, inputs=[[normal(rng, shape, 2)]])

        return make

    yield case()
    yield case(shape=(3, 33), units=7, act="relu")
    yield case(shape=(2, 1), units=4, bias=False)
    yield case(shape=(2, 3, 12), units=4, act="relu6", keep=True)
    yield case(shape=(1, 640), units=20, act="relu_n1_to_1")
    yield case(shape=(4, 7), units=1)
    # Inputs that are whole blocks of 32, and of 256.
    yield case(shape=(3, 64), units=10, act="relu")
    yield case(shape=(2, 512), units=16)


def pool(name):
    def case(n=1, h=6, w=6, c=3, window=(2, 2), stride=(2, 2), padding="VALID", act="none"):
        def make(rng):
            model = Model()
            g = model.main
            x = g.input([n, h, w, c], dtype=REAL)
            out = [output_size(s, k, d, 1, padding) for s, k, d in zip((h, w), window, stride)]
            y = g.output([n, *out, c], dtype=REAL)
            options = windows(stride, padding, act)
            g.op(name, [x], [y], filterHeight=window[0], filterWidth=window[1], **options)
            note = words(input=(n, h, w, c), window=window, stride=stride, padding=padding, act=act)
            return Case(model, note, inputs=[[normal(rng, (n, h, w, c), 3)]])

        return make

    yield case()
    yield case(window=(3, 3), stride=(1, 1), padding="SAME", n=2, c=5)
    yield case(window=(3, 2), stride=(2, 3), h=7, w=9, padding="SAME", act="relu")
    yield case(window=(5, 5), stride=(1, 1), h=3, w=2, padding="SAME", act="relu6")
    yield case(window=(6, 6), stride=(1, 1), c=19)
    yield case(window=(1, 2), stride=(1, 1), act="relu_n1_to_1")


@operator
def avg_pool2d_f32():
    yield from pool("AVERAGE_POOL_2D")


@operator
def max_pool2d_f32():
    yield from pool("MAX_POOL_2D")


@operator
def l2_pool2d_f32():
    yield from pool("L2_POOL_2D")


TRUTH = np.bool_


@operator
def compare_f32():
    """Comparisons, whose results are bytes of 0 and 1, with values that are equal."""

    def case(name, a_shape, b_shape, all_of=None):
        def make(rng):
            model = Model()
            g = model.main
            inputs = [np.round(normal(rng, shape, 2)).astype(REAL) for shape in (a_shape, b_shape)]
            ends = [g.input(shape, dtype=REAL) for shape in (a_shape, b_shape)]
            shape = np.broadcast_shapes(a_shape, b_shape)
            truths = g.output(shape, dtype=TRUTH)
            g.op(name, ends, [truths])
            if all_of is not None:
                to = [n for i, n in enumerate(shape) if i not in all_of]
                g.op("REDUCE_ALL", [truths, g.ints(all_of)], [g.output(to, dtype=TRUTH)], keepDims=False)
            return Case(model, words(operator=name, a=a_shape, b=b_shape, all=all_of), inputs=[inputs], may_be_flat=True)

        return make

    for name in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"):
        yield case(name, (3, 4), (3, 4))
        yield case(name, (2, 3, 4), (4,))
    yield case("LESS_EQUAL", (9, 2), (1, 2), all_of=(1,))
    yield case("NOT_EQUAL", (3, 2, 4), (3, 2, 4), all_of=(0, 2))


@operator
def logical_f32():
    """Truth values go in and come out as bytes."""

    def case(name, *shapes):
        def make(rng):
            model = Model()
            g = model.main
            ends = [g.input(shape, dtype=TRUTH) for shape in shapes]
            g.op(name, ends, [g.output(np.broadcast_shapes(*shapes), dtype=TRUTH)])
            inputs = [rng.integers(0, 2, shape).astype(TRUTH) for shape in shapes]
            return Case(model, words(operator=name, inputs=shapes[0]), inputs=[inputs], may_be_flat=True)

        return make

    yield case("LOGICAL_NOT", (3, 5))
    for name in ("LOGICAL_AND", "LOGICAL_OR"):
        yield case(name, (3, 5), (3, 5))
        yield case(name, (2, 3, 5), (3, 1))


def binary(name):
    def case(a_shape, b_shape, act="none", const=None):
        def make(rng):
            model = Model()
            g = model.main
            ends, inputs = [], []
            for i, shape in enumerate((a_shape, b_shape)):
                values = normal(rng, shape, 3)
                ends.append(g.const(values) if const == i else g.input(shape, dtype=REAL))
                if const != i:
                    inputs.append(values)
            y = g.output(np.broadcast_shapes(a_shape, b_shape), dtype=REAL)
            g.op(name, ends, [y], fusedActivationFunction=ACTIVATIONS[act])
            note = words(a=a_shape, b=b_shape, act=act, const={None: "none", 0: "a", 1: "b"}[const])
            return Case(model, note, inputs=[inputs])

        return make

    for a, b in PAIRS:
        yield case(a, b)
    for act in ("relu", "relu6", "relu_n1_to_1"):
        yield case((1, 3, 4, 5), (1, 3, 4, 5), act=act)
    yield case((2, 3, 4, 3), (3,), const=1)
    yield case((1,), (2, 3, 4, 3), const=0)


@operator
def prelu_f32():
    def case(shape, alpha_shape):
        def make(rng):
            model = Model()
            g = model.main
            y = g.output(shape, dtype=REAL)
            g.op("PRELU", [g.input(shape, dtype=REAL), g.const(normal(rng, alpha_shape, 0.5))], [y])
            return Case(model, words(input=shape, alpha=alpha_shape), inputs=[[normal(rng, shape, 3)]])

        return make

    for shape, alpha in PRELU_SHAPES:
        yield case(shape, alpha)


@operator
def add_f32():
    yield from binary("ADD")


@operator
def sub_f32():
    yield from binary("SUB")


@operator
def mul_f32():
    yield from binary("MUL")


@operator
def div_f32():
    yield from binary("DIV")


@operator
def batch_matmul_f32():
    def case(a_shape, b_shape, x=False, y=False, constant=False):
        def make(rng):
            model = Model()
            g = model.main
            a, b = normal(rng, a_shape), normal(rng, b_shape)
            product = np.matmul(a.swapaxes(-1, -2) if x else a, b.swapaxes(-1, -2) if y else b)
            left = g.input(a_shape, dtype=REAL)
            right = g.const(b) if constant else g.input(b_shape, dtype=REAL)
            g.op("BATCH_MATMUL", [left, right], [g.output(product.shape, dtype=REAL)], adjX=x, adjY=y)
            return Case(model, words(a=a_shape, b=b_shape, adj_x=x, adj_y=y), inputs=[[a] if constant else [a, b]])

        return make

    yield case((3, 4), (4, 5))
    yield case((2, 3, 4), (2, 4, 5))
    yield case((2, 3, 4), (2, 5, 4), y=True)
    yield case((2, 4, 3), (2, 4, 5), x=True)
    yield case((2, 4, 3), (2, 5, 4), x=True, y=True)
    yield case((2, 2, 1, 7), (2, 2, 7, 3))
    yield case((3, 2, 4), (1, 4, 5))
    yield case((1, 2, 4), (3, 4, 5))
    yield case((2, 3, 4), (4, 5), constant=True)
    yield case((1, 6, 9), (1, 8, 9), y=True, constant=True)


def lesser_or_greater(name):
    """Without an activation: MINIMUM and MAXIMUM have none."""

    def case(a_shape, b_shape):
        def make(rng):
            model = Model()
            g = model.main
            inputs = [normal(rng, shape, 3) for shape in (a_shape, b_shape)]
            y = [g.input(shape, dtype=REAL) for shape in (a_shape, b_shape)]
            g.op(name, y, [g.output(np.broadcast_shapes(a_shape, b_shape), dtype=REAL)])
            return Case(model, words(a=a_shape, b=b_shape), inputs=[inputs])

        return make

    for a, b in PAIRS:
        yield case(a, b)


@operator
def minimum_f32():
    yield from lesser_or_greater("MINIMUM")


@operator
def maximum_f32():
    yield from lesser_or_greater("MAXIMUM")


@operator
def conv_transpose2d_f32():
    def case(n=1, h=4, w=5, c=3, o=4, k=(3, 3), stride=(2, 2), padding="SAME", bias=True, size=None, act="none"):
        def make(rng):
            model = Model()
            g = model.main
            grown = [s * d if padding == "SAME" else (s - 1) * d + t for s, d, t in zip((h, w), stride, k)]
            shape = [n, *(size or grown), o]
            weights, *biases = weighted(rng, g, (o, *k, c), k[0] * k[1] * c / (stride[0] * stride[1]), o, bias)
            x = g.input([n, h, w, c], dtype=REAL)
            y = g.output(shape, dtype=REAL)
            options = windows(stride, padding, act)
            g.op("TRANSPOSE_CONV", [g.ints(shape), weights, x, *biases], [y], **options)
            note = words(input=(n, h, w, c), filter=(o, *k, c), stride=stride, padding=padding, bias=bias, output=shape, act=act)  # fmt: skip
            return Case(model, note, inputs=[[normal(rng, (n, h, w, c), 2)]])

        return make

    yield case()
    yield case(padding="VALID", bias=False)
    yield case(n=2, stride=(1, 1), c=5, o=2)
    yield case(k=(2, 2), padding="VALID")
    yield case(k=(4, 3), stride=(2, 1), h=3, w=7)
    yield case(k=(1, 1), stride=(3, 2), bias=False)
    yield case(k=(5, 5), stride=(1, 2), h=2, w=2)
    # Sizes that the input could have come from too.
    yield case(size=(7, 9))
    yield case(padding="VALID", size=(10, 12), c=1, o=1)
    yield case(act="relu")


@operator
def softmax_f32():
    def case(shape, beta=1.0, spread=2.0):
        def make(rng):
            model = Model()
            g = model.main
            x, y = g.input(shape, dtype=REAL), g.output(shape, dtype=REAL)
            g.op("SOFTMAX", [x], [y], beta=beta)
            return Case(model, words(input=shape, beta=beta, spread=spread), inputs=[[normal(rng, shape, spread)]])

        return make

    yield case((1, 10))
    yield case((3, 7), beta=0.5)
    yield case((2, 2, 3, 5), spread=20.0)
    yield case((1, 100), spread=0.1)
    yield case((2, 33), beta=2.0, spread=100.0)


@operator
def unary_f32():
    """Values of both signs, around every bend, and so large that exponentials saturate."""

    def case(name, positive=False, quarters=False, **options):
        def make(rng):
            model = Model()
            g = model.main
            shape = (2, 5, 20)
            x, y = g.input(shape, dtype=REAL), g.output(shape, dtype=REAL)
            g.op(name, [x], [y], **options)
            values = np.concatenate([np.linspace(-8, 8, 101), rng.uniform(-30, 30, 96), [0.0, 3.0, -3.0]])
            values = np.abs(values) + 0.01 if positive else values
            # Whole numbers, and halves, which are equally near to two.
            values = np.arange(-100, 100) / 4 if quarters else values
            return Case(model, words(operator=name, **options), inputs=[[values.astype(REAL)]])

        return make

    for name in ("RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "ELU", "EXP", "NEG", "ABS", "SQUARE", "SIN", "COS"):
        yield case(name)
    for alpha in (0.1, -0.5, 1.5):
        yield case("LEAKY_RELU", alpha=alpha)
    for name in ("LOG", "SQRT", "RSQRT"):
        yield case(name, positive=True)
    for name in ("FLOOR", "CEIL", "ROUND"):
        yield case(name)
        yield case(name, quarters=True)


@operator
def mean_f32():
    def case(shape, axes, keep):
        def make(rng):
            model = Model()
            g = model.main
            to = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
            x, y = g.input(shape, dtype=REAL), g.output(to, dtype=REAL)
            g.op("MEAN", [x, g.ints(list(axes))], [y], keepDims=keep)
            return Case(model, words(input=shape, axes=axes, keep_dims=keep), inputs=[[normal(rng, shape, 4)]])

        return make

    yield case((4, 9), (1,), False)
    yield case((3, 4, 5), (0, 2), True)
    yield case((2, 5, 7, 6), (1, 2), True)
    yield case((2, 3, 4, 5), (1, 2, 3), False)
    yield case((2, 3, 4, 5), (0, 1, 2, 3), True)
    yield case((1, 200, 3), (1,), False)


@operator
def l2_normalization_f32():
    def case(shape):
        def make(rng):
            model = Model()
            g = model.main
            g.op("L2_NORMALIZATION", [g.input(shape, dtype=REAL)], [g.output(shape, dtype=REAL)])
            values = normal(rng, shape, 3)
            values[0] = 0
            return Case(model, words(input=shape), inputs=[[values]])

        return make

    yield case((3, 10))
    yield case((2, 2, 3, 7))
    yield case((4, 129))


@operator
def squared_difference_f32():
    yield from lesser_or_greater("SQUARED_DIFFERENCE")


@operator
def floor_div_f32():
    yield from lesser_or_greater("FLOOR_DIV")


@operator
def floor_mod_f32():
    yield from lesser_or_greater("FLOOR_MOD")


@operator
def add_n_f32():
    def case(shape, count):
        def make(rng):
            model = Model()
            g = model.main
            inputs = [normal(rng, shape, 3) for _ in range(count)]
            ends = [g.input(shape, dtype=REAL) for _ in range(count)]
            g.op("ADD_N", ends, [g.output(shape, dtype=REAL)])
            return Case(model, words(input=shape, count=count), inputs=[inputs])

        return make

    yield case((2, 3, 4), 2)
    yield case((1, 3, 4, 2), 3)
    yield case((7,), 5)


@operator
def graphs_f32():
    """Whole little networks: layers in a row, a fork and a join, moved and cut tensors, int8 layers between float ones."""

    def layers(rng):
        model = Model()
        g = model.main
        x = g.input([1, 8, 8, 2], dtype=REAL)
        a = g.tensor([1, 10, 10, 2], dtype=REAL)
        g.op("PAD", [x, g.ints([[0, 0], [1, 1], [1, 1], [0, 0]])], [a])
        b = g.tensor([1, 8, 8, 6], dtype=REAL)
        g.op("CONV_2D", [a, *weighted(rng, g, (6, 3, 3, 2), 18, 6, True)], [b], **windows((1, 1), "VALID", "relu"))
        c = g.tensor([1, 8, 8, 6], dtype=REAL)
        options = windows((1, 1), "SAME", "relu6")
        g.op("DEPTHWISE_CONV_2D", [b, *weighted(rng, g, (1, 3, 3, 6), 9, 6, True)], [c], depthMultiplier=1, **options)
        d = g.tensor([1, 8, 8, 6], dtype=REAL)
        g.op("ADD", [b, c], [d])
        e = g.tensor([1, 4, 4, 6], dtype=REAL)
        g.op("MAX_POOL_2D", [d], [e], filterHeight=2, filterWidth=2, **windows((2, 2), "VALID", "none"))
        f = g.tensor([1, 96], dtype=REAL)
        g.op("RESHAPE", [e, g.ints([1, 96])], [f], newShape=[1, 96])
        h = g.tensor([1, 5], dtype=REAL)
        g.op("FULLY_CONNECTED", [f, *weighted(rng, g, (5, 96), 96, 5, True)], [h])
        y = g.output([1, 5], dtype=REAL)
        g.op("SOFTMAX", [h], [y], beta=1.0)
        return Case(model, "pad, conv, depthwise, add, pool, dense, softmax", inputs=[[normal(rng, (1, 8, 8, 2))]])

    def moved(rng):
        model = Model()
        g = model.main
        x = g.input([2, 6, 4], dtype=REAL)
        a = g.tensor([2, 4, 6], dtype=REAL)
        g.op("TRANSPOSE", [x, g.ints([0, 2, 1])], [a])
        b, c = g.tensor([2, 2, 6], dtype=REAL), g.tensor([2, 2, 6], dtype=REAL)
        g.op("SPLIT", [g.ints(1), a], [b, c], numSplits=2)
        d, e = g.tensor([2, 2, 6], dtype=REAL), g.tensor([2, 2, 6], dtype=REAL)
        g.op("TANH", [b], [d])
        g.op("MUL", [c, d], [e])
        y = g.output([2, 4, 6], dtype=REAL)
        g.op("CONCATENATION", [e, b], [y], axis=1)
        return Case(model, "transpose, split, tanh, mul, concat", inputs=[[normal(rng, (2, 6, 4))]])

    def mixed(rng):
        # The int8 layer only clamps, so that its input's last bit, which may differ, is not enlarged.
        model = Model()
        g = model.main
        x = g.input([4, 12], dtype=REAL)
        q = Q(0.0625, -3)
        a = g.tensor([4, 12], q)
        g.op("QUANTIZE", [x], [a])
        b = g.tensor([4, 12], q)
        g.op("RELU", [a], [b])
        c = g.tensor([4, 12], dtype=REAL)
        g.op("DEQUANTIZE", [b], [c])
        y = g.output([4, 6], dtype=REAL)
        g.op("FULLY_CONNECTED", [c, *weighted(rng, g, (6, 12), 12, 6, True)], [y])
        return Case(model, "quantize, int8 relu, dequantize, dense", inputs=[[normal(rng, (4, 12), 3)]])

    yield layers
    yield moved
    yield mixed
