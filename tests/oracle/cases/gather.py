"""What takes elements by index, repeats them and reverses them: Gather, GatherNd, EmbeddingLookup, BroadcastTo,
MirrorPad, ReverseV2, ZerosLike."""

import numpy as np

from .common import Case, Model, operator, quant, words

REAL = np.float32


def values(rng, g, shape, to, dtype):
    """Input and output of one type and quantization, and the inputs' elements; empty: any bytes."""
    if dtype == np.int8:
        q = quant(rng)
        return g.input(shape, q), g.output(to, q), []
    if dtype == np.int32:
        x = rng.integers(-1000, 1000, shape, np.int32)
        return g.input(shape, dtype=dtype), g.output(to, dtype=dtype), [[x]]
    x = (rng.standard_normal(shape) * 3).astype(REAL)
    return g.input(shape, dtype=REAL), g.output(to, dtype=REAL), [[x]]


@operator
def gather():
    def case(shape, indices, axis=0, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            indices_ = np.array(indices, np.int32)
            at = axis % len(shape)
            to = [*shape[:at], *indices_.shape, *shape[at + 1 :]]
            x, y, inputs = values(rng, g, shape, to, dtype)
            g.op("GATHER", [x, g.ints(indices)], [y], axis=axis, batchDims=0)
            note = words(input=shape, indices=indices_.shape, axis=axis, dtype=np.dtype(dtype).name)
            return Case(model, note, inputs=inputs)

        return make

    def batched(shape, indices, axis, batch_dims, dtype=np.int8):
        """Each batch has indices of its own."""

        def make(rng):
            model = Model()
            g = model.main
            indices_ = rng.integers(0, shape[axis], indices, np.int32)
            batches = batch_dims if batch_dims >= 0 else batch_dims + len(indices)
            to = [*shape[:axis], *indices[batches:], *shape[axis + 1 :]]
            x, y, inputs = values(rng, g, shape, to, dtype)
            g.op("GATHER", [x, g.ints(indices_)], [y], axis=axis, batchDims=batch_dims)
            note = words(input=shape, indices=indices, axis=axis, batch_dims=batch_dims, dtype=np.dtype(dtype).name)
            return Case(model, note, inputs=inputs)

        return make

    def table(shape, count, dtype=np.int8):
        """Rows of a constant table, whose indices are computed."""

        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng) if dtype == np.int8 else None
            rows = rng.integers(-128, 128, shape) if q else rng.standard_normal(shape) * 3
            indices = g.input([count], dtype=np.int32)
            y = g.output([count, *shape[1:]], q, dtype)
            g.op("GATHER", [g.const(rows, q, dtype), indices], [y], axis=0, batchDims=0)
            inputs = [[rng.integers(0, shape[0], count, np.int32)]]
            return Case(model, words(table=shape, count=count, dtype=np.dtype(dtype).name), inputs=inputs)

        return make

    for dtype in (np.int8, REAL):
        yield case((5, 3), [4, 0, 2], dtype=dtype)
        yield case((2, 6, 3), [5, 3, 1, 0, 0], axis=1, dtype=dtype)
        yield case((2, 3, 2, 5), [[0, 1], [4, 2]], axis=-1, dtype=dtype)
        yield case((9,), [8, 7, 6, 5, 1, 2, 3], dtype=dtype)
        yield case((4, 7), 2, axis=1, dtype=dtype)
        yield table((11, 8), 5, dtype=dtype)
        yield table((300, 3, 2), 20, dtype=dtype)
    for dtype in (np.int8, REAL):
        yield batched((3, 5, 4), (3, 2), 1, 1, dtype=dtype)
        yield batched((2, 3, 6, 2), (2, 3, 4), 2, -1, dtype=dtype)
        yield batched((2, 3, 6), (2, 4), 2, 1, dtype=dtype)
        yield batched((2, 2, 3, 4), (2, 2), 2, 2, dtype=dtype)


