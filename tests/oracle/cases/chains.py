"""Operators in company: what a compiler folds, fuses, aliases and plans must not change one byte."""

import numpy as np

from .common import ACTIVATIONS, PADDING, Case, Model, Q, operator, scale, words, zero_point
from .conv import output_size, weighted_layer
from .types import floats


def conv(rng, g, x, x_q, shape, filters, k=(3, 3), stride=(1, 1), padding="SAME", act="none", depthwise=False, y=None):
    """Appends a convolution to `x` of `shape`; returns its output tensor, quantization and shape."""
    n, h, w, c = shape
    o = c if depthwise else filters
    weights = rng.integers(-127, 128, (1, *k, o) if depthwise else (o, *k, c), dtype=np.int8)
    taps = k[0] * k[1] * (1 if depthwise else c)
    wt, b, y_q = weighted_layer(rng, g, x_q, weights, taps, 3 if depthwise else 0, o, act, True, True, False)
    to = [n, output_size(h, k[0], stride[0], 1, padding), output_size(w, k[1], stride[1], 1, padding), o]
    y = g.tensor(to, y_q)
    name, more = ("DEPTHWISE_CONV_2D", {"depthMultiplier": 1}) if depthwise else ("CONV_2D", {})
    g.op(
        name,
        [x, wt, b],
        [y],
        padding=PADDING[padding],
        strideH=stride[0],
        strideW=stride[1],
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=ACTIVATIONS[act],
        **more,
    )
    return y, y_q, to


def start(rng, shape):
    model = Model()
    q = Q(scale(rng, 0.01, 0.08), zero_point(rng))
    return model, model.main, model.main.input(shape, q), q


@operator
def pad_conv():
    """Pad before a convolution or pooling with VALID padding: a compiler may fuse it."""

    def case(shape, pads, k, stride=(1, 1), depthwise=False, pool=False, value=None, padding="VALID"):
        def make(rng):
            model, g, x, q = start(rng, shape)
            to = [n + a + b for n, (a, b) in zip(shape, pads)]
            p = g.tensor(to, q)
            if value is None:
                g.op("PAD", [x, g.ints(pads)], [p])
            else:
                g.op("PADV2", [x, g.ints(pads), g.const(np.array([value], np.int8), q)], [p])
            if pool:
                y = g.tensor(
                    [to[0], *(output_size(s, w, d, 1, "VALID") for s, w, d in zip(to[1:3], k, stride)), to[3]], q
                )
                g.op(
                    pool, [p], [y], padding=1, strideH=stride[0], strideW=stride[1], filterHeight=k[0], filterWidth=k[1]
                )
            else:
                y, _, _ = conv(rng, g, p, q, to, 4, k, stride, padding, depthwise=depthwise)
            g.outputs.append(y)
            return Case(
                model,
                words(
                    input=shape,
                    pads=[f"{a}+{b}" for a, b in pads],
                    window=k,
                    stride=stride,
                    padding=padding,
                    then=pool or ("depthwise_conv2d" if depthwise else "conv2d"),
                    value="zero point" if value is None else value,
                ),
            )

        return make

    same = [(0, 0), (1, 1), (1, 1), (0, 0)]
    lean = [(0, 0), (0, 1), (0, 1), (0, 0)]
    yield case((1, 6, 6, 3), same, (3, 3))
    yield case((1, 6, 6, 3), lean, (3, 3), (2, 2))
    yield case((1, 7, 5, 2), [(0, 0), (2, 1), (0, 3), (0, 0)], (2, 4), (1, 2))
    yield case((2, 6, 6, 3), same, (3, 3), (2, 2), depthwise=True)
    yield case((1, 6, 6, 3), lean, (3, 3), (2, 2), depthwise=True)
    yield case((1, 5, 5, 2), same, (3, 3), padding="SAME")
    yield case((1, 5, 5, 2), same, (3, 3), depthwise=True, padding="SAME", stride=(2, 2))
    yield case((1, 5, 5, 2), [(0, 0), (1, 1), (1, 1), (1, 0)], (3, 3))
    yield case((1, 5, 5, 2), [(1, 0), (1, 1), (1, 1), (0, 0)], (3, 3))
    yield case((1, 5, 5, 2), same, (3, 3), value=77)
    yield case((1, 6, 6, 3), same, (3, 3), (2, 2), pool="AVERAGE_POOL_2D")
    yield case((1, 6, 6, 3), same, (3, 3), (2, 2), pool="MAX_POOL_2D")


