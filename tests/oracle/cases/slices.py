"""What cuts pieces out: Slice, StridedSlice, Split, SplitV, Unpack."""

import numpy as np

from .common import Case, Model, operator, pick, quant, words


@operator
def slice():
    def case(shape, begin, size, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng) if dtype == np.int8 else None
            to = [n - b if s < 0 else s for n, b, s in zip(shape, begin, size)]
            x, y = g.input(shape, q, dtype), g.output(to, q, dtype)
            g.op("SLICE", [x, g.ints(begin), g.ints(size)], [y])
            inputs = [[rng.standard_normal(shape).astype(np.float32)]] if dtype == np.float32 else []
            return Case(model, words(input=shape, begin=begin, size=size, dtype=np.dtype(dtype).name), inputs=inputs)

        return make

    yield case((2, 4, 5, 3), [0, 1, 2, 0], [2, 2, 3, 3])
    yield case((2, 4, 5, 3), [1, 0, 0, 1], [1, -1, 2, -1])
    yield case((2, 4, 5, 3), [0, 0, 0, 0], [-1, -1, -1, -1])
    yield case((2, 4, 5, 3), [1, 3, 4, 2], [1, 1, 1, 1])
    yield case((20,), [3], [9])
    yield case((20,), [19], [-1])
    yield case((5, 6), [2, 1], [3, 4])
    yield case((5, 6), [0, 5], [-1, 1])
    yield case((3, 4, 5), [1, 1, 1], [1, 2, -1])
    yield case((3, 4, 5), [0, 2, 0], [3, -1, 4])
    yield case((2, 2, 3, 2, 3), [0, 1, 1, 0, 1], [2, 1, 2, -1, 2])
    yield case((4, 6), [1, 2], [2, 3], dtype=np.float32)


def extents(shape, begin, end, stride, masks):
    """Output shape of a strided slice, by Python's own slices."""
    to = []
    for i, n in enumerate(shape):
        if masks["shrink"] >> i & 1:
            continue
        b = None if masks["begin"] >> i & 1 else begin[i]
        e = None if masks["end"] >> i & 1 else end[i]
        to.append(len(range(n)[b : e : stride[i]]))
    return to


@operator
def strided_slice():
    def case(shape, begin, end, stride, begin_mask=0, end_mask=0, shrink=0, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng) if dtype == np.int8 else None
            to = extents(shape, begin, end, stride, {"begin": begin_mask, "end": end_mask, "shrink": shrink})
            x, y = g.input(shape, q, dtype), g.output(to, q, dtype)
            g.op(
                "STRIDED_SLICE",
                [x, g.ints(begin), g.ints(end), g.ints(stride)],
                [y],
                beginMask=begin_mask,
                endMask=end_mask,
                shrinkAxisMask=shrink,
            )
            inputs = [[rng.standard_normal(shape).astype(np.float32)]] if dtype == np.float32 else []
            return Case(
                model,
                words(
                    input=shape,
                    begin=begin,
                    end=end,
                    stride=stride,
                    begin_mask=begin_mask,
                    end_mask=end_mask,
                    shrink_axis_mask=shrink,
                    dtype=np.dtype(dtype).name,
                ),
                inputs=inputs,
            )

        return make

    yield case((2, 4, 5, 3), [0, 1, 0, 0], [2, 4, 5, 2], [1, 1, 2, 1])
    yield case((2, 4, 5, 3), [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], begin_mask=15, end_mask=15)
    yield case((2, 4, 5, 3), [1, 1, 1, 1], [2, 3, 4, 3], [1, 2, 2, 1], begin_mask=5, end_mask=10)
    yield case((2, 4, 5, 3), [0, -1, 4, 2], [2, -5, -6, -4], [1, -1, -2, -1])
    yield case((2, 4, 5, 3), [0, 0, 0, 0], [2, 4, 5, 3], [1, -1, -2, 1], begin_mask=6, end_mask=6)
    yield case((2, 4, 5, 3), [-1, -3, -4, -3], [2, -1, -1, 3], [1, 1, 1, 2])
    yield case((2, 4, 5, 3), [1, 0, 0, 0], [2, 4, 5, 3], [1, 1, 1, 1], shrink=1)
    yield case((2, 4, 5, 3), [0, 2, 0, 0], [2, 3, 5, 3], [1, 1, 1, 1], shrink=2)
    yield case((2, 4, 5, 3), [0, 0, -1, 0], [2, 4, 0, 3], [1, 1, 1, 1], shrink=4)
    yield case((2, 4, 5, 3), [1, 0, 0, 2], [2, 4, 5, 3], [1, 1, 1, 1], shrink=9)
    yield case((20,), [2], [18], [3])
    yield case((20,), [18], [1], [-4])
    yield case((20,), [0], [0], [-1], begin_mask=1, end_mask=1)
    yield case((20,), [-100], [100], [1])
    yield case((20,), [100], [-100], [-1])
    yield case((20,), [5], [6], [1], shrink=1)
    yield case((20,), [-3], [-2], [1], shrink=1)
    yield case((5, 6), [1, 5], [5, 0], [2, -1])
    yield case((5, 6), [3, 0], [4, 6], [1, 1], shrink=1)
    yield case((5, 6), [0, 3], [5, 4], [1, 1], shrink=2, begin_mask=1, end_mask=1)
    yield case((3, 4, 5), [0, 1, 4], [3, 4, 0], [1, 2, -3])
    yield case((3, 4, 5), [0, 1, 0], [0, 2, 0], [1, 1, 1], begin_mask=5, end_mask=5, shrink=2)
    yield case((4, 6), [1, 0], [4, 6], [2, 3], dtype=np.float32)
    for _ in range(8):
        yield lambda rng: random_slice(rng, case)(rng)


