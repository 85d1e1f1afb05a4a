"""Softmax."""

import numpy as np

from .common import Case, Model, Q, operator, words, zero_point


@operator
def softmax():
    def case(shape=(1, 10), beta=1.0, scale=0.05):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(np.float32(scale * rng.uniform(0.7, 1.4)), zero_point(rng))
            x = g.input(shape, q)
            y = g.output(shape, Q(1 / 256, -128))
            g.op("SOFTMAX", [x], [y], beta=beta)
            return Case(model, words(input=shape, beta=beta, x=q), invokes=2)

        return make

    yield case()
    yield case(shape=(4, 12))
    yield case(shape=(16,), scale=0.02)
    yield case(shape=(2, 3, 7))
    yield case(shape=(2, 2, 3, 5))
    yield case(shape=(1, 4, 1, 6), beta=0.5)
    yield case(shape=(3, 10), beta=0.25, scale=0.1)
    yield case(shape=(3, 10), beta=2.0, scale=0.01)
    yield case(shape=(2, 10), beta=10.0, scale=0.003)
    yield case(shape=(5, 2), scale=0.02)
    yield case(shape=(4, 1))
    yield case(shape=(1, 100), scale=0.02)
    yield case(shape=(1, 100), scale=0.1)
    yield case(shape=(2, 33), scale=0.0005)
    yield case(shape=(2, 12), scale=0.25)
    yield case(shape=(2, 12), scale=0.7)
    yield case(shape=(1, 256), scale=0.0039)
    yield case(shape=(3, 3), beta=0.1, scale=0.3)
