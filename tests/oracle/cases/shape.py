"""What only changes the shape: Reshape, Squeeze, ExpandDims."""

import numpy as np

from .common import Case, Model, operator, quant, words


@operator
def reshape():
    def case(shape, to, as_tensor=True, dtype=np.int8, written=None):
        """`written` is the target as the file says it (-1 allowed), `to` what comes out."""

        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng) if dtype == np.int8 else None
            x, y = g.input(shape, q, dtype), g.output(to, q, dtype)
            target = list(to) if written is None else written
            ends = [x, g.ints(target)] if as_tensor else [x]
            g.op("RESHAPE", ends, [y], newShape=None if as_tensor else target)
            inputs = [[rng.standard_normal(shape).astype(np.float32)]] if dtype == np.float32 else []
            return Case(
                model,
                words(input=shape, output=to, written=target, as_tensor=as_tensor, dtype=np.dtype(dtype).name),
                inputs=inputs,
            )

        return make

    yield case((1, 4, 4, 2), (1, 32))
    yield case((1, 4, 4, 2), (1, 32), written=[1, -1])
    yield case((2, 12), (2, 3, 4), written=[-1, 3, 4])
    yield case((2, 12), (2, 3, 4), written=[2, -1, 4], as_tensor=False)
    yield case((24,), (2, 3, 2, 2))
    yield case((2, 3, 2, 2), (24,), written=[-1])
    yield case((5, 4), (4, 5), as_tensor=False)
    yield case((1,), ())
    yield case((), (1, 1))
    yield case((1, 2, 3, 2, 2), (6, 4))
    yield case((6, 4), (1, 2, 3, 2, 2))
    yield case((3, 8), (3, 2, 4), dtype=np.uint8)
    yield case((3, 8), (24,), dtype=np.float32)
    yield case((2, 6), (3, 4), written=[3, -1])


@operator
def squeeze():
    def case(shape, dims, to):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng)
            x, y = g.input(shape, q), g.output(to, q)
            g.op("SQUEEZE", [x], [y], squeezeDims=dims or None)
            return Case(model, words(input=shape, dims=dims, output=to))

        return make

    yield case((1, 4, 1, 5), [], (4, 5))
    yield case((1, 4, 1, 5), [0], (4, 1, 5))
    yield case((1, 4, 1, 5), [2], (1, 4, 5))
    yield case((1, 4, 1, 5), [-2], (1, 4, 5))
    yield case((1, 4, 1, 5), [0, 2], (4, 5))
    yield case((1, 1, 17), [1, 0], (17,))
    yield case((1, 1, 1, 19), [], (19,))
    yield case((1, 1), [], ())
    yield case((1, 1, 6), [-3], (1, 6))
    yield case((3, 1, 1, 2, 1), [1, 4], (3, 1, 2))
    yield case((2, 9), [], (2, 9))
    yield case((2, 1, 9), [1], (2, 9))


@operator
def expand_dims():
    def case(shape, axis, as_vector=False):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng)
            at = axis if axis >= 0 else axis + len(shape) + 1
            to = [*shape[:at], 1, *shape[at:]]
            x, y = g.input(shape, q), g.output(to, q)
            g.op("EXPAND_DIMS", [x, g.ints([axis] if as_vector else axis)], [y])
            return Case(model, words(input=shape, axis=axis, output=to))

        return make

    yield case((12,), 0)
    yield case((12,), 1)
    yield case((12,), -1)
    yield case((12,), -2)
    yield case((3, 4), 0)
    yield case((3, 4), 1)
    yield case((3, 4), 2)
    yield case((3, 4), -2)
    yield case((2, 3, 4), 3)
    yield case((2, 3, 4), -4)
    yield case((2, 3, 4), 1, as_vector=True)
    yield case((2, 3, 2, 2), 2)
