"""Sums, quotients, squares and choices of int8 tensors."""

import numpy as np

from .common import ACTIVATIONS, Case, Model, Q, dequantize, fitted, operator, scale, words, zero_point


def codes(rng, shape):
    return rng.integers(-128, 128, shape, dtype=np.int8)


@operator
def div():
    def case(a_shape, b_shape, act="none", const=False, far=False):
        def make(rng):
            model = Model()
            g = model.main
            a_q = Q(scale(rng, 0.01, 0.08), zero_point(rng))
            b_q = Q(scale(rng, 0.0005, 0.5) if far else scale(rng, 0.01, 0.08), zero_point(rng))
            a, b = codes(rng, a_shape), codes(rng, b_shape)
            # Of small numbers, the kernel shifts by more than 31 bits, which C++ does not define.
            zero = a_q.zero_point[0]
            a = np.where(np.abs(a.astype(int) - zero) < 16, zero + (16 if zero < 0 else -16), a).astype(np.int8)
            # No quotient by 0.
            b = np.where(b == b_q.zero_point[0], b_q.zero_point[0] + (1 if b_q.zero_point[0] < 0 else -1), b)
            b = b.astype(np.int8)
            y_q = fitted(dequantize(a_q, rng.integers(-128, 128, 999)) / dequantize(b_q, rng.choice(b.ravel(), 999)))
            ends = [g.input(a_shape, a_q), g.const(b, b_q) if const else g.input(b_shape, b_q)]
            y = g.output(np.broadcast_shapes(a_shape, b_shape), y_q)
            g.op("DIV", ends, [y], fusedActivationFunction=ACTIVATIONS[act])
            note = words(a=a_shape, b=b_shape, act=act, a_q=a_q, b_q=b_q, y_q=y_q)
            return Case(model, note, inputs=[[a] if const else [a, b]])

        return make

    yield case((3, 40), (3, 40))
    yield case((2, 5, 7), (7,))
    yield case((2, 5, 7), (2, 1, 7), act="relu")
    yield case((6,), (4, 6), act="relu6")
    yield case((3, 40), (3, 40), far=True)
    yield case((3, 40), (), const=True)
    yield case((300,), (300,))


@operator
def squared_difference():
    def case(a_shape, b_shape, const=False, far=False):
        def make(rng):
            model = Model()
            g = model.main
            a_q = Q(scale(rng, 0.01, 0.08), zero_point(rng))
            b_q = Q(scale(rng, 0.0005, 0.5) if far else scale(rng, 0.01, 0.08), zero_point(rng))
            real = [dequantize(q, rng.integers(-128, 128, 999)) for q in (a_q, b_q)]
            y_q = fitted((real[0] - real[1]) ** 2)
            ends = [g.input(a_shape, a_q), g.const(codes(rng, b_shape), b_q) if const else g.input(b_shape, b_q)]
            g.op("SQUARED_DIFFERENCE", ends, [g.output(np.broadcast_shapes(a_shape, b_shape), y_q)])
            return Case(model, words(a=a_shape, b=b_shape, a_q=a_q, b_q=b_q, y_q=y_q))

        return make

    yield case((3, 40), (3, 40))
    yield case((2, 5, 7), (7,))
    yield case((2, 5, 7), (2, 1, 7))
    yield case((3, 40), (3, 40), far=True)
    yield case((3, 40), (40,), const=True)


@operator
def l2_normalization():
    def case(shape, spread=128):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng), zero_point(rng))
            g.op("L2_NORMALIZATION", [g.input(shape, q)], [g.output(shape, Q(1 / 128, 0))])
            x = codes(rng, shape)
            if spread < 128:
                x = np.clip(q.zero_point[0] + rng.integers(-spread, spread + 1, shape), -128, 127).astype(np.int8)
            return Case(model, words(input=shape, q=q), inputs=[[x]])

        return make

    yield case((1, 128))
    yield case((3, 5, 7))
    yield case((2, 2, 3, 64))
    yield case((4, 9), spread=2)
    yield case((40, 1))
    yield case((2, 9000))


