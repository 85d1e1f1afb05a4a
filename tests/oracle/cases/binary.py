"""Add, Sub, Mul and comparisons: equal shapes, every kind of broadcast, a constant operand, fused activations."""

import numpy as np

from .common import ACTIVATIONS, Case, Model, Q, dequantize, fitted, operator, scale, words, zero_point

SHAPES = [
    ((1, 4, 4, 3), (1, 4, 4, 3)),
    ((2, 3, 5), (2, 3, 5)),
    ((24,), (24,)),
    ((4, 7), (4, 7)),
    ((2, 3, 4, 2), (1, 1, 1, 2)),
    ((1, 1, 1, 2), (2, 3, 4, 2)),
    ((2, 3, 4, 2), (2,)),
    ((5,), (3, 4, 5)),
    ((2, 4, 3, 2), (1,)),
    ((2, 4, 3, 2), ()),
    ((), (3, 6)),
    ((1, 3, 1, 4), (2, 1, 5, 1)),
    ((3, 1, 4), (3, 5, 1)),
    ((1, 4, 4, 3), (1, 4, 1, 3)),
    ((2, 1, 1, 6), (2, 3, 2, 6)),
    ((6, 1), (1, 4)),
    ((2, 1, 3, 1, 2), (1, 2, 1, 2, 1)),
    ((2, 2, 1, 2, 1, 2), (1, 2, 3, 1, 2, 1)),
]


FUNCTIONS = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}


def binary(name):
    def case(a_shape, b_shape, act="none", const=None, same_q=False, far=False):
        def make(rng):
            model = Model()
            g = model.main
            a_q = Q(scale(rng, 0.01, 0.08), zero_point(rng))
            b_q = a_q if same_q else Q(scale(rng, 0.0005, 0.5) if far else scale(rng, 0.01, 0.08), zero_point(rng))
            samples = [dequantize(q, rng.integers(-128, 128, 4096)) for q in (a_q, b_q)]
            y_q = fitted(FUNCTIONS[name](*samples))
            if act in ("relu6", "relu_n1_to_1"):
                y_q = Q(np.clip(y_q.scale[0], 0.01, 0.06), int(rng.integers(-60, 60)))
            shapes, ends = [a_shape, b_shape], []
            for i, q in enumerate((a_q, b_q)):
                if const == i:
                    ends.append(g.const(rng.integers(-128, 128, shapes[i], dtype=np.int8), q))
                else:
                    ends.append(g.input(shapes[i], q))
            y_shape = np.broadcast_shapes(a_shape, b_shape)
            y = g.output(y_shape, y_q)
            g.op(name, ends, [y], fusedActivationFunction=ACTIVATIONS[act])
            return Case(
                model,
                words(
                    a=a_shape,
                    b=b_shape,
                    act=act,
                    const={None: "none", 0: "a", 1: "b"}[const],
                    a_q=a_q,
                    b_q=b_q,
                    y_q=y_q,
                ),
            )

        return make

    for a, b in SHAPES:
        yield case(a, b)
    square = ((1, 3, 4, 5), (1, 3, 4, 5))
    for act in ("relu", "relu6", "relu_n1_to_1"):
        yield case(*square, act=act)
    yield case((2, 3, 4, 3), (3,), act="relu")
    yield case(*square, const=1)
    yield case(*square, const=0)
    yield case((2, 3, 4, 3), (3,), const=1)
    yield case((2, 3, 4, 3), (), const=1)
    yield case((1,), (2, 3, 4, 3), const=0)
    yield case((2, 1, 4, 1), (1, 3, 4, 3), const=0, act="relu6")
    yield case(*square, same_q=True)
    yield case(*square, far=True)
    yield case(*square, far=True, const=1)
    yield case((300,), (300,))


