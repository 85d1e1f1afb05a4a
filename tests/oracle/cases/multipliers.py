"""Scales on which it shows whether a multiplier was computed in f32 or in f64.

A requantization multiplier such as `in_scale * weight_scale / out_scale` is a real number that becomes 31 bits. Which of its
steps are f32 and which f64 is seen only on values next to a rounding tie, and random scales have none. Here
scales are drawn until the two ways give different bytes.
"""

import math

import numpy as np

from .common import Case, Model, Q, operator, words

F = np.float32


def quantize_multiplier(real):
    fraction, exponent = math.frexp(real)
    m = math.floor(fraction * 2**31 + 0.5)
    return (m // 2, exponent + 1) if m == 1 << 31 else (m, exponent)


def multiply(x, real):
    """x * real as a 31-bit multiplication with double rounding."""
    m, shift = quantize_multiplier(real)
    high = (x << max(shift, 0)) * m
    high = int(math.trunc((high + (1 << 30 if high >= 0 else 1 - (1 << 30))) / (1 << 31)))
    right = max(-shift, 0)
    rest, half = high & ((1 << right) - 1), ((1 << right) - 1) >> 1
    return (high >> right) + (rest > half + (high < 0))


def differ(a, b, low=-255, high=256):
    return any(multiply(v, a) != multiply(v, b) for v in range(low, high))


def search(rng, draw, single, double):
    """Scales from `draw(ratio)` for which the multiplier in f32 and in f64 differ on some value."""
    for _ in range(10_000):
        scales = draw(F(rng.choice([0.5, 1.5, 0.75, 0.25])))
        if differ(float(single(*scales)), double(*map(float, scales))):
            return scales
    raise ValueError("no such scales")


def two(rng):
    """in / out next to a ratio with ties."""

    def draw(ratio):
        out = F(rng.uniform(0.01, 0.2))
        return F(out * ratio), out

    return search(rng, draw, lambda i, o: i / o, lambda i, o: i / o)


def three(rng):
    """a * b / out next to a ratio with ties."""

    def draw(ratio):
        a, b = F(rng.uniform(0.01, 0.2)), F(rng.uniform(0.01, 0.2))
        return a, b, F(a * b / ratio)

    return search(rng, draw, lambda a, b, o: a * b / o, lambda a, b, o: a * b / o)


def product_only(rng):
    """Only the product a * b rounded to f32, as a fully connected layer's multiplier may be."""

    def draw(ratio):
        a, b = F(rng.uniform(0.01, 0.2)), F(rng.uniform(0.01, 0.2))
        return a, b, F(a * b / ratio)

    return search(rng, draw, lambda a, b, o: float(a * b) / float(o), lambda a, b, o: a * b / o)


def elementwise(name, **options):
    def make(rng):
        model = Model()
        g = model.main
        i, o = two(rng)
        x_q, y_q = Q(i, int(rng.integers(-20, 20))), Q(o, int(rng.integers(-20, 20)))
        x, y = g.input([256], x_q), g.output([256], y_q)
        g.op(name, [x], [y], **options)
        return Case(model, words(operator=name, **options, x=x_q, y=y_q), inputs=[[rng.permutation(256) - 128]])

    return make


def layer(name, scales, per_channel=False, bias=False):
    """Weights are 1 on the diagonal, so the accumulators are the inputs minus their zero point."""

    def make(rng):
        model = Model()
        g = model.main
        a, b, o = scales(rng)
        x_q, y_q = Q(a, int(rng.integers(-20, 20))), Q(o, int(rng.integers(-20, 20)))
        c = 4
        w_q = Q([b] * c if per_channel else b, 0, axis=3 if name == "DEPTHWISE_CONV_2D" else 0)
        eye = np.eye(c, dtype=np.int8)
        b_q = Q([a * b] * c if per_channel else a * b)
        zeros = [g.const(np.zeros(c, np.int32), b_q)] if bias else []
        if name == "FULLY_CONNECTED":
            x, y = g.input([64, c], x_q), g.output([64, c], y_q)
            g.op(name, [x, g.const(eye, w_q), *(zeros or [-1])], [y])
        else:
            x, y = g.input([1, 8, 8, c], x_q), g.output([1, 8, 8, c], y_q)
            more = {"depthMultiplier": 1} if name == "DEPTHWISE_CONV_2D" else {}
            w = np.ones((1, 1, 1, c), np.int8) if more else eye.reshape(c, 1, 1, c)
            g.op(
                name,
                [x, g.const(w, w_q), *zeros],
                [y],
                padding=0,
                strideH=1,
                strideW=1,
                dilationHFactor=1,
                dilationWFactor=1,
                **more,
            )
        return Case(
            model,
            words(operator=name, per_channel=per_channel, bias=bias, x=x_q, w=Q(b), y=y_q),
            inputs=[[rng.permutation(256) - 128]],
        )

    return make


def product(rng):
    model = Model()
    g = model.main
    a, b, o = three(rng)
    x_q, w_q, y_q = Q(a, int(rng.integers(-20, 20))), Q(b, 1), Q(o, int(rng.integers(-20, 20)))
    x, y = g.input([256], x_q), g.output([256], y_q)
    one = g.const(np.array([2], np.int8), w_q)  # 2 - 1: the product is the input minus its zero point
    g.op("MUL", [x, one], [y])
    return Case(model, words(operator="MUL", a=x_q, b=w_q, y=y_q), inputs=[[rng.permutation(256) - 128]])


def total(name):
    def make(rng):
        model = Model()
        g = model.main
        i, o = two(rng)
        x_q, y_q = Q(i, 0), Q(o, int(rng.integers(-20, 20)))
        x, y = g.input([256], x_q), g.output([256], y_q)
        zero = g.const(np.array([0], np.int8), x_q)
        g.op(name, [x, zero], [y])
        return Case(model, words(operator=name, x=x_q, y=y_q), inputs=[[rng.permutation(256) - 128]])

    return make


def average(rng):
    model = Model()
    g = model.main
    i, o = two(rng)
    x_q, y_q = Q(i, int(rng.integers(-20, 20))), Q(o, int(rng.integers(-20, 20)))
    x, y = g.input([256, 1], x_q), g.output([256], y_q)
    g.op("MEAN", [x, g.ints([1])], [y], keepDims=False)
    return Case(model, words(operator="MEAN", x=x_q, y=y_q), inputs=[[rng.permutation(256) - 128]])


def alpha(rng):
    """The negative side of a leaky ReLU: in * alpha / out."""

    def draw(ratio):
        i, slope = F(rng.uniform(0.01, 0.2)), F(rng.uniform(0.05, 0.9))
        return i, slope, F(i * slope / ratio)

    i, slope, o = search(rng, draw, lambda i, a, o: i * a / o, lambda i, a, o: i * a / o)
    model = Model()
    g = model.main
    x_q, y_q = Q(i, 127), Q(o, 100)
    x, y = g.input([256], x_q), g.output([256], y_q)
    g.op("LEAKY_RELU", [x], [y], alpha=float(slope))
    return Case(model, words(operator="LEAKY_RELU", alpha=slope, x=x_q, y=y_q), inputs=[[rng.permutation(256) - 128]])


def hard_swish(rng):
    """in / 128 / out: the 16 bits left of the multiplier differ."""
    sixteen = lambda real: (quantize_multiplier(real)[0] + (1 << 15)) >> 16  # noqa: E731
    while True:
        i, o = F(rng.uniform(0.02, 0.06)), F(rng.uniform(0.02, 0.06))
        fine = F(F(1 / 128) * i)
        if sixteen(float(F(fine / o))) != sixteen(float(fine) / float(o)):
            break
    model = Model()
    g = model.main
    x_q, y_q = Q(i, int(rng.integers(-20, 20))), Q(o, -110)
    x, y = g.input([256], x_q), g.output([256], y_q)
    g.op("HARD_SWISH", [x], [y])
    return Case(model, words(operator="HARD_SWISH", x=x_q, y=y_q), inputs=[[rng.permutation(256) - 128]])


def svdf(first):
    """One weight of 1: the state is the input times in * weights / state, the output the state times state * time / out."""

    def make(rng):
        a, b, s = three(rng)
        if first:
            time, out = F(s * F(0.5)), F(s * F(0.5) * s)
        else:
            # first stage exact: in = state, weights scale 1
            s, time, out = a, b, s
            a, b = s, F(1.0)
        model = Model()
        g = model.main
        x_q, y_q = Q(a, int(rng.integers(-20, 20))), Q(out, int(rng.integers(-20, 20)))
        x = g.input([256, 1], x_q)
        wf = g.const(np.ones((1, 1), np.int8), Q(b))
        wt = g.const(np.ones((1, 1), np.int16), Q(time))
        bias = g.const(np.zeros(1, np.int32), Q(s * time))
        held = g.tensor([256, 1], Q(s), np.int16, variable=True)
        y = g.output([256, 1], y_q)
        g.op("SVDF", [x, wf, wt, bias, held], [y], rank=1)
        return Case(
            model,
            words(operator="SVDF", stage=1 if first else 2, x=x_q, features=Q(b), state=Q(s), time=Q(time), y=y_q),
            inputs=[[rng.permutation(256) - 128]],
        )

    return make


@operator
def multipliers():
    for _ in range(2):
        yield elementwise("RELU")
        yield elementwise("LEAKY_RELU", alpha=0.5)
        yield elementwise("QUANTIZE")
        yield alpha
        yield layer("FULLY_CONNECTED", three)
        yield layer("FULLY_CONNECTED", product_only)
        yield layer("FULLY_CONNECTED", product_only, per_channel=True)
        yield layer("CONV_2D", three, per_channel=True)
        yield layer("CONV_2D", product_only, per_channel=True)
        yield layer("CONV_2D", product_only)
        yield layer("DEPTHWISE_CONV_2D", product_only, per_channel=True)
        yield layer("DEPTHWISE_CONV_2D", three)
        yield product
        yield total("ADD")
        yield total("SUB")
        yield average
        yield svdf(True)
        yield svdf(False)
        yield hard_swish
        for name in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"):
            yield layer(name, product_only, bias=True)
            yield layer(name, product_only, per_channel=True, bias=True)
