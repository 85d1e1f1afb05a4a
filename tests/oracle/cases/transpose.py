"""Transpose: ranks 1 to 5."""

import numpy as np

from .common import Case, Model, operator, quant, words


@operator
def transpose():
    def case(shape, perm, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng) if dtype == np.int8 else None
            x, y = g.input(shape, q, dtype), g.output([shape[p] for p in perm], q, dtype)
            g.op("TRANSPOSE", [x, g.ints(perm)], [y])
            inputs = [[rng.standard_normal(shape).astype(np.float32)]] if dtype == np.float32 else []
            return Case(model, words(input=shape, perm=perm, dtype=np.dtype(dtype).name), inputs=inputs)

        return make

    yield case((9,), [0])
    yield case((3, 7), [1, 0])
    yield case((3, 7), [0, 1])
    for perm in ([2, 1, 0], [0, 2, 1], [1, 0, 2], [2, 0, 1], [1, 2, 0]):
        yield case((2, 3, 5), perm)
    for perm in ([0, 3, 1, 2], [0, 2, 3, 1], [3, 2, 1, 0], [0, 2, 1, 3], [1, 0, 3, 2], [2, 3, 0, 1], [0, 1, 3, 2]):
        yield case((2, 3, 4, 3), perm)
    for perm in ([0, 1, 4, 2, 3], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        yield case((2, 2, 3, 2, 3), perm)
    yield case((3, 4), [1, 0], np.float32)