def prelu_case(shape, alpha_shape, low=-0.5, high=0.9):
    def make(rng):
        model = Model()
        g = model.main
        x_q, a_q = Q(scale(rng, 0.01, 0.08), zero_point(rng)), Q((high - low) / 255, int(rng.integers(-100, 101)))
        alpha = rng.integers(-128, 128, alpha_shape, dtype=np.int8)
        x = dequantize(x_q, rng.integers(-128, 128, 4096))
        y_q = fitted(np.where(x >= 0, x, x * dequantize(a_q, rng.choice(alpha.ravel(), 4096))))
        y = g.output(shape, y_q)
        g.op("PRELU", [g.input(shape, x_q), g.const(alpha, a_q)], [y])
        return Case(model, words(input=shape, alpha=alpha_shape, x_q=x_q, a_q=a_q, y_q=y_q))

    return make


PRELU_SHAPES = [
    ((1, 4, 4, 3), (1, 1, 3)),
    ((2, 3, 5, 4), (1, 1, 4)),
    ((2, 3, 5, 4), (3, 5, 4)),
    ((1, 8, 8, 4), (1, 1, 1)),
    ((3, 7), (7,)),
    ((300,), (300,)),
]


@operator
def prelu():
    for shape, alpha in PRELU_SHAPES:
        yield prelu_case(shape, alpha)
    # Slopes above 1 and below -1.
    yield prelu_case((2, 4, 4, 5), (1, 1, 5), -3.0, 2.0)


@operator
def add():
    yield from binary("ADD")


@operator
def sub():
    yield from binary("SUB")


@operator
def mul():
    yield from binary("MUL")


def of_codes(name):
    """Of one quantization and shape, or with one constant number."""

    def case(shape, const=None):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng), zero_point(rng))
            a, y = g.input(shape, q), g.output(shape, q)
            number = g.const(rng.integers(-60, 60, const, dtype=np.int8), q) if const is not None else None
            g.op(name, [a, g.input(shape, q) if number is None else number], [y])
            return Case(model, words(input=shape, const=const or ""), may_be_flat=True)

        return make

    for shape in ((1, 4, 5, 3), (24,), (3, 7), (2, 3, 4), (5, 1)):
        yield case(shape)
    yield case((2, 30), const=())
    yield case((1, 4, 4, 16), const=(1,))


@operator
def maximum():
    yield from of_codes("MAXIMUM")


@operator
def minimum():
    yield from of_codes("MINIMUM")


@operator
def compare():
    """Comparisons of codes of one scale and of others, with numbers that are equal or nearly so."""

    def case(name, a_shape, b_shape, ratio=1.0, low=0.001, high=0.9, const=False):
        def make(rng):
            model = Model()
            g = model.main
            a_scale = scale(rng, low, high)
            a_q, b_q = Q(a_scale, zero_point(rng)), Q(np.float32(a_scale * ratio), zero_point(rng))
            to = np.broadcast_shapes(a_shape, b_shape)
            # Few codes around the zero points, so that many numbers are equal.
            a, b = (
                np.clip(rng.integers(-6, 7, shape) + q.zero_point[0], -128, 127).astype(np.int8)
                for q, shape in ((a_q, a_shape), (b_q, b_shape))
            )
            ends = [g.input(a_shape, a_q), g.const(b, b_q) if const else g.input(b_shape, b_q)]
            g.op(name, ends, [g.output(to, dtype=np.bool_)])
            note = words(operator=name, a=a_shape, b=b_shape, a_q=a_q, b_q=b_q, const=const)
            return Case(model, note, inputs=[[a] if const else [a, b]], may_be_flat=True)

        return make

    for name in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"):
        yield case(name, (3, 4, 5), (3, 4, 5))
        yield case(name, (4, 15), (4, 15), ratio=2.0, high=0.4)
        yield case(name, (2, 3, 4), (4,), ratio=0.7)
        yield case(name, (1, 6, 5), (6, 1), ratio=1 / 3, const=True)
        # Codes nearer to each other than 2^-8 are equal.
        yield case(name, (40,), (40,), low=0.0003, high=0.001)
        yield case(name, (64,), (), ratio=0.5, low=0.0005, high=0.002, const=True)
