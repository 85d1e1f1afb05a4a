"""What the case files share: the registry, the `Case`, and how random quantization is drawn."""

from dataclasses import dataclass, field

import numpy as np

from graph import ACTIVATIONS, PADDING, Model, Q, elements  # noqa: F401 (re-exported to the case files)

OPERATORS = {}


@dataclass
class Case:
    model: Model
    note: str  # the parameters, for a person
    invokes: int = 1  # how often in a row, keeping state
    inputs: list = field(default_factory=list)  # inputs[k][i]; empty: random bytes
    may_be_flat: bool = False  # a nearly constant output is what this case is about


def operator(function):
    """Registers a generator of `make(rng)` functions under its own name."""
    OPERATORS[function.__name__] = function
    return function


def zero_point(rng, signed=True):
    """Any zero point; the ends and the middle are frequent."""
    z = int(
        rng.choice([-128, 127, 0, int(rng.integers(-128, 128)), int(rng.integers(-40, 41)), int(rng.integers(-40, 41))])
    )
    return z if signed else z + 128


def scale(rng, low=0.002, high=0.2):
    return np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def quant(rng, low=0.002, high=0.2):
    return Q(scale(rng, low, high), zero_point(rng))


def ends(rng, g, shape, to, quantized, spread=1):
    """Input and output of an operator that changes no value's range, and the inputs' elements: of one int8
    quantization, with any bytes, or in f32, normally distributed."""
    if quantized:
        q = quant(rng)
        return g.input(shape, q), g.output(to, q), []
    x, y = g.input(shape, dtype=np.float32), g.output(to, dtype=np.float32)
    return x, y, [[(rng.standard_normal(shape) * spread).astype(np.float32)]]


def fitted(values):
    """The quantization a converter would give to these values: nearly all of them inside, zero exact."""
    low, high = min(np.quantile(values, 0.02), 0.0), max(np.quantile(values, 0.98), 0.0)
    step = max(high - low, 1e-6) / 255
    return Q(step, int(np.clip(round(-128 - low / step), -128, 127)))


def dequantize(q, values):
    return float(q.scale[0]) * (values.astype(np.float64) - float(q.zero_point[0]))


def pick(rng, *choices):
    return choices[int(rng.integers(len(choices)))]


def words(**parameters):
    """`a=1 b=2x3`: a note."""
    text = []
    for name, v in parameters.items():
        if isinstance(v, (list, tuple)):
            v = "x".join(map(str, v)) or "scalar"
        text.append(f"{name}={v}")
    return " ".join(text)
