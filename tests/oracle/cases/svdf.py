"""Svdf: a streaming operator; several invokes in a row keep the state."""

import numpy as np

from .common import ACTIVATIONS, Case, Model, Q, operator, scale, words, zero_point


@operator
def svdf():
    def case(batches=1, features=8, units=4, rank=1, memory=6, act="none", state=np.int16, invokes=None):
        def make(rng):
            model = Model()
            g = model.main
            filters = units * rank
            wide = state == np.int16
            x_q = Q(scale(rng, 0.01, 0.1), zero_point(rng))
            wf_q = Q(scale(rng, 0.005, 0.02))
            dot = float(x_q.scale[0] * wf_q.scale[0]) * np.sqrt(features) * 74 * 74
            s_q = Q(dot / (8000 if wide else 40))
            wt_q = Q(scale(rng, 0.00002, 0.0001) if wide else scale(rng, 0.005, 0.02))
            spread = 19000 if wide else 74
            y_s = dot * np.sqrt(memory * rank) * spread * float(wt_q.scale[0]) / 50
            if act in ("relu6", "relu_n1_to_1"):
                y_s = float(rng.uniform(0.015, 0.05))
                wt_q = Q(y_s * 50 / (dot * np.sqrt(memory * rank) * spread))
            y_q = Q(y_s, int(rng.integers(-60, 60)) if act == "none" else {"relu": -128}.get(act, -20))
            x = g.input([batches, features], x_q)
            wf = g.const(rng.integers(-128, 128, (filters, features), dtype=np.int8), wf_q)
            info = np.iinfo(state)
            wt = g.const(rng.integers(info.min, info.max, (filters, memory), dtype=state), wt_q)
            b_q = Q(np.float32(s_q.scale[0] * wt_q.scale[0]))
            limit = int(50 * y_s / float(b_q.scale[0]))
            b = g.const(rng.integers(-limit, limit, units, endpoint=True).astype(np.int32), b_q)
            held = g.tensor([batches, filters * memory], s_q, state, variable=True)
            y = g.output([batches, units], y_q)
            g.op("SVDF", [x, wf, wt, b, held], [y], rank=rank, fusedActivationFunction=ACTIVATIONS[act])
            n = invokes or memory + 3
            return Case(
                model,
                words(
                    input=(batches, features),
                    units=units,
                    rank=rank,
                    memory=memory,
                    act=act,
                    state=np.dtype(state).name,
                    x=x_q,
                    state_scale=s_q,
                    y=y_q,
                ),
                invokes=n,
            )

        return make

    yield case()
    yield case(rank=2, units=3)
    yield case(batches=2, units=5)
    yield case(batches=3, features=3, units=2, rank=2, memory=4)
    yield case(act="relu")
    yield case(act="relu6", units=8)
    yield case(act="relu_n1_to_1", units=8)
    yield case(features=1, units=6, memory=3)
    yield case(features=20, units=17, memory=2)
    yield case(memory=1, units=6)
    yield case(memory=10, units=2, rank=4, batches=2)
    yield case(rank=3, memory=8, features=5, act="relu")
    yield case(state=np.int8)
    yield case(state=np.int8, rank=2, batches=2, units=3)
    yield case(state=np.int8, memory=3, units=6, act="relu6")
    yield case(state=np.int8, act="relu", rank=2)
    yield case(state=np.int8, memory=1, features=12, units=7)