@operator
def shape_folding():
    """Keras' flatten: Shape, StridedSlice, Pack, Reshape. All but the last are constants."""

    def case(shape, groups):
        def make(rng):
            """`groups` are the axes merged into each output dimension; one that is -1 is left to Reshape."""
            model, g, x, q = start(rng, shape)
            dims = g.tensor([len(shape)], dtype=np.int32)
            g.op("SHAPE", [x], [dims], outType=2)
            parts, to = [], []
            for group in groups:
                if isinstance(group, int) and group >= 0:
                    one = g.tensor([], dtype=np.int32)
                    g.op(
                        "STRIDED_SLICE",
                        [dims, g.ints([group]), g.ints([group + 1]), g.ints([1])],
                        [one],
                        shrinkAxisMask=1,
                    )
                    parts.append(one)
                    to.append(shape[group])
                else:
                    value = group if isinstance(group, int) else group[0]
                    parts.append(g.ints(value))
                    to.append(value)
            if -1 in to:
                to[to.index(-1)] = -int(np.prod(shape)) // int(np.prod(to))
            target = g.tensor([len(parts)], dtype=np.int32)
            g.op("PACK", parts, [target], valuesCount=len(parts), axis=0)
            y = g.output(to, q)
            g.op("RESHAPE", [x, target], [y])
            return Case(model, words(input=shape, output=to, sizes=[str(v) for v in groups]))

        return make

    # an int >= 0 is an axis of the input, [n] a constant, -1 what is left
    yield case((1, 4, 4, 2), [0, [32]])
    yield case((2, 3, 4, 5), [0, [60]])
    yield case((2, 3, 4, 5), [0, 2, [15]])
    yield case((3, 8), [[2], 0, [4]])
    yield case((1, 6, 4), [2, [6]])


def layers(rng, g, x, q, shape):
    """A little network: convolution, depthwise convolution, pooling, fully connected."""
    x, q, shape = conv(rng, g, x, q, shape, 4, stride=(2, 2), act="relu")
    x, q, shape = conv(rng, g, x, q, shape, 4, depthwise=True, act="relu6")
    pooled = g.tensor([shape[0], 1, 1, shape[3]], q)
    g.op("AVERAGE_POOL_2D", [x], [pooled], padding=1, strideH=1, strideW=1, filterHeight=shape[1], filterWidth=shape[2])
    flat = g.tensor([shape[0], shape[3]], q)
    g.op("RESHAPE", [pooled, g.ints([shape[0], shape[3]])], [flat])
    w, b, y_q = weighted_layer(
        rng, g, q, rng.integers(-127, 128, (6, shape[3]), dtype=np.int8), shape[3], 0, 6, "none", False, True, True
    )
    y = g.tensor([shape[0], 6], y_q)
    g.op("FULLY_CONNECTED", [flat, w, b], [y])
    return y, y_q, [shape[0], 6]


@operator
def uint8_io():
    """A uint8 model as converters make it: uint8 to int8, an int8 network, int8 to uint8."""

    def case(shape, softmax):
        def make(rng):
            model = Model()
            g = model.main
            s = scale(rng, 0.01, 0.05)
            z = int(rng.integers(0, 256))
            x = g.input(shape, Q(s, z), np.uint8)
            inner_q = Q(s, z - 128)
            inner = g.tensor(shape, inner_q)
            g.op("QUANTIZE", [x], [inner])
            y, q, to = layers(rng, g, inner, inner_q, shape)
            if softmax:
                p_q = Q(1 / 256, -128)
                p = g.tensor(to, p_q)
                g.op("SOFTMAX", [y], [p], beta=1.0)
                y, q = p, p_q
            out = g.output(to, Q(q.scale[0], int(q.zero_point[0]) + 128), np.uint8)
            g.op("QUANTIZE", [y], [out])
            return Case(model, words(input=shape, softmax=softmax), invokes=3, may_be_flat=True)

        return make

    yield case((1, 8, 8, 1), False)
    yield case((1, 9, 7, 3), True)
    yield case((2, 6, 6, 2), False)
    yield case((4, 5, 8, 1), True)


