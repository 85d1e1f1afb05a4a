"""Arithmetic and comparisons of int32, and casts between types of numbers."""

import numpy as np

from .common import Case, Model, operator, words

PAIRS = [((3, 4), (3, 4)), ((2, 3, 4), (4,)), ((2, 1, 5), (1, 3, 1)), ((7,), ())]


def numbers(rng, shape, far):
    """Small numbers, some of which are equal, or any."""
    if far:
        return rng.integers(-(2**31), 2**31, shape, dtype=np.int64).astype(np.int32)
    return rng.integers(-9, 10, shape, dtype=np.int32)


def of_two(name, far=False, truth=False, nonzero=False):
    def case(a_shape, b_shape, const=None):
        def make(rng):
            model = Model()
            g = model.main
            ends, inputs = [], []
            for i, shape in enumerate((a_shape, b_shape)):
                x = numbers(rng, shape, far)
                if nonzero and i == 1:
                    x = np.where(x == 0, np.int32(3), x).astype(np.int32)
                ends.append(g.const(x) if const == i else g.input(shape, dtype=np.int32))
                if const != i:
                    inputs.append(x)
            y = g.output(np.broadcast_shapes(a_shape, b_shape), dtype=np.bool_ if truth else np.int32)
            g.op(name, ends, [y])
            note = words(operator=name, a=a_shape, b=b_shape, const=const)
            return Case(model, note, inputs=[inputs], may_be_flat=True)

        return make

    for a, b in PAIRS:
        yield case(a, b)
    yield case((3, 4), (4,), const=1)
    yield case((3, 4), (), const=1)


@operator
def arithmetic_i32():
    for name in ("ADD", "SUB", "MUL"):
        yield from of_two(name)
    for name in ("MINIMUM", "MAXIMUM"):
        yield from of_two(name, far=True)
    yield from of_two("DIV", far=True, nonzero=True)
    yield from of_two("DIV", nonzero=True)


@operator
def compare_i32():
    for name in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"):
        yield from of_two(name, truth=True)
    yield from of_two("LESS", far=True, truth=True)


@operator
def cast():
    def case(shape, source, to):
        def make(rng):
            model = Model()
            g = model.main
            g.op("CAST", [g.input(shape, dtype=source)], [g.output(shape, dtype=to)])
            if source == np.float32:
                x = (rng.standard_normal(shape) * 40).astype(source)
            elif source == np.int32:
                x = numbers(rng, shape, True)
            else:
                info = np.iinfo(source)
                x = rng.integers(info.min, info.max, shape, dtype=source, endpoint=True)
            return Case(model, words(input=shape, source=np.dtype(source).name, to=np.dtype(to).name), inputs=[[x]])

        return make

    for source in (np.int8, np.int16, np.int32, np.float32):
        for to in (np.int8, np.int16, np.int32, np.float32):
            if source != to:
                yield case((3, 17), source, to)
