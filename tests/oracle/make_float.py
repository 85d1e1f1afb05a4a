"""Make or check tests/golden/float.safetensors: a float network, and what TensorFlow Lite Micro answers to some inputs.

`make_float.py [--check]`, in the oracle's environment (README.md). The keys are those of the operators' files.
"""

import sys
from pathlib import Path

import numpy as np

from golden import ORACLE, interpreter, report, rng_for, safetensors
from graph import ACTIVATIONS, PADDING, Model

ROOT = Path(__file__).resolve().parents[2]

F = np.float32


def conv(g, rng, x, shape, out, name="CONV_2D", padding="SAME", stride=1, activation="none", **more):
    bias = shape[0] if name == "CONV_2D" else shape[3]
    spread = 1.5 / np.sqrt(np.prod(shape[1:]) if name == "CONV_2D" else shape[1] * shape[2])
    weights = g.const(rng.normal(0, spread, shape).astype(F))
    y = g.tensor(out, dtype=F)
    g.op(
        name,
        [x, weights, g.const(rng.normal(0, 0.2, bias).astype(F))],
        [y],
        padding=PADDING[padding],
        strideH=stride,
        strideW=stride,
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=ACTIVATIONS[activation],
        **more,
    )
    return y


def network(rng):
    """Convolutions with uneven padding, a residual, pooling, a mean, a matrix, softmax."""
    m = Model()
    g = m.main
    x = g.input([1, 11, 8, 3], dtype=F)
    x = conv(g, rng, x, [8, 3, 3, 3], [1, 6, 4, 8], stride=2, activation="relu6")
    y = conv(g, rng, x, [1, 3, 3, 8], [1, 6, 4, 8], name="DEPTHWISE_CONV_2D", depthMultiplier=1, activation="relu")
    y = conv(g, rng, y, [8, 1, 1, 8], [1, 6, 4, 8])
    s = g.tensor([1, 6, 4, 8], dtype=F)
    g.op("ADD", [x, y], [s], fusedActivationFunction=ACTIVATIONS["relu"])
    p = g.tensor([1, 3, 2, 8], dtype=F)
    pool = dict(padding=PADDING["SAME"], strideH=2, strideW=2, filterHeight=3, filterWidth=3)
    g.op("MAX_POOL_2D", [s], [p], fusedActivationFunction=0, **pool)
    a = g.tensor([1, 2, 1, 8], dtype=F)
    g.op("AVERAGE_POOL_2D", [p], [a], fusedActivationFunction=0, **pool)
    mean = g.tensor([1, 8], dtype=F)
    g.op("MEAN", [a, g.ints([1, 2])], [mean], keepDims=False)
    z = g.tensor([1, 5], dtype=F)
    g.op(
        "FULLY_CONNECTED",
        [mean, g.const(rng.normal(0, 1, [5, 8]).astype(F)), g.const(rng.normal(0, 0.2, 5).astype(F))],
        [z],
        fusedActivationFunction=0,
    )
    g.op("SOFTMAX", [z], [g.output([1, 5], dtype=F)], beta=1.0)
    return m.to_bytes()


def main():
    rng = rng_for("float")
    model = network(rng)
    tensors = {"network/model": np.frombuffer(model, np.uint8)}
    machine = interpreter(model)
    for k in range(4):
        x = rng.normal(0, 1, [1, 11, 8, 3]).astype(F)
        machine.set_input(x, 0)
        machine.invoke()
        tensors[f"network/input.0.{k}"] = x
        tensors[f"network/output.0.{k}"] = np.array(machine.get_output(0), F)
    data = safetensors(tensors, {"oracle": ORACLE, "network": network.__doc__})
    return report({ROOT / "tests/golden/float.safetensors": data}, "--check" in sys.argv[1:], ROOT)


if __name__ == "__main__":
    sys.exit(main())
