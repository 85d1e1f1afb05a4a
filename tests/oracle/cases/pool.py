"""AvgPool2d and MaxPool2d."""

from .common import ACTIVATIONS, PADDING, Case, Model, Q, operator, pick, scale, words, zero_point
from .conv import output_size


def pool(name):
    def case(n=1, h=6, w=6, c=3, window=(2, 2), stride=(2, 2), padding="VALID", act="none"):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.01, 0.08), zero_point(rng) if act == "none" else int(rng.integers(-30, 30)))
            x = g.input([n, h, w, c], q)
            out = [output_size(s, k, d, 1, padding) for s, k, d in zip((h, w), window, stride)]
            y = g.output([n, *out, c], q)
            g.op(
                name,
                [x],
                [y],
                padding=PADDING[padding],
                strideH=stride[0],
                strideW=stride[1],
                filterHeight=window[0],
                filterWidth=window[1],
                fusedActivationFunction=ACTIVATIONS[act],
            )
            return Case(model, words(input=(n, h, w, c), window=window, stride=stride, padding=padding, act=act, q=q))

        return make

    yield case()
    yield case(padding="SAME")
    yield case(window=(3, 3), stride=(1, 1), padding="SAME")
    yield case(window=(3, 3), stride=(1, 1))
    yield case(window=(6, 6), stride=(1, 1), c=19)
    yield case(window=(25, 5), stride=(25, 5), h=25, w=5, c=4)
    yield case(window=(3, 2), stride=(2, 3), h=7, w=9, padding="SAME")
    yield case(window=(3, 2), stride=(2, 3), h=7, w=9)
    yield case(window=(5, 5), stride=(1, 1), h=3, w=2, padding="SAME")
    yield case(window=(1, 1), stride=(2, 2), h=5, w=5, c=4)
    yield case(n=3, h=4, w=5, window=(2, 3), stride=(1, 2))
    yield case(n=2, h=5, w=5, c=18, window=(3, 3), padding="SAME")
    yield case(act="relu")
    yield case(act="relu6", padding="SAME", stride=(1, 1))
    yield case(act="relu_n1_to_1", stride=(1, 1))
    for _ in range(3):
        yield lambda rng: case(
            n=pick(rng, 1, 2),
            h=int(rng.integers(1, 10)),
            w=int(rng.integers(1, 10)),
            c=int(rng.integers(1, 9)),
            window=tuple(map(int, rng.integers(1, 5, 2))),
            stride=tuple(map(int, rng.integers(1, 4, 2))),
            padding="SAME",
        )(rng)


@operator
def avg_pool2d():
    yield from pool("AVERAGE_POOL_2D")


@operator
def max_pool2d():
    yield from pool("MAX_POOL_2D")
