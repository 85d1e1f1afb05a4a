"""Conv2d and DepthwiseConv2d."""

import numpy as np

from .common import ACTIVATIONS, PADDING, Case, Model, Q, elements, operator, pick, scale, words, zero_point

STD = 73.9  # standard deviation of a uniform random byte


def output_size(size, kernel, stride, dilation, padding):
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else -(-(size - reach + 1) // stride)


def weighted_layer(rng, g, x_q, weights, taps, axis, channels, activation, per_channel, bias, hot, bias_q=True, bits=8):
    """Weights and bias constants, and output quantization under which most outputs do not saturate."""
    # With these ReLU6 and ReLU1 cut inside the int8 range.
    out_scale = scale(rng, 0.01, 0.06)
    out_zero = (
        {"relu": -128, "relu6": -128}.get(activation, int(rng.integers(-30, 31)))
        if rng.random() < 0.8
        else zero_point(rng)
    )
    spread = float(np.std(weights.astype(np.float64))) or 1.0
    w_scale = float(out_scale) * (75 if hot else 40) / (np.sqrt(taps) * STD * spread * float(x_q.scale[0]))
    w_scales = w_scale * rng.uniform(0.4, 1.3, channels if per_channel else 1)
    w = (g.const if bits == 8 else g.int4)(weights, Q(w_scales, 0, axis))
    b = -1
    if bias:
        b_scales = (w_scales.astype(np.float32) * x_q.scale[0]).astype(np.float32)
        limit = np.sqrt(taps) * STD * spread
        values = rng.integers(int(-limit), int(limit), channels, endpoint=True).astype(np.int32)
        b = g.const(values, Q(b_scales, 0) if bias_q else None)
    return w, b, Q(out_scale, out_zero)


def random_codes(rng, shape, bits):
    """Codes of weights of so many bits. Those of 8 are symmetric, as converters write them."""
    return rng.integers(-127, 128, shape, dtype=np.int8) if bits == 8 else rng.integers(-8, 8, shape, dtype=np.int8)


@operator
def conv2d():
    def case(
        n=1,
        h=6,
        w=6,
        c=3,
        o=4,
        k=(3, 3),
        stride=(1, 1),
        dilation=(1, 1),
        padding="SAME",
        act="none",
        per_channel=True,
        bias=True,
        groups=1,
        x_zero=None,
        hot=False,
        bits=8,
    ):
        def make(rng):
            model = Model()
            g = model.main
            x_q = Q(scale(rng, 0.01, 0.1), zero_point(rng) if x_zero is None else x_zero)
            x = g.input([n, h, w, c], x_q)
            weights = random_codes(rng, (o, *k, c // groups), bits)
            wt, b, y_q = weighted_layer(
                rng, g, x_q, weights, k[0] * k[1] * c // groups, 0, o, act, per_channel, bias, hot, bits=bits
            )
            out = [output_size(s, *p, padding) for s, *p in zip((h, w), k, stride, dilation)]
            y = g.output([n, *out, o], y_q)
            g.op(
                "CONV_2D",
                [x, wt] + ([b] if bias else []),
                [y],
                padding=PADDING[padding],
                strideH=stride[0],
                strideW=stride[1],
                dilationHFactor=dilation[0],
                dilationWFactor=dilation[1],
                fusedActivationFunction=ACTIVATIONS[act],
            )
            return Case(
                model,
                words(
                    input=(n, h, w, c),
                    filter=(o, *k, c // groups),
                    stride=stride,
                    dilation=dilation,
                    padding=padding,
                    act=act,
                    groups=groups,
                    per_channel=per_channel,
                    bias=bias,
                    x=x_q,
                    y=y_q,
                    **({} if bits == 8 else {"weights": f"int{bits}"}),
                ),
            )

        return make

    yield case()
    yield case(padding="VALID")
    yield case(k=(1, 1), c=8, o=5)
    yield case(k=(1, 1), stride=(2, 2), h=7, w=5, c=4)
    yield case(stride=(2, 2))
    yield case(stride=(2, 1), h=7, w=4, padding="VALID")
    yield case(stride=(1, 3), h=5, w=9, k=(2, 3))
    yield case(stride=(3, 2), h=9, w=8, k=(2, 2))
    yield case(dilation=(2, 2), h=8, w=7)
    yield case(dilation=(2, 1), h=7, w=5, padding="VALID")
    yield case(dilation=(1, 3), h=5, w=9, stride=(1, 1))
    yield case(dilation=(2, 2), stride=(2, 2), h=9, w=9, k=(2, 3))
    yield case(n=2)
    yield case(n=3, h=4, w=5, c=2, o=3, stride=(2, 2), padding="VALID")
    yield case(groups=2, c=4, o=6)
    yield case(groups=4, c=4, o=4, n=2, k=(3, 2))
    yield case(groups=3, c=6, o=3, stride=(2, 2), padding="VALID", act="relu6")
    yield case(bias=False)
    yield case(bias=False, per_channel=False, padding="VALID", k=(2, 2))
    yield case(per_channel=False)
    yield case(per_channel=False, act="relu")
    yield case(act="relu")
    yield case(act="relu6")
    yield case(act="relu_n1_to_1")
    yield case(h=2, w=2, k=(5, 5))
    yield case(h=1, w=1, k=(3, 3), c=9, o=17)
    yield case(h=9, w=2, k=(4, 3), stride=(2, 2))
    yield case(h=1, w=12, k=(1, 5), c=2, o=3)
    yield case(h=12, w=1, k=(4, 1), c=2, o=3, padding="VALID")
    yield case(c=1, o=1, k=(5, 3), h=8, w=8)
    yield case(c=17, o=3, k=(2, 2), h=4, w=4)
    yield case(h=5, w=7, k=(5, 7), padding="VALID", c=2, o=20)
    yield case(x_zero=-128, act="relu")
    yield case(x_zero=127)
    yield case(hot=True)
    yield case(hot=True, c=1, o=2, k=(1, 1), h=4, w=8)
    for _ in range(4):
        yield lambda rng: random_conv(rng, case)(rng)
    yield case(bits=4)
    yield case(bits=4, c=5, o=7, k=(3, 2), padding="VALID", act="relu")
    yield case(bits=4, k=(1, 1), c=9, o=6)
    yield case(bits=4, per_channel=False, stride=(2, 2), n=2, act="relu6")
    yield case(bits=4, groups=2, c=6, o=10, dilation=(2, 1), h=8, x_zero=-128)
    yield case(bits=4, h=3, w=4, c=33, o=37, bias=False)
    yield case(bits=4, h=12, w=1, k=(4, 1), c=3, o=3)
    # Filters of more than 1024 weights.
    yield case(bits=4, h=4, w=3, c=121, o=5)
    yield case(bits=4, h=5, w=4, groups=2, c=230, o=6, stride=(2, 1), dilation=(1, 2), x_zero=127)


def random_conv(rng, case):
    groups = pick(rng, 1, 1, 2)
    return case(
        n=pick(rng, 1, 2), h=int(rng.integers(1, 11)), w=int(rng.integers(1, 11)), c=groups * int(rng.integers(1, 5)), o=groups * int(rng.integers(1, 5)),
        k=tuple(map(int, rng.integers(1, 5, 2))), stride=tuple(map(int, rng.integers(1, 4, 2))), dilation=pick(rng, (1, 1), (2, 1), (2, 3)),
        act=pick(rng, "none", "relu", "relu6", "relu_n1_to_1"), groups=groups, per_channel=pick(rng, True, False), bias=pick(rng, True, False),
    )  # fmt: skip


@operator
def depthwise_conv2d():
    def case(
        n=1,
        h=6,
        w=6,
        c=4,
        m=1,
        k=(3, 3),
        stride=(1, 1),
        dilation=(1, 1),
        padding="SAME",
        act="none",
        per_channel=True,
        bias=True,
        x_zero=None,
        hot=False,
        bits=8,
    ):
        def make(rng):
            model = Model()
            g = model.main
            x_q = Q(scale(rng, 0.01, 0.1), zero_point(rng) if x_zero is None else x_zero)
            x = g.input([n, h, w, c], x_q)
            weights = random_codes(rng, (1, *k, c * m), bits)
            wt, b, y_q = weighted_layer(
                rng, g, x_q, weights, elements(k), 3, c * m, act, per_channel, bias, hot, bits=bits
            )
            out = [output_size(s, *p, padding) for s, *p in zip((h, w), k, stride, dilation)]
            y = g.output([n, *out, c * m], y_q)
            g.op(
                "DEPTHWISE_CONV_2D",
                [x, wt] + ([b] if bias else []),
                [y],
                padding=PADDING[padding],
                strideH=stride[0],
                strideW=stride[1],
                dilationHFactor=dilation[0],
                dilationWFactor=dilation[1],
                depthMultiplier=m,
                fusedActivationFunction=ACTIVATIONS[act],
            )
            return Case(
                model,
                words(
                    input=(n, h, w, c),
                    filter=(1, *k, c * m),
                    multiplier=m,
                    stride=stride,
                    dilation=dilation,
                    padding=padding,
                    act=act,
                    per_channel=per_channel,
                    bias=bias,
                    x=x_q,
                    y=y_q,
                    **({} if bits == 8 else {"weights": f"int{bits}"}),
                ),
            )

        return make

    yield case()
    yield case(padding="VALID")
    yield case(m=2, c=3)
    yield case(m=3, c=2, n=2)
    yield case(m=8, c=1, h=9, w=7, k=(5, 4), stride=(2, 2))
    yield case(m=5, c=3, padding="VALID")
    yield case(stride=(2, 2))
    yield case(stride=(2, 1), h=7, w=4, padding="VALID")
    yield case(stride=(1, 3), h=5, w=9, k=(2, 3))
    yield case(stride=(3, 3), h=10, w=8, k=(2, 2), m=2)
    yield case(dilation=(2, 2), h=8, w=7)
    yield case(dilation=(3, 1), h=9, w=4, padding="VALID", m=2)
    yield case(dilation=(2, 2), stride=(2, 2), h=9, w=9, k=(2, 3))
    yield case(n=2)
    yield case(n=3, h=4, w=5, c=3, m=2, stride=(2, 2), act="relu6")
    yield case(bias=False)
    yield case(bias=False, per_channel=False, padding="VALID")
    yield case(per_channel=False, m=2)
    yield case(act="relu")
    yield case(act="relu6")
    yield case(act="relu_n1_to_1")
    yield case(h=2, w=2, k=(5, 5))
    yield case(h=1, w=1, k=(3, 3), c=19)
    yield case(h=25, w=1, k=(10, 1), c=2, stride=(2, 1))
    yield case(h=5, w=5, k=(5, 5), padding="VALID", c=18)
    yield case(k=(1, 1), c=5)
    yield case(c=33, h=3, w=3)
    yield case(x_zero=-128, act="relu")
    yield case(x_zero=127)
    yield case(hot=True, c=6, k=(1, 2))
    for _ in range(4):
        yield lambda rng: random_depthwise(rng, case)(rng)
    yield case(bits=4)
    yield case(bits=4, c=7, padding="VALID", act="relu")
    yield case(bits=4, m=3, c=5, stride=(2, 2))
    yield case(bits=4, c=131, h=3, w=3, x_zero=-128)
    yield case(bits=4, per_channel=False, n=2, dilation=(2, 2), h=8, w=7, bias=False)
    yield case(bits=4, h=25, w=1, k=(10, 1), c=3, stride=(2, 1))
    # So many taps that those of eight channels are not unpacked together.
    yield case(bits=4, h=13, w=12, k=(12, 11), c=11, act="relu6")


def random_depthwise(rng, case):
    return case(
        n=pick(rng, 1, 2), h=int(rng.integers(1, 11)), w=int(rng.integers(1, 11)), c=int(rng.integers(1, 7)), m=pick(rng, 1, 1, 2, 3),
        k=tuple(map(int, rng.integers(1, 5, 2))), stride=tuple(map(int, rng.integers(1, 4, 2))), dilation=pick(rng, (1, 1), (2, 1), (2, 3)),
        act=pick(rng, "none", "relu", "relu6", "relu_n1_to_1"), per_channel=pick(rng, True, False), bias=pick(rng, True, False),
    )  # fmt: skip


@operator
def conv_transpose2d():
    def case(n=1, h=4, w=5, c=3, o=4, k=(3, 3), stride=(2, 2), padding="SAME", per_channel=True, bias=True, size=None):
        def make(rng):
            model = Model()
            g = model.main
            x_q = Q(scale(rng, 0.01, 0.1), zero_point(rng))
            x = g.input([n, h, w, c], x_q)
            weights = rng.integers(-127, 128, (o, *k, c), dtype=np.int8)
            taps = max(1, k[0] * k[1] * c // (stride[0] * stride[1]))
            wt, b, y_q = weighted_layer(rng, g, x_q, weights, taps, 0, o, "none", per_channel, bias, False)
            grown = [s * d if padding == "SAME" else s * d + max(t - d, 0) for s, d, t in zip((h, w), stride, k)]
            shape = [n, *(size or grown), o]
            y = g.output(shape, y_q)
            options = dict(padding=PADDING[padding], strideH=stride[0], strideW=stride[1])
            g.op("TRANSPOSE_CONV", [g.ints(shape), wt, x] + ([b] if bias else []), [y], **options)
            note = words(input=(n, h, w, c), filter=(o, *k, c), stride=stride, padding=padding, output=shape, x=x_q, y=y_q)
            return Case(model, note)

        return make

    yield case()
    yield case(padding="VALID", bias=False)
    yield case(n=2, stride=(1, 1), c=5, o=2)
    yield case(k=(2, 2), padding="VALID", per_channel=False)
    yield case(k=(4, 3), stride=(2, 1), h=3, w=7)
    yield case(k=(1, 1), stride=(3, 2), bias=False)
    yield case(k=(5, 5), stride=(1, 2), h=2, w=2)
    yield case(k=(2, 3), stride=(3, 3), padding="VALID")
    yield case(k=(4, 4), c=8, o=8)
    # A size that the input could have come from too.
    yield case(size=(7, 9))
