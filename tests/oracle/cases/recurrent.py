"""UnidirectionalSequenceLstm in f32, and in int8 with an int16 cell. Its states live on from one invoke to the next."""

import numpy as np

from .common import Case, Model, Q, operator, scale, words, zero_point

REAL = np.float32
TANH = 4


@operator
def sequence_lstm_f32():
    def case(batch=1, steps=5, depth=4, units=3, clip=10.0, time_major=False, spread=1.0, invokes=2):
        def make(rng):
            model = Model()
            g = model.main
            shape = (steps, batch) if time_major else (batch, steps)
            x = g.input([*shape, depth], dtype=REAL)
            draw = lambda *dims: g.const((rng.standard_normal(dims) * spread).astype(REAL))  # noqa: E731
            weights = [draw(units, depth) for _ in range(4)]
            recurrent = [draw(units, units) for _ in range(4)]
            biases = [draw(units) for _ in range(4)]
            states = [g.tensor([batch, units], dtype=REAL, variable=True) for _ in range(2)]
            ends = [x, *weights, *recurrent, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1]
            y = g.output([*shape, units], dtype=REAL)
            g.op(
                "UNIDIRECTIONAL_SEQUENCE_LSTM",
                ends,
                [y],
                fusedActivationFunction=TANH,
                cellClip=clip,
                projClip=0.0,
                timeMajor=time_major,
            )
            inputs = [[(rng.standard_normal((*shape, depth)) * 2).astype(REAL)] for _ in range(invokes)]
            note = words(batch=batch, steps=steps, depth=depth, units=units, clip=clip, time_major=time_major)
            return Case(model, note, invokes, inputs)

        return make

    yield case()
    yield case(batch=2, clip=0.0)
    yield case(batch=3, steps=4, time_major=True)
    yield case(steps=1, depth=7, units=5, invokes=4)
    yield case(steps=20, depth=2, units=6)
    # Cells that are clipped: gates that are open, and a sequence that is long.
    yield case(steps=40, depth=3, units=4, spread=4.0)


@operator
def sequence_lstm():
    def case(batch=1, steps=5, depth=4, units=3, clip=0.0, time_major=False, power=-11, loud=1.0, invokes=2):
        def make(rng):
            model = Model()
            g = model.main
            shape = (steps, batch) if time_major else (batch, steps)
            x_q, y_q = Q(scale(rng, 0.01, 0.05), zero_point(rng)), Q(scale(rng, 0.004, 0.008), int(rng.integers(-40, 41)))
            x = g.input([*shape, depth], x_q)

            def gates(*dims):
                codes = [rng.integers(-127, 128, dims, dtype=np.int8) for _ in range(4)]
                return [g.const(w, Q(scale(rng, 0.004, 0.02) * loud)) for w in codes]

            weights, recurrent = gates(units, depth), gates(units, units)
            limit = int(2000 * loud)
            biases = [g.ints(rng.integers(-limit, limit, units)) for _ in range(4)]
            hidden = g.tensor([batch, units], y_q, np.int8, variable=True)
            cell = g.tensor([batch, units], Q(2.0**power), np.int16, variable=True)
            ends = [x, *weights, *recurrent, -1, -1, -1, *biases, -1, -1, hidden, cell, -1, -1, -1, -1]
            y = g.output([*shape, units], y_q)
            g.op(
                "UNIDIRECTIONAL_SEQUENCE_LSTM",
                ends,
                [y],
                fusedActivationFunction=TANH,
                cellClip=clip,
                projClip=0.0,
                timeMajor=time_major,
            )
            note = words(
                batch=batch, steps=steps, depth=depth, units=units, clip=clip, time_major=time_major, x=x_q, y=y_q, power=power
            )
            return Case(model, note, invokes)

        return make

    yield case()
    yield case(batch=2, units=9)
    yield case(batch=3, steps=4, time_major=True)
    yield case(steps=1, depth=7, units=5, invokes=4)
    yield case(steps=20, depth=13, units=17)
    yield case(clip=1.5, steps=12, loud=4.0)
    yield case(clip=100.0, steps=8, power=-15)
    yield case(power=-9, steps=16, depth=24, units=6, loud=4.0)
    yield case(power=-12, depth=33, units=20)
    # Sums that saturate.
    yield case(steps=6, depth=60, units=8, loud=60.0)