@operator
def log_softmax():
    def case(shape, low=0.002, high=0.2, spread=128):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, low, high), zero_point(rng))
            g.op("LOG_SOFTMAX", [g.input(shape, q)], [g.output(shape, Q(16 / 256, 127))])
            x = rng.integers(-spread, spread, shape).astype(np.int8)
            return Case(model, words(input=shape, q=q), inputs=[[x]])

        return make

    yield case((1, 10))
    yield case((3, 5, 12))
    yield case((2, 300), high=0.02)
    yield case((4, 7), low=0.5, high=2.0)
    yield case((4, 7), low=0.0005, high=0.001)
    yield case((2, 4000), high=0.01, spread=20)


@operator
def add_n():
    def case(shape, count):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.01, 0.08), zero_point(rng))
            y_q = fitted(dequantize(q, rng.integers(-128, 128, (count, 999))).sum(0))
            g.op("ADD_N", [g.input(shape, q) for _ in range(count)], [g.output(shape, y_q)])
            return Case(model, words(input=shape, count=count, q=q, y_q=y_q))

        return make

    yield case((3, 40), 2)
    yield case((1, 4, 5, 3), 3)
    yield case((24,), 5)


@operator
def cumsum():
    def case(shape, axis, exclusive=False, reverse=False):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.01, 0.08), int(rng.integers(-9, 10)))
            real = dequantize(q, rng.integers(-128, 128, (99, shape[axis]))).cumsum(1)
            y_q = fitted(real.ravel())
            ends = [g.input(shape, q), g.ints(axis)], [g.output(shape, y_q)]
            g.op("CUMSUM", *ends, exclusive=exclusive, reverse=reverse)
            return Case(model, words(input=shape, axis=axis, exclusive=exclusive, reverse=reverse, q=q, y_q=y_q))

        return make

    yield case((3, 40), 1)
    yield case((3, 40), 0)
    yield case((2, 5, 7), 1, exclusive=True)
    yield case((2, 5, 7), -1, reverse=True)
    yield case((9, 4), 0, exclusive=True, reverse=True)


@operator
def sum():  # noqa: A001 (the operator's name)
    def case(shape, axes, keep=False):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.01, 0.08), int(rng.integers(-9, 10)))
            count = int(np.prod([shape[axis] for axis in axes]))
            y_q = fitted(dequantize(q, rng.integers(-128, 128, (999, count))).sum(1))
            to = np.zeros(shape).sum(tuple(axes), keepdims=keep).shape
            g.op("SUM", [g.input(shape, q), g.ints(axes)], [g.output(to, y_q)], keepDims=keep)
            return Case(model, words(input=shape, axes=tuple(axes), keep=keep, q=q, y_q=y_q))

        return make

    yield case((3, 40), (1,))
    yield case((40, 3), (0,), keep=True)
    yield case((2, 5, 6, 4), (1, 2))
    yield case((2, 5, 6, 4), (1, 2), keep=True)
    yield case((2, 5, 6, 4), (0, 3))
    yield case((2, 3, 4), (-1, 1))
    yield case((4, 5), (0, 1))


@operator
def select():
    def case(name, condition, a, b):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng), zero_point(rng))
            ends = [g.input(condition, dtype=np.bool_), g.input(a, q), g.input(b, q)]
            g.op(name, ends, [g.output(np.broadcast_shapes(condition, a, b), q)])
            truths = rng.integers(0, 2, condition).astype(np.bool_)
            note = words(operator=name, condition=condition, a=a, b=b)
            return Case(model, note, inputs=[[truths, codes(rng, a), codes(rng, b)]])

        return make

    yield case("SELECT_V2", (3, 4), (3, 4), (3, 4))
    yield case("SELECT_V2", (3, 1), (3, 4), (4,))
