"""Concatenation and Pack: several inputs become one."""

import numpy as np

from .common import Case, Model, operator, quant, words


@operator
def concatenation():
    def case(shape, axis, sizes, const=None, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng) if dtype == np.int8 else None
            at = axis % len(shape)
            ends = []
            for i, n in enumerate(sizes):
                part = [*shape[:at], n, *shape[at + 1 :]]
                ends.append(
                    g.const(rng.integers(-128, 128, part, dtype=np.int8), q) if const == i else g.input(part, q, dtype)
                )
            to = [*shape[:at], sum(sizes), *shape[at + 1 :]]
            y = g.output(to, q, dtype)
            g.op("CONCATENATION", ends, [y], axis=axis)
            inputs = (
                [[rng.standard_normal([*shape[:at], n, *shape[at + 1 :]]).astype(np.float32) for n in sizes]]
                if dtype == np.float32
                else []
            )
            return Case(
                model,
                words(
                    shape=shape,
                    axis=axis,
                    sizes=sizes,
                    const="none" if const is None else const,
                    dtype=np.dtype(dtype).name,
                ),
                inputs=inputs,
            )

        return make

    yield case((1, 3, 4, 0), 3, [2, 5])
    yield case((1, 3, 4, 0), -1, [2, 5, 1])
    yield case((2, 3, 0, 2), 2, [1, 2, 3])
    yield case((2, 3, 0, 2), -2, [4, 1])
    yield case((2, 0, 4, 2), 1, [1, 1, 2, 1])
    yield case((0, 2, 2, 3), 0, [1, 2])
    yield case((0, 2, 2, 3), -4, [3, 1])
    yield case((0,), 0, [7, 9])
    yield case((0,), -1, [3, 1, 4, 1, 5, 9])
    yield case((4, 0), 1, [3, 8])
    yield case((0, 4), 0, [3, 8])
    yield case((2, 0, 5), 1, [2, 1, 3])
    yield case((2, 3, 0), -1, [6, 2, 1, 3, 1, 4])
    yield case((2, 3, 0), 2, [5, 4], const=1)
    yield case((0, 5), 0, [2, 3, 1], const=0)
    yield case((1, 2, 2, 0), 3, [3, 4, 5], const=1)
    yield case((3, 0), 1, [16, 1])
    yield case((2, 0, 3), 1, [1, 2], dtype=np.float32)


@operator
def pack():
    def case(shape, axis, count, const=None):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng)
            ends = [
                g.const(rng.integers(-128, 128, shape, dtype=np.int8), q) if const == i else g.input(shape, q)
                for i in range(count)
            ]
            at = axis if axis >= 0 else axis + len(shape) + 1
            y = g.output([*shape[:at], count, *shape[at:]], q)
            g.op("PACK", ends, [y], axis=axis, valuesCount=count)
            return Case(model, words(shape=shape, axis=axis, count=count, const="none" if const is None else const))

        return make

    yield case((8,), 0, 2)
    yield case((8,), 1, 3)
    yield case((8,), -1, 2)
    yield case((8,), -2, 4)
    yield case((3, 4), 0, 2)
    yield case((3, 4), 1, 3)
    yield case((3, 4), 2, 2)
    yield case((3, 4), -1, 5)
    yield case((2, 3, 2), 1, 2)
    yield case((2, 3, 2), 3, 6)
    yield case((2, 3, 2), -4, 1)
    yield case((5,), 0, 3, const=1)