@operator
def gather_nd():
    def case(shape, indices, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            indices_ = np.array(indices, np.int32)
            to = [*indices_.shape[:-1], *shape[indices_.shape[-1] :]]
            x, y, inputs = values(rng, g, shape, to, dtype)
            g.op("GATHER_ND", [x, g.ints(indices)], [y])
            note = words(input=shape, indices=indices_.shape, dtype=np.dtype(dtype).name)
            return Case(model, note, inputs=inputs)

        return make

    for dtype in (np.int8, REAL):
        yield case((5, 3), [[4], [0], [2]], dtype=dtype)
        yield case((3, 4, 6), [[2, 3], [0, 1], [1, 1]], dtype=dtype)
        yield case((2, 3, 4), [[[0, 0, 3], [1, 2, 0]], [[1, 1, 1], [0, 2, 2]]], dtype=dtype)
        yield case((7, 2), [[[0], [1], [2]], [[4], [5], [6]]], dtype=dtype)


@operator
def embedding_lookup():
    def case(shape, count, dtype=REAL):
        def make(rng):
            model = Model()
            g = model.main
            q = quant(rng) if dtype == np.int8 else None
            rows = rng.integers(-128, 128, shape) if q else rng.standard_normal(shape) * 3
            indices = g.input([count], dtype=np.int32)
            g.op("EMBEDDING_LOOKUP", [indices, g.const(rows, q, dtype)], [g.output([count, *shape[1:]], q, dtype)])
            inputs = [[rng.integers(0, shape[0], count, np.int32)]]
            return Case(model, words(table=shape, count=count, dtype=np.dtype(dtype).name), inputs=inputs)

        return make

    yield case((10, 4), 6)
    yield case((50, 2, 3), 7)
    yield case((10, 4), 6, np.int8)
    yield case((33, 5), 1, np.int8)


@operator
def broadcast_to():
    def case(shape, to, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            x, y, inputs = values(rng, g, shape, to, dtype)
            g.op("BROADCAST_TO", [x, g.ints(to)], [y])
            note = words(input=shape, to=to, dtype=np.dtype(dtype).name)
            return Case(model, note, inputs=inputs, may_be_flat=np.prod(shape) < 3)

        return make

    for dtype in (np.int8, REAL, np.int32):
        yield case((1, 3), (2, 3), dtype=dtype)
        yield case((3, 1, 2), (4, 3, 5, 2), dtype=dtype)
        yield case((1,), (2, 3), dtype=dtype)
        yield case((5, 1), (5, 130), dtype=dtype)
        yield case((2, 2), (2, 2), dtype=dtype)


@operator
def mirror_pad():
    def case(shape, pads, mode, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            to = [n + a + b for n, (a, b) in zip(shape, pads)]
            x, y, inputs = values(rng, g, shape, to, dtype)
            g.op("MIRROR_PAD", [x, g.ints(pads)], [y], mode=mode)
            note = words(input=shape, pads=[f"{a}+{b}" for a, b in pads], mode=mode, dtype=np.dtype(dtype).name)
            return Case(model, note, inputs=inputs)

        return make

    for dtype in (np.int8, REAL):
        for mode in (0, 1):
            yield case((1, 5, 4, 2), [(0, 0), (2, 1), (1, 3), (0, 0)], mode, dtype)
            yield case((4, 3), [(3, 0), (1, 2)], mode, dtype)
            yield case((1, 200), [(0, 0), (90, 199)], mode, dtype)
            yield case((6,), [(0, 5)], mode, dtype)


@operator
def reverse():
    def case(shape, axes, dtype=np.int8):
        def make(rng):
            model = Model()
            g = model.main
            x, y, inputs = values(rng, g, shape, shape, dtype)
            g.op("REVERSE_V2", [x, g.ints(axes)], [y])
            return Case(model, words(input=shape, axes=axes, dtype=np.dtype(dtype).name), inputs=inputs)

        return make

    for dtype in (np.int8, REAL):
        yield case((9,), (0,), dtype)
        yield case((3, 4), (1,), dtype)
        yield case((2, 3, 4), (0,), dtype)
        yield case((2, 3, 4, 5), (-2,), dtype)
        yield case((2, 3, 4), (0, 1), dtype)
        yield case((2, 3, 4), (1, 2), dtype)


@operator
def zeros_like():
    def case(shape, dtype):
        def make(rng):
            model = Model()
            g = model.main
            x = g.input(shape, dtype=dtype)
            zeros, y = g.tensor(shape, dtype=dtype), g.output(shape, dtype=dtype)
            g.op("ZEROS_LIKE", [x], [zeros])
            g.op("ADD", [x, zeros], [y])
            return Case(model, words(input=shape), inputs=[[(rng.standard_normal(shape) * 3).astype(dtype)]])

        return make

    yield case((2, 5), REAL)
    yield case((1, 3, 2, 2), REAL)
