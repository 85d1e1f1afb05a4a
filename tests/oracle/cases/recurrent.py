"""UnidirectionalSequenceLstm in f32. Its states live on from one invoke to the next."""

import numpy as np

from .common import Case, Model, operator, words

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