def random_slice(rng, case):
    shape = [int(n) for n in rng.integers(2, 7, int(rng.integers(1, 5)))]
    stride = [int(pick(rng, 1, 1, 2, 3, -1, -2)) for _ in shape]
    ends = []
    for n, s in zip(shape, stride):
        low, high = sorted(int(v) for v in rng.choice(n + 1, 2, replace=False))
        b, e = (low, high) if s > 0 else (high - 1, low - 1)
        # a negative number counts from the end; -1 as an exclusive end going down can only be said from the end
        b = b - n if rng.random() < 0.5 else b
        e = e - n if e < 0 or (rng.random() < 0.5 and e < n and e > 0) else e
        ends.append((b, e))
    bits = lambda: int(rng.integers(0, 1 << len(shape))) & int(rng.integers(0, 1 << len(shape)))  # noqa: E731
    return case(tuple(shape), [b for b, _ in ends], [e for _, e in ends], stride, bits(), bits())


def many_outputs(rng, g, shape, at, sizes, q):
    return [g.output([*shape[:at], n, *shape[at + 1 :]], q) for n in sizes]


@operator
def split():
    def case(shape, axis, count):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng)
            at = axis % len(shape)
            a = g.ints(axis)
            x = g.input(shape, q)
            g.op("SPLIT", [a, x], many_outputs(rng, g, shape, at, [shape[at] // count] * count, q), numSplits=count)
            return Case(model, words(input=shape, axis=axis, count=count))

        return make

    yield case((1, 4, 3, 6), 3, 2)
    yield case((1, 4, 3, 6), -1, 3)
    yield case((1, 4, 3, 6), 1, 2)
    yield case((1, 4, 3, 6), -2, 3)
    yield case((2, 4, 3, 2), 0, 2)
    yield case((2, 4, 3, 2), -3, 4)
    yield case((24,), 0, 4)
    yield case((24,), -1, 1)
    yield case((6, 4), 0, 3)
    yield case((6, 4), 1, 4)
    yield case((2, 6, 4), 1, 3)
    yield case((2, 6, 4), 2, 2)


@operator
def split_v():
    def case(shape, axis, sizes, written=None):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng)
            at = axis % len(shape)
            x = g.input(shape, q)
            g.op(
                "SPLIT_V",
                [x, g.ints(written or sizes), g.ints(axis)],
                many_outputs(rng, g, shape, at, sizes, q),
                numSplits=len(sizes),
            )
            return Case(model, words(input=shape, axis=axis, sizes=written or sizes))

        return make

    yield case((1, 4, 3, 6), 3, [1, 5])
    yield case((1, 4, 3, 6), -1, [2, 1, 3])
    yield case((1, 4, 3, 6), 1, [3, 1])
    yield case((1, 4, 3, 6), -2, [1, 1, 1])
    yield case((3, 4, 3, 2), 0, [1, 2])
    yield case((2, 5, 3, 2), -3, [4, 1])
    yield case((24,), 0, [7, 1, 16])
    yield case((24,), -1, [24])
    yield case((6, 4), 0, [1, 2, 3])
    yield case((6, 4), 1, [3, 1])
    yield case((2, 6, 4), 1, [2, 4])
    yield case((2, 6, 4), 2, [1, 1, 1, 1])


@operator
def unpack():
    def case(shape, axis):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng)
            at = axis % len(shape)
            x = g.input(shape, q)
            outs = [g.output([*shape[:at], *shape[at + 1 :]], q) for _ in range(shape[at])]
            g.op("UNPACK", [x], outs, axis=axis, num=shape[at])
            return Case(model, words(input=shape, axis=axis))

        return make

    yield case((2, 9), 0)
    yield case((9, 2), 1)
    yield case((5, 3), -1)
    yield case((4, 6), -2)
    yield case((3,), 0)
    yield case((2, 3, 4), 0)
    yield case((2, 3, 4), 1)
    yield case((4, 3, 2), 2)
    yield case((2, 3, 4), -2)
    yield case((2, 3, 2, 4), 1)
    yield case((2, 3, 4, 2), -1)
    yield case((1, 3, 4, 2), 0)
