"""Resource variables: VarHandle, ReadVariable, AssignVariable, CallOnce with an init subgraph."""

import numpy as np

from graph import RESOURCE

from .common import Case, Model, Q, operator, scale, words, zero_point


def handle(g, name):
    h = g.tensor([], dtype=RESOURCE)
    g.op("VAR_HANDLE", [], [h], container="", sharedName=name)
    return h


def init_graph(model, values):
    """A subgraph that assigns {name: (array, q)}; TFLM runs it once, before the first inference."""
    g = model.graph()
    for name, (value, q) in values.items():
        h = handle(g, name)
        g.op("ASSIGN_VARIABLE", [h, g.const(value, q)], [])
    return len(model.graphs) - 1


@operator
def variables():
    def accumulator(shape, initial):
        """y = state + x; state = y"""

        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.01, 0.05), int(rng.integers(-20, 20)))
            x_q = Q(scale(rng, 0.002, 0.02), zero_point(rng))
            x = g.input(shape, x_q)
            if initial:
                value = rng.integers(-128, 128, shape, dtype=np.int8)
                g.op("CALL_ONCE", [], [], initSubgraphIndex=init_graph(model, {"sum": (value, q)}))
            h = handle(g, "sum")
            held = g.tensor(shape, q)
            g.op("READ_VARIABLE", [h], [held])
            y = g.output(shape, q)
            g.op("ADD", [held, x], [y])
            g.op("ASSIGN_VARIABLE", [h, y], [])
            return Case(model, words(kind="accumulator", shape=shape, call_once=initial), invokes=6)

        return make

    def window(shape, steps, weighted):
        """A ring: state = concat(state[1:], x); the output is the window, or a convolution over it."""

        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.01, 0.05), zero_point(rng))
            c = shape[-1]
            x = g.input([1, 1, c], q)
            zeros = np.full([1, steps, c], q.zero_point[0], np.int8)
            g.op("CALL_ONCE", [], [], initSubgraphIndex=init_graph(model, {"ring": (zeros, q)}))
            h = handle(g, "ring")
            old = g.tensor([1, steps, c], q)
            g.op("READ_VARIABLE", [h], [old])
            tail = g.tensor([1, steps - 1, c], q)
            g.op(
                "STRIDED_SLICE",
                [old, g.ints([0, 1, 0]), g.ints([0, 0, 0]), g.ints([1, 1, 1])],
                [tail],
                beginMask=5,
                endMask=7,
            )
            new = g.tensor([1, steps, c], q) if weighted else g.output([1, steps, c], q)
            g.op("CONCATENATION", [tail, x], [new], axis=1)
            g.op("ASSIGN_VARIABLE", [h, new], [])
            if weighted:
                flat = g.tensor([1, steps * c], q)
                g.op("RESHAPE", [new, g.ints([1, steps * c])], [flat], newShape=[1, steps * c])
                w_q = Q(0.01)
                w = g.const(rng.integers(-127, 128, (5, steps * c), dtype=np.int8), w_q)
                y = g.output([1, 5], Q(float(q.scale[0]) * 0.01 * np.sqrt(steps * c) * 74 * 74 / 40, -3))
                g.op("FULLY_CONNECTED", [flat, w, -1], [y])
            return Case(
                model, words(kind="window", channels=c, steps=steps, fully_connected=weighted), invokes=steps + 3
            )

        return make

    def delay(shape, count):
        """Two variables in a chain: the output is the input of two invokes before."""

        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng, 0.01, 0.05), zero_point(rng))
            x = g.input(shape, q)
            first = {f"d{i}": (rng.integers(-128, 128, shape, dtype=np.int8), q) for i in range(count)}
            g.op("CALL_ONCE", [], [], initSubgraphIndex=init_graph(model, first))
            handles = [handle(g, name) for name in first]
            values = []
            for i, h in enumerate(handles):
                values.append(g.output(shape, q) if i == count - 1 else g.tensor(shape, q))
                g.op("READ_VARIABLE", [h], [values[-1]])
            for h, v in zip(handles, [x, *values]):
                g.op("ASSIGN_VARIABLE", [h, v], [])
            return Case(model, words(kind="delay", shape=shape, variables=count), invokes=count + 4)

        return make

    def order(initial):
        """Read, assign, read again through a second handle: what the program says first happens first."""

        def make(rng):
            model = Model()
            g = model.main
            shape, q = [2, 5], Q(scale(rng, 0.01, 0.05), 10)
            x = g.input(shape, q)
            if initial:
                value = rng.integers(-128, 128, shape, dtype=np.int8)
                g.op("CALL_ONCE", [], [], initSubgraphIndex=init_graph(model, {"v": (value, q)}))
            before, after = g.output(shape, q), g.output(shape, q)
            h = handle(g, "v")
            g.op("READ_VARIABLE", [h], [before])
            g.op("ASSIGN_VARIABLE", [h, x], [])
            again = handle(g, "v")
            g.op("READ_VARIABLE", [again], [after])
            return Case(model, words(kind="read, assign, read", call_once=initial), invokes=3)

        return make

    yield accumulator([1, 8], True)
    yield accumulator([2, 3, 4], True)
    yield accumulator([1, 20], False)
    yield window([3], 4, False)
    yield window([1], 6, False)
    yield window([5], 3, True)
    yield window([2], 10, True)
    yield delay([1, 12], 1)
    yield delay([4, 3], 2)
    yield delay([1, 2, 2, 3], 3)
    yield order(True)
    yield order(False)
