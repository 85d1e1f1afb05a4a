"""DepthToSpace and SpaceToDepth, which are each other's inverse."""

from .common import Case, Model, ends, operator, words


def blocks(name):
    def case(shape, block, quantized=True):
        def make(rng):
            model = Model()
            g = model.main
            n, h, w, c = shape
            deep, wide = [n, h, w, c * block**2], [n, h * block, w * block, c]
            start, end = (deep, wide) if name == "DEPTH_TO_SPACE" else (wide, deep)
            x, y, inputs = ends(rng, g, start, end, quantized)
            g.op(name, [x], [y], blockSize=block)
            return Case(model, words(input=start, block=block), inputs=inputs)

        return make

    yield case((1, 2, 3, 4), 2)
    yield case((2, 3, 2, 1), 3)
    yield case((1, 1, 5, 2), 2)
    yield case((2, 2, 2, 3), 4)
    yield case((1, 4, 3, 5), 1)
    yield case((1, 2, 3, 2), 2, quantized=False)


@operator
def depth_to_space():
    yield from blocks("DEPTH_TO_SPACE")


@operator
def space_to_depth():
    yield from blocks("SPACE_TO_DEPTH")
