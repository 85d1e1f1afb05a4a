"""DepthToSpace and SpaceToDepth, which are each other's inverse."""

import numpy as np

from .common import Case, Model, operator, quant, words


def blocks(name):
    def case(shape, block, real=False):
        def make(rng):
            model = Model()
            g = model.main
            n, h, w, c = shape
            deep, wide = [n, h, w, c * block**2], [n, h * block, w * block, c]
            start, end = (deep, wide) if name == "DEPTH_TO_SPACE" else (wide, deep)
            inputs = []
            if real:
                x, y = g.input(start, dtype=np.float32), g.output(end, dtype=np.float32)
                inputs = [[rng.standard_normal(start).astype(np.float32)]]
            else:
                q = quant(rng)
                x, y = g.input(start, q), g.output(end, q)
            g.op(name, [x], [y], blockSize=block)
            return Case(model, words(input=start, block=block), inputs=inputs)

        return make

    yield case((1, 2, 3, 4), 2)
    yield case((2, 3, 2, 1), 3)
    yield case((1, 1, 5, 2), 2)
    yield case((2, 2, 2, 3), 4)
    yield case((1, 4, 3, 5), 1)
    yield case((1, 2, 3, 2), 2, real=True)


@operator
def depth_to_space():
    yield from blocks("DEPTH_TO_SPACE")


@operator
def space_to_depth():
    yield from blocks("SPACE_TO_DEPTH")
