"""FullyConnected: weights per tensor (with a zero point too) and per channel. BatchMatMul."""

import numpy as np

from .common import ACTIVATIONS, Case, Model, Q, dequantize, fitted, operator, quant, scale, words, zero_point
from .conv import random_codes, weighted_layer


@operator
def fully_connected():
    def case(
        shape=(1, 12),
        units=10,
        keep=False,
        act="none",
        per_channel=False,
        bias=True,
        w_zero=0,
        x_zero=None,
        hot=False,
        absent_bias=False,
        bits=8,
    ):
        def make(rng):
            model = Model()
            g = model.main
            features = shape[-1]
            x_q = Q(scale(rng, 0.01, 0.1), zero_point(rng) if x_zero is None else x_zero)
            x = g.input(shape, x_q)
            weights = random_codes(rng, (units, features), bits)
            w, b, y_q = weighted_layer(rng, g, x_q, weights, features, 0, units, act, per_channel, bias, hot, bits=bits)
            if w_zero:
                g.tensors[w].quantization.zeroPoint = [w_zero]
            batches = int(np.prod(shape[:-1]))
            y = g.output([*shape[:-1], units] if keep else [batches, units], y_q)
            g.op(
                "FULLY_CONNECTED",
                [x, w] + ([b] if bias or absent_bias else []),
                [y],
                keepNumDims=keep,
                fusedActivationFunction=ACTIVATIONS[act],
            )
            return Case(
                model,
                words(
                    input=shape,
                    units=units,
                    keep_num_dims=keep,
                    act=act,
                    per_channel=per_channel,
                    bias=bias,
                    weights_zero_point=w_zero,
                    x=x_q,
                    y=y_q,
                    **({} if bits == 8 else {"weights": f"int{bits}"}),
                ),
            )

        return make

    yield case()
    yield case(shape=(3, 9), units=7)
    yield case(shape=(16,), units=5)
    yield case(shape=(2, 3, 8), units=4)
    yield case(shape=(2, 3, 8), units=4, keep=True)
    yield case(shape=(2, 2, 2, 5), units=6)
    yield case(shape=(1, 3, 2, 7), units=3, keep=True)
    yield case(bias=False)
    yield case(bias=False, absent_bias=True, units=17)
    yield case(per_channel=True)
    yield case(per_channel=True, shape=(4, 11), units=6, act="relu")
    yield case(per_channel=True, bias=False, shape=(2, 20), units=9)
    yield case(w_zero=7, shape=(2, 10))
    yield case(w_zero=-128, shape=(3, 6))
    yield case(w_zero=127, bias=False, units=20)
    yield case(w_zero=-11, shape=(2, 2, 6), act="relu6", keep=True)
    yield case(act="relu", shape=(2, 12))
    yield case(act="relu6", shape=(2, 12))
    yield case(act="relu_n1_to_1", shape=(2, 12))
    yield case(shape=(1, 1), units=33)
    yield case(shape=(2, 64), units=1)
    yield case(shape=(1, 130), units=12, x_zero=-128)
    yield case(x_zero=127, shape=(5, 3), units=3)
    yield case(hot=True, shape=(2, 4), units=16)
    yield case(bits=4)
    yield case(bits=4, shape=(3, 9), units=7, act="relu")
    yield case(bits=4, shape=(2, 131), units=9)
    yield case(bits=4, shape=(1, 1), units=33)
    yield case(bits=4, w_zero=3, shape=(2, 11), units=5)
    yield case(bits=4, bias=False, shape=(2, 3, 8), units=4, keep=True)


@operator
def batch_matmul():
    def case(a_shape, b_shape, x=False, y=False, constant=False):
        def make(rng):
            model = Model()
            g = model.main
            a_q, b_q = quant(rng), quant(rng)
            a, b = (rng.integers(-128, 128, shape, dtype=np.int8) for shape in (a_shape, b_shape))
            product = np.matmul(
                dequantize(a_q, a.swapaxes(-1, -2) if x else a), dequantize(b_q, b.swapaxes(-1, -2) if y else b)
            )
            y_q = fitted(product)
            right = g.const(b, b_q) if constant else g.input(b_shape, b_q)
            left = g.input(a_shape, a_q)
            g.op("BATCH_MATMUL", [left, right], [g.output(product.shape, y_q)], adjX=x, adjY=y)
            note = words(a=a_shape, b=b_shape, adj_x=x, adj_y=y, a_q=a_q, b_q=b_q, y_q=y_q)
            return Case(model, note, inputs=[[a] if constant else [b, a]])

        return make

    yield case((3, 4), (4, 5))
    yield case((2, 3, 4), (2, 4, 5))
    yield case((2, 3, 4), (2, 5, 4), y=True)
    yield case((2, 4, 3), (2, 4, 5), x=True)
    yield case((2, 4, 3), (2, 5, 4), x=True, y=True)
    yield case((2, 2, 1, 7), (2, 2, 7, 3))
    yield case((3, 2, 4), (1, 4, 5))
    yield case((1, 2, 4), (3, 4, 5))
    yield case((1, 6, 9), (1, 8, 9), y=True, constant=True)
    yield case((2, 3, 4), (4, 5), constant=True)
    yield case((1, 300), (300, 4))
    yield case((8, 17), (9, 17), y=True)
    # Matrices that are repeated along one dimension of several.
    yield case((2, 1, 3, 4), (1, 3, 4, 2))
    yield case((2, 1, 4, 3), (2, 3, 4, 2), x=True)
    yield case((4, 1, 3, 4), (2, 5, 4), y=True)