@operator
def float_io():
    """A float model around an int8 network: Quantize first, Dequantize last."""

    def case(shape):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.01, 0.05), zero_point(rng))
            x = g.input(shape, dtype=np.float32)
            inner = g.tensor(shape, q)
            g.op("QUANTIZE", [x], [inner])
            y, y_q, to = layers(rng, g, inner, q, shape)
            out = g.output(to, dtype=np.float32)
            g.op("DEQUANTIZE", [y], [out])
            return Case(
                model,
                words(input=shape),
                invokes=2,
                inputs=[[floats(rng, q, shape)] for _ in range(2)],
                may_be_flat=True,
            )

        return make

    yield case((1, 8, 8, 1))
    yield case((2, 7, 6, 3))
    yield case((1, 10, 4, 2))


@operator
def fusing():
    """An activation after a layer: same quantization (fusable) or another one (not without care)."""

    def case(layer, activation, same):
        def make(rng):
            shape = [1, 6, 6, 3]
            model, g, x, q = start(rng, shape)
            if layer == "ADD":
                other_q = Q(scale(rng, 0.01, 0.08), zero_point(rng))
                x2 = g.input(shape, other_q)
                y_q, to = Q(scale(rng, 0.02, 0.06), int(rng.integers(-60, 20))), shape
                y = g.tensor(to, y_q)
                g.op("ADD", [x, x2], [y])
            else:
                y, y_q, to = conv(rng, g, x, q, shape, 4, depthwise=layer == "DEPTHWISE_CONV_2D")
            out_q = y_q if same else Q(float(y_q.scale[0]) * rng.uniform(0.5, 0.9), int(rng.integers(-100, 0)))
            options = {"LEAKY_RELU": {"alpha": 0.1}}.get(activation, {})
            if activation == "LOGISTIC":
                out_q = Q(1 / 256, -128)
            out = g.output(to, out_q)
            g.op(activation, [y], [out], **options)
            return Case(model, words(layer=layer, activation=activation, same_quantization=same))

        return make

    for layer in ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD"):
        for activation in ("RELU", "RELU6"):
            yield case(layer, activation, True)
        yield case(layer, "RELU", False)
        yield case(layer, "LEAKY_RELU", True)
        yield case(layer, "LOGISTIC", False)
        yield case(layer, "HARD_SWISH", False)


