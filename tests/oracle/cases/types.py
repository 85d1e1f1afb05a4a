"""Quantize and Dequantize: float in and out, one 8-bit quantization to another."""

import numpy as np

from .common import Case, Model, Q, operator, scale, words, zero_point
from .unary import SHAPES, all_bytes


def floats(rng, q, shape):
    """Values around the range of `q`, exact ties, both zeros and numbers far outside."""
    s, z = q.scale[0], np.float32(q.zero_point[0])
    steps = rng.uniform(-300, 300, shape).astype(np.float32)
    flat = steps.reshape(-1)
    half = rng.integers(-150, 150, flat.size // 2).astype(np.float32) + np.float32(0.5)
    flat[: half.size] = half
    x = (steps - z) * s
    ends = np.array([0.0, -0.0, 1e6, -1e6, 0.5, -0.5, 1.5, 2.5, 1e-30, -1e-30], np.float32) * s
    x.reshape(-1)[-min(ends.size, x.size) :] = ends[: x.size]
    return x


@operator
def quantize():
    def case(i):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.0005, 2.0), zero_point(rng))
            shape = [(64,), (4, 16), (1, 4, 4, 4), (2, 3, 11)][i % 4]
            if i == 2:
                q = Q(np.float32(0.25), 3)  # ties are exact
            x, y = g.input(shape, dtype=np.float32), g.output(shape, q)
            g.op("QUANTIZE", [x], [y])
            return Case(model, words(input=shape, y=q), inputs=[[floats(rng, q, shape)]])

        return make

    for i in range(16):
        yield case(i)


@operator
def requantize():
    def case(i, source, target):
        def make(rng):
            model = Model()
            g = model.main
            s = scale(rng)
            x_q = Q(s, zero_point(rng, source == np.int8))
            factor = [1.0, 1.0, float(rng.uniform(0.2, 1.0)), float(rng.uniform(1.0, 4.0)), 0.5, 2.0][i % 6]
            y_z = zero_point(rng, target == np.int8)
            if i % 6 == 0 and source != target:
                y_z = int(x_q.zero_point[0]) + (128 if target == np.uint8 else -128)
            y_q = Q(np.float32(s * np.float32(factor)), y_z)
            shape = SHAPES[i % 4]
            x, y = g.input(shape, x_q, source), g.output(shape, y_q, target)
            g.op("QUANTIZE", [x], [y])
            return Case(
                model,
                words(input=shape, source=np.dtype(source).name, target=np.dtype(target).name, x=x_q, y=y_q),
                inputs=[[all_bytes(rng, source)]],
            )

        return make

    for source, target in ((np.int8, np.int8), (np.int8, np.uint8), (np.uint8, np.int8)):
        for i in range(12):
            yield case(i, source, target)


@operator
def dequantize():
    def case(i, dtype):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.0005, 2.0), zero_point(rng, dtype == np.int8))
            shape = SHAPES[i % 4]
            x, y = g.input(shape, q, dtype), g.output(shape, dtype=np.float32)
            g.op("DEQUANTIZE", [x], [y])
            return Case(model, words(input=shape, source=np.dtype(dtype).name, x=q), inputs=[[all_bytes(rng, dtype)]])

        return make

    for i in range(8):
        yield case(i, np.int8)
    for i in range(8):
        yield case(i, np.uint8)
