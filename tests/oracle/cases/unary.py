"""Element by element, one input: every case feeds all 256 values, in random order."""

import numpy as np

from .common import Case, Model, Q, dequantize, fitted, operator, scale, words, zero_point

SHAPES = [(256,), (2, 128), (1, 4, 8, 8), (4, 8, 8), (2, 2, 4, 2, 8)]


def all_bytes(rng, dtype=np.int8):
    return rng.permutation(256).astype(np.uint8).view(dtype)


def unary(name, x_q, y_q=None, count=12, dtype=np.int8, ranks=5, **options):
    """Cases with drawn input quantization `x_q(rng, i)` and output `y_q(rng, i, x_q)` (the same if None)."""

    def case(i):
        def make(rng):
            model = Model()
            g = model.main
            shape = SHAPES[i % ranks]
            xq = x_q(rng, i)
            yq = y_q(rng, i, xq) if y_q else xq
            drawn = {k: v(rng, i) for k, v in options.items()}
            x, y = g.input(shape, xq, dtype), g.output(shape, yq, dtype)
            g.op(name, [x], [y], **drawn)
            return Case(model, words(input=shape, **drawn, x=xq, y=yq), inputs=[[all_bytes(rng, dtype)]])

        return make

    for i in range(count):
        yield case(i)


def any_q(low, high):
    return lambda rng, i: Q(scale(rng, low, high), zero_point(rng))


def near(rng, i, xq):
    """The input's own quantization, a rescaling one, or one with another zero point only."""
    if i % 4 == 0:
        return xq
    if i % 4 == 1:
        return Q(xq.scale[0], zero_point(rng))
    return Q(float(xq.scale[0]) * rng.uniform(0.4, 1.6), zero_point(rng))


@operator
def logistic():
    yield from unary("LOGISTIC", any_q(0.005, 0.3), lambda rng, i, q: Q(1 / 256, -128), 16)


@operator
def tanh():
    yield from unary("TANH", any_q(0.003, 0.15), lambda rng, i, q: Q(1 / 128, 0), 16)


@operator
def relu():
    yield from unary("RELU", lambda rng, i: Q(scale(rng), int(rng.integers(-100, 100))), near, 16)


@operator
def relu6():
    def out(rng, i, q):
        return q if i % 4 else near(rng, i // 4 + 1, q)

    yield from unary("RELU6", lambda rng, i: Q(scale(rng, 0.01, 0.1), int(rng.integers(-100, 60))), out, 16)


@operator
def leaky_relu():
    alphas = [0.1, 0.01, 0.2, 0.3, 0.5, 0.9, 1.0, 1.5, -0.2, 0.0]
    yield from unary(
        "LEAKY_RELU",
        lambda rng, i: Q(scale(rng), int(rng.integers(-100, 100))),
        near,
        20,
        alpha=lambda rng, i: alphas[i % len(alphas)],
    )


@operator
def hard_swish():
    def out(rng, i, q):
        if i % 4 == 0:
            return q
        if i % 4 == 1:
            return Q(float(q.scale[0]) * rng.uniform(0.3, 1.3), zero_point(rng))
        x = dequantize(q, np.arange(-128, 128))
        return fitted(x * np.clip(x + 3, 0, 6) / 6)

    yield from unary("HARD_SWISH", any_q(0.005, 0.15), out, 24)


@operator
def abs():
    yield from unary("ABS", lambda rng, i: Q(scale(rng), int(rng.integers(-100, 100))), near, 16)


@operator
def elu():
    def out(rng, i, q):
        x = dequantize(q, np.arange(-128, 128))
        return near(rng, i, q) if i % 2 else fitted(np.where(x < 0, np.expm1(x), x))

    yield from unary("ELU", any_q(0.005, 0.1), out, 16)


@operator
def rsqrt():
    def out(rng, i, q):
        return fitted(1 / np.sqrt(dequantize(q, np.arange(-127, 128))))

    yield from unary("RSQRT", lambda rng, i: Q(scale(rng), -128), out, 40)