@operator
def graphs():
    """Forks and joins: a value read twice, an output that is read again, an input passed on, aliases of aliases."""

    def residual(rng):
        shape = [1, 6, 6, 4]
        model, g, x, q = start(rng, shape)
        a, a_q, _ = conv(rng, g, x, q, shape, 4, act="relu")
        b, b_q, _ = conv(rng, g, a, a_q, shape, 4)
        s_q = Q(float(np.hypot(b_q.scale[0], q.scale[0])), 0)
        s = g.output(shape, s_q)
        g.op("ADD", [b, x], [s], fusedActivationFunction=0)
        t = g.output(shape, s_q)
        g.op("SUB", [s, x], [t], fusedActivationFunction=0)
        return Case(
            model,
            "residual: x is read by the first layer, by ADD and by SUB; the ADD is an output and an input",
            invokes=2,
        )

    def same_twice(rng):
        model, g, x, q = start(rng, [3, 5])
        y = g.output([3, 5], Q(float(q.scale[0]) * 1.7, 3))
        g.op("ADD", [x, x], [y])
        z = g.output([3, 10], q)
        g.op("CONCATENATION", [x, x], [z], axis=1)
        return Case(model, "one tensor as both operands of ADD and of CONCATENATION")

    def inception(rng):
        shape = [1, 5, 5, 3]
        model, g, x, q = start(rng, shape)
        a, _, _ = conv(rng, g, x, q, shape, 2, k=(1, 1))
        b, b_q, _ = conv(rng, g, x, q, shape, 5, k=(3, 3))
        m = g.tensor(shape, q)
        g.op("MAX_POOL_2D", [x], [m], padding=0, strideH=1, strideW=1, filterHeight=3, filterWidth=3)
        c_q = Q(float(b_q.scale[0]), -7)
        parts = []
        for part, n in ((a, 2), (b, 5), (m, 3)):
            parts.append(g.tensor([1, 5, 5, n], c_q))
            g.op("QUANTIZE", [part], [parts[-1]])
        y = g.output([1, 5, 5, 10], c_q)
        g.op("CONCATENATION", parts, [y], axis=3)
        return Case(model, "three branches, requantized and joined along the channels")

    def aliases(rng):
        model, g, x, q = start(rng, [1, 4, 1, 6])
        a, b, c = g.tensor([4, 6], q), g.output([24], q), g.tensor([1, 24], q)
        g.op("SQUEEZE", [x], [a])
        g.op("RESHAPE", [a, g.ints([24])], [b])
        g.op("EXPAND_DIMS", [b, g.ints(0)], [c])
        d = g.output([1, 24], q)
        g.op("LEAKY_RELU", [c], [d], alpha=0.25)
        return Case(
            model, "SQUEEZE, RESHAPE (an output), EXPAND_DIMS, then LEAKY_RELU, which must not overwrite the output"
        )

    def through(rng):
        model, g, x, q = start(rng, [2, 6])
        x2 = g.input([2, 6], q)
        y = g.output([12], q)
        g.op("RESHAPE", [x, g.ints([12])], [y])
        z = g.output([2, 6], Q(0.05, 0))
        g.op("MUL", [x, x2], [z])
        w = g.output([2, 6], Q(1 / 256, -128))
        g.op("SOFTMAX", [z], [w], beta=1.0)
        return Case(
            model, "an output that is only a reshaped input; another that is read after it is given out", invokes=2
        )

    def shuffle(rng):
        """Channel shuffle and split, as in ShuffleNet."""
        shape = [1, 4, 4, 8]
        model, g, x, q = start(rng, shape)
        a, b = g.tensor([1, 4, 4, 4], q), g.tensor([1, 4, 4, 4], q)
        g.op("SPLIT", [g.ints(3), x], [a, b], numSplits=2)
        r, r_q, _ = conv(rng, g, b, q, [1, 4, 4, 4], 4, act="relu")
        k = g.tensor([1, 4, 4, 4], q)
        g.op("QUANTIZE", [r], [k])
        j = g.tensor(shape, q)
        g.op("CONCATENATION", [a, k], [j], axis=3)
        f, t = g.tensor([1, 4, 4, 2, 4], q), g.tensor([1, 4, 4, 4, 2], q)
        g.op("RESHAPE", [j, g.ints([1, 4, 4, 2, 4])], [f])
        g.op("TRANSPOSE", [f, g.ints([0, 1, 2, 4, 3])], [t])
        y = g.output(shape, q)
        g.op("RESHAPE", [t, g.ints(shape)], [y])
        return Case(model, "split, convolve one half, join, shuffle channels")

    def unet(rng):
        shape = [1, 8, 6, 2]
        model, g, x, q = start(rng, shape)
        down, d_q, d_shape = conv(rng, g, x, q, shape, 4, stride=(2, 2), act="relu6")
        up = g.tensor([1, 8, 6, 4], d_q)
        g.op("RESIZE_NEAREST_NEIGHBOR", [down, g.ints([8, 6])], [up], alignCorners=False, halfPixelCenters=True)
        skip = g.tensor(shape, d_q)
        g.op("QUANTIZE", [x], [skip])
        join = g.tensor([1, 8, 6, 6], d_q)
        g.op("CONCATENATION", [up, skip], [join], axis=-1)
        y, y_q, to = conv(rng, g, join, d_q, [1, 8, 6, 6], 2)
        m = g.output([1, 2], y_q)
        g.op("MEAN", [y, g.ints([1, 2])], [m], keepDims=False)
        g.outputs.append(y)
        return Case(
            model, "a U: stride 2 down, resize up, skip connection, mean; outputs not in the order of execution"
        )

    def gate(rng):
        """A squeeze-and-excite gate."""
        shape = [1, 5, 4, 6]
        model, g, x, q = start(rng, shape)
        m = g.tensor([1, 1, 1, 6], Q(float(q.scale[0]) * 0.4, int(rng.integers(-20, 20))))
        m_q = Q(g.tensors[m].quantization.scale[0], g.tensors[m].quantization.zeroPoint[0])
        g.op("MEAN", [x, g.ints([1, 2])], [m], keepDims=True)
        s, s_q, _ = conv(rng, g, m, m_q, [1, 1, 1, 6], 3, k=(1, 1), act="relu")
        e, e_q, _ = conv(rng, g, s, s_q, [1, 1, 1, 3], 6, k=(1, 1))
        p = g.tensor([1, 1, 1, 6], Q(1 / 256, -128))
        g.op("LOGISTIC", [e], [p])
        y = g.output(shape, Q(float(q.scale[0]) * 0.7, int(q.zero_point[0])))
        g.op("MUL", [x, p], [y])
        return Case(model, "squeeze and excite: mean, two 1x1 convolutions, logistic, broadcast multiplication")

    yield residual
    yield same_twice
    yield inception
    yield aliases
    yield through
    yield shuffle
    yield unet
    yield gate
