"""ReduceMax and ReduceMin, Sum in f32: every set of axes of ranks 2 to 4. ArgMax, ArgMin and CumSum: every axis."""

from itertools import combinations

import numpy as np
from graph import TYPES

from .common import Case, Model, ends, operator, quant, words


def reduction(name, quantized):
    def case(shape, axes, keep, written=None):
        def make(rng):
            model = Model()
            g = model.main
            to = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
            x, y, inputs = ends(rng, g, shape, to, quantized, spread=4)
            g.op(name, [x, g.ints(list(axes) if written is None else written)], [y], keepDims=keep)
            note = words(input=shape, axes=axes if written is None else written, keep_dims=keep)
            return Case(model, note, inputs=inputs, may_be_flat=True)

        return make

    n = 0
    for shape in ((4, 9), (3, 4, 5), (2, 3, 4, 5)):
        for count in range(1, len(shape) + 1):
            for axes in combinations(range(len(shape)), count):
                n += 1
                yield case(shape, axes, keep=n % 2 == 0)
    yield case((2, 5, 7, 6), (1, 2), keep=True)
    yield case((1, 3, 3, 20), (1, 2), keep=False, written=[2, 1])
    yield case((2, 3, 4, 5), (2, 3), keep=False, written=[-1, -2])
    yield case((1, 7, 1, 3), (0, 2), keep=True)
    yield case((1, 200, 3), (1,), keep=False)


@operator
def reduce_max():
    yield from reduction("REDUCE_MAX", quantized=True)


@operator
def reduce_max_f32():
    yield from reduction("REDUCE_MAX", quantized=False)


@operator
def reduce_min():
    yield from reduction("REDUCE_MIN", quantized=True)


@operator
def reduce_min_f32():
    yield from reduction("REDUCE_MIN", quantized=False)


@operator
def sum_f32():
    yield from reduction("SUM", quantized=False)


def index(name, quantized):
    """Of few values, so that many are equal."""

    def case(shape, axis):
        def make(rng):
            model = Model()
            g = model.main
            at = axis % len(shape)
            to = [n for i, n in enumerate(shape) if i != at]
            x = g.input(shape, quant(rng)) if quantized else g.input(shape, dtype=np.float32)
            y = g.output(to, dtype=np.int32)
            g.op(name, [x, g.ints(axis)], [y], outputType=TYPES[np.dtype(np.int32)])
            values = rng.integers(-4, 5, shape)
            return Case(model, words(input=shape, axis=axis), inputs=[[values]], may_be_flat=True)

        return make

    yield case((9,), 0)
    for shape in ((4, 9), (3, 4, 5), (2, 3, 4, 5)):
        for axis in range(len(shape)):
            yield case(shape, axis)
    yield case((2, 3, 4, 5), -2)
    yield case((1, 7, 1, 3), 1)
    yield case((2, 200), -1)


@operator
def arg_max():
    yield from index("ARG_MAX", quantized=True)


@operator
def arg_max_f32():
    yield from index("ARG_MAX", quantized=False)


@operator
def arg_min():
    yield from index("ARG_MIN", quantized=True)


@operator
def arg_min_f32():
    yield from index("ARG_MIN", quantized=False)


@operator
def cumsum_f32():
    def case(shape, axis, exclusive=False, reverse=False):
        def make(rng):
            model = Model()
            g = model.main
            x, y, inputs = ends(rng, g, shape, shape, quantized=False)
            g.op("CUMSUM", [x, g.ints(axis)], [y], exclusive=exclusive, reverse=reverse)
            return Case(model, words(input=shape, axis=axis, exclusive=exclusive, reverse=reverse), inputs=inputs)

        return make

    n = 0
    for shape in ((9,), (4, 9), (3, 4, 5), (2, 3, 4, 5)):
        for axis in range(len(shape)):
            n += 1
            yield case(shape, axis, exclusive=n % 2 == 0, reverse=n % 4 > 1)
    yield case((2, 33), -1)
    yield case((2, 1, 3), 1)
    yield case((2, 1, 3), 1, reverse=True)
