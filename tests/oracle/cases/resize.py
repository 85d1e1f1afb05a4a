"""ResizeNearestNeighbor and ResizeBilinear."""

from .common import Case, Model, ends, operator, quant, words


@operator
def resize_nearest_neighbor():
    def case(shape, size, align=False, half=False):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng)
            x, y = g.input(shape, q), g.output([shape[0], *size, shape[3]], q)
            g.op("RESIZE_NEAREST_NEIGHBOR", [x, g.ints(size)], [y], alignCorners=align, halfPixelCenters=half)
            return Case(model, words(input=shape, size=size, align_corners=align, half_pixel_centers=half))

        return make

    pairs = [((1, 3, 3, 2), [6, 6]), ((1, 4, 5, 2), [7, 3]), ((2, 5, 3, 1), [4, 9]), ((1, 2, 7, 3), [5, 2])]
    for align, half in ((False, False), (True, False), (False, True), (True, True)):
        for shape, size in pairs:
            yield case(shape, size, align, half)
    yield case((1, 1, 6, 4), [3, 6])
    yield case((1, 6, 6, 3), [1, 1], align=True)
    yield case((3, 6, 1, 3), [3, 2], half=True)


def bilinear(quantized):
    """Larger and smaller, both along each axis, and one pixel of either."""

    def case(shape, size, align=False, half=False):
        def make(rng):
            model = Model()
            g = model.main
            to = [shape[0], *size, shape[3]]
            x, y, inputs = ends(rng, g, shape, to, quantized, spread=3)
            g.op("RESIZE_BILINEAR", [x, g.ints(size)], [y], alignCorners=align, halfPixelCenters=half)
            note = words(input=shape, size=size, align_corners=align, half_pixel_centers=half)
            return Case(model, note, inputs=inputs)

        return make

    pairs = [((1, 3, 3, 2), [6, 6]), ((1, 4, 5, 2), [7, 3]), ((2, 5, 3, 1), [4, 9]), ((1, 2, 7, 3), [5, 2])]
    for align, half in ((False, False), (True, False), (False, True)):
        for shape, size in pairs:
            yield case(shape, size, align, half)
        yield case((1, 1, 6, 4), [3, 6], align, half)
        yield case((1, 6, 6, 17), [1, 1], align, half)
        yield case((3, 6, 1, 5), [3, 2], align, half)
        yield case((1, 7, 9, 3), [31, 40], align, half)
        yield case((1, 20, 24, 1), [7, 5], align, half)


@operator
def resize_bilinear():
    yield from bilinear(quantized=True)


@operator
def resize_bilinear_f32():
    yield from bilinear(quantized=False)
