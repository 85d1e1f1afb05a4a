"""Pad and PadV2."""

import numpy as np

from .common import Case, Model, Q, operator, scale, words, zero_point

PADS = [
    ((1, 4, 4, 3), [(0, 0), (1, 1), (1, 1), (0, 0)]),
    ((1, 5, 3, 2), [(0, 0), (0, 1), (0, 2), (0, 0)]),
    ((2, 3, 4, 2), [(1, 0), (0, 2), (3, 1), (1, 2)]),
    ((1, 3, 3, 2), [(0, 0), (0, 0), (0, 0), (2, 5)]),
    ((2, 2, 2, 2), [(0, 0)] * 4),
    ((7,), [(2, 3)]),
    ((1,), [(17, 0)]),
    ((3, 5), [(1, 2), (0, 4)]),
    ((4, 4), [(0, 3), (0, 0)]),
    ((2, 3, 4), [(0, 1), (2, 0), (1, 1)]),
    ((1, 6, 2), [(3, 3), (0, 0), (0, 1)]),
    ((2, 1, 1, 9), [(0, 0), (2, 2), (0, 1), (0, 0)]),
    ((2, 2, 2, 2, 2), [(0, 1), (1, 0), (0, 0), (1, 1), (0, 2)]),
]


def cases(name, value):
    def case(shape, pads, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            q = Q(scale(rng), zero_point(rng, dtype == np.int8)) if dtype != np.float32 else None
            to = [n + a + b for n, (a, b) in zip(shape, pads)]
            x, y = g.input(shape, q, dtype), g.output(to, q, dtype)
            ends, notes = [x, g.ints(pads)], {}
            if value:
                info = np.iinfo(dtype) if q else None
                v = (
                    int(rng.integers(info.min, info.max, endpoint=True))
                    if q
                    else float(np.float32(rng.standard_normal()))
                )
                ends.append(g.const(np.array([v], dtype), q))
                notes["value"] = v
            g.op(name, ends, [y])
            inputs = [[rng.standard_normal(shape).astype(np.float32)]] if not q else []
            return Case(
                model,
                words(input=shape, pads=[f"{a}+{b}" for a, b in pads], dtype=np.dtype(dtype).name, **notes, q=q),
                inputs=inputs,
                may_be_flat=np.prod(shape) < 3,
            )

        return make

    for shape, pads in PADS:
        yield case(shape, pads)
    for dtype in PAD_TYPES:
        yield case(*PADS[2], dtype=dtype)


PAD_TYPES = [np.float32]


@operator
def pad():
    yield from cases("PAD", False)


@operator
def padv2():
    yield from cases("PADV2", True)
