"""Mean: every set of axes of ranks 2 to 4."""

from itertools import combinations

import numpy as np

from .common import Case, Model, Q, operator, scale, words, zero_point


@operator
def mean():
    def case(shape, axes, keep, written=None, quantization="same"):
        def make(rng):
            model = Model()
            g = model.main
            x_q = Q(scale(rng), zero_point(rng))
            y_q = x_q
            if quantization == "other":
                factor = float(rng.uniform(0.3, 1.2))
                middle = (-0.5 - float(x_q.zero_point[0])) / factor  # where the mean of random bytes lies
                y_q = Q(float(x_q.scale[0]) * factor, int(np.clip(rng.integers(-30, 31) - middle, -128, 127)))
            to = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
            x, y = g.input(shape, x_q), g.output(to, y_q)
            g.op("MEAN", [x, g.ints(list(axes) if written is None else written)], [y], keepDims=keep)
            return Case(
                model,
                words(input=shape, axes=axes if written is None else written, keep_dims=keep, x=x_q, y=y_q),
                invokes=2,
            )

        return make

    n = 0
    for shape in ((4, 9), (3, 4, 5), (2, 3, 4, 5)):
        for count in range(1, len(shape) + 1):
            for axes in combinations(range(len(shape)), count):
                n += 1
                yield case(shape, axes, keep=n % 2 == 0, quantization="other" if n % 3 else "same")
    # the pair of axes that image classifiers use, and sizes that do not divide evenly
    yield case((2, 5, 7, 6), (1, 2), keep=True)
    yield case((2, 5, 7, 6), (1, 2), keep=False)
    yield case((1, 5, 7, 6), (1, 2), keep=True, quantization="other")
    yield case((1, 3, 3, 20), (1, 2), keep=False, quantization="other")
    yield case((1, 3, 3, 20), (2, 1), keep=True, written=[2, 1], quantization="other")
    yield case((2, 3, 4, 5), (2, 3), keep=False, written=[-1, -2], quantization="other")
    yield case((2, 3, 4, 5), (1, 2), keep=True, written=[-3, -2])
    yield case((6, 8), (1,), keep=False, written=[-1])
    yield case((1, 12, 12, 2), (1, 2), keep=True)
    yield case((17,), (0,), keep=True)
    yield case((1, 200, 3), (1,), keep=False)
    yield case((1, 200, 3), (1,), keep=False, quantization="other")
