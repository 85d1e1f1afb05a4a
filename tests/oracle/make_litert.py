"""Make or check tests/golden/ops/litert.safetensors and litert_f32.safetensors: operators that TensorFlow Lite Micro does not have, or not in these
forms, and what LiteRT's reference kernels answer.

`make_litert.py [--check]`, in the environment of `tests/networks/requirements.txt`. The keys are those of the operators'
files. Outputs are compared bit for bit: the operators in float32 move elements, or clamp them; but those of the second file,
which are functions of float32, under its tolerance.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from cases.common import quant
from golden import report, rng_for, safetensors
from graph import Model

ROOT = Path(__file__).resolve().parents[2]
REAL = np.float32


def ends(rng, g, shape, to, dtype, same=True):
    """Input and output of a type, of one quantization or of two."""
    if dtype == REAL:
        return g.input(shape, dtype=REAL), g.output(to, dtype=REAL)
    q = quant(rng)
    return g.input(shape, q), g.output(to, q if same else quant(rng))


def relu_0_to_1(dtype, same):
    def make(rng):
        model = Model()
        x, y = ends(rng, model.main, [2, 256], [2, 256], dtype, same)
        model.main.op("RELU_0_TO_1", [x], [y])
        return model

    return make


def tile(shape, counts, dtype):
    def make(rng):
        model = Model()
        g = model.main
        x, y = ends(rng, g, shape, [n * count for n, count in zip(shape, counts)], dtype)
        g.op("TILE", [x, g.ints(counts)], [y])
        return model

    return make


def strided_slice(shape, begin, end, stride, to, dtype=np.int8, **masks):
    def make(rng):
        model = Model()
        g = model.main
        x, y = ends(rng, g, shape, to, dtype)
        g.op("STRIDED_SLICE", [x, g.ints(begin), g.ints(end), g.ints(stride)], [y], **masks)
        return model

    return make


def of_integers(name, *shapes):
    """A function of int32 tensors, or of truth values and int32 tensors."""

    def make(rng):
        model = Model()
        g = model.main
        truths = [np.bool_] if name.startswith("SELECT") else []
        types = truths + [np.int32] * (len(shapes) - len(truths))
        ends = [g.input(shape, dtype=dtype) for shape, dtype in zip(shapes, types, strict=True)]
        g.op(name, ends, [g.output(np.broadcast_shapes(*shapes), dtype=np.int32)])
        return model

    return make


def power(a, b, const=None):
    """Any exponents of numbers above 0, or whole ones of any numbers."""

    def make(rng):
        model = Model()
        g = model.main
        x = g.input(a, dtype=REAL)
        y = g.input(b, dtype=REAL) if const is None else g.const(np.asarray(const, REAL))
        g.op("POW", [x, y], [g.output(np.broadcast_shapes(a, b), dtype=REAL)])
        return model

    return make


CASES = {
    "relu_0_to_1": relu_0_to_1(np.int8, True),
    "relu_0_to_1_scales": relu_0_to_1(np.int8, False),
    "relu_0_to_1_other_scales": relu_0_to_1(np.int8, False),
    "relu_0_to_1_float": relu_0_to_1(REAL, True),
    "tile": tile([2, 3, 4], [1, 2, 3], np.int8),
    "tile_many": tile([3, 2], [1, 150], np.int8),
    "tile_float": tile([1, 2, 3, 2], [2, 1, 70, 2], REAL),
    # x[1:2, ..., 1:4:2]
    "slice_ellipsis": strided_slice([2, 3, 4, 5], [1, 0, 1], [2, 0, 4], [1, 1, 2], [1, 3, 4, 2], ellipsisMask=2),
    # x[..., 2]
    "slice_last": strided_slice([2, 3, 4], [0, 2], [0, 3], [1, 1], [2, 3], ellipsisMask=1, shrinkAxisMask=2),
    # x[:, None, ::-1]
    "slice_new_axis": strided_slice(
        [3, 4, 2], [0, 0, 0], [0, 0, 0], [1, 1, -1], [3, 1, 4, 2], newAxisMask=2, beginMask=5, endMask=5
    ),
    # x[1]
    "slice_short": strided_slice([3, 4, 2], [1], [2], [1], [4, 2], shrinkAxisMask=1),
    # x[None, ..., 1:3]
    "slice_both": strided_slice(
        [2, 3, 4], [0, 0, 1], [0, 0, 3], [1, 1, 1], [1, 2, 3, 2], REAL, newAxisMask=1, ellipsisMask=2
    ),
    "floor_div_i32": of_integers("FLOOR_DIV", [5, 40], [5, 40]),
    "floor_div_i32_row": of_integers("FLOOR_DIV", [5, 40], [40]),
    "floor_mod_i32": of_integers("FLOOR_MOD", [5, 40], [5, 40]),
    "floor_mod_i32_row": of_integers("FLOOR_MOD", [5, 40], [40]),
    "select_i32": of_integers("SELECT_V2", [3, 4], [3, 4], [3, 4]),
    "select_i32_broadcast": of_integers("SELECT_V2", [3, 1], [3, 4], [4]),
}

FLOAT_CASES = {
    "pow": power([6, 50], [6, 50]),
    "pow_row": power([4, 6, 5], [5]),
    "pow_number": power([8, 9], [], 2.5),
    "pow_whole": power([8, 9], [], -3.0),
}


def run(name, make):
    rng = rng_for(name)
    model = make(rng).to_bytes()
    resolver = OpResolverType.BUILTIN_REF
    machine = Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)
    machine.allocate_tensors()
    tensors = {f"{name}/model": np.frombuffer(model, np.uint8)}
    for i, tensor in enumerate(machine.get_input_details()):
        shape, dtype = tensor["shape"], tensor["dtype"]
        if dtype == REAL:
            x = (rng.standard_normal(shape) * 2).astype(REAL)
            if "pow" in name and "whole" not in name and i == 0:
                x = np.abs(x)
        elif dtype == np.bool_:
            x = rng.integers(0, 2, shape).astype(np.bool_)
        elif dtype == np.int32:
            # Every other number is small, and none is 0.
            x = rng.integers(-(2**31), 2**31, shape, dtype=np.int64) >> rng.choice([0, 26], shape)
            x = np.where(x == 0, 7, x).astype(np.int32)
        else:
            codes = np.resize(np.arange(-128, 128), max(256, np.prod(shape)))
            x = rng.permutation(codes)[: np.prod(shape)].astype(np.int8).reshape(shape)
        machine.set_tensor(tensor["index"], x)
        tensors[f"{name}/input.{i}.0"] = x.astype(np.uint8) if dtype == np.bool_ else x
    machine.invoke()
    (output,) = machine.get_output_details()
    return tensors | {f"{name}/output.0.0": machine.get_tensor(output["index"]).copy()}


def main():
    about = {"oracle": f"LiteRT {version('ai-edge-litert')}", "made_by": "tests/oracle/make_litert.py"}
    files = {}
    for file, cases in (("litert", CASES), ("litert_f32", FLOAT_CASES)):
        tensors, notes = {}, {}
        for name, make in cases.items():
            tensors |= run(f"{file}.{name}", make)
            notes[f"{file}.{name}"] = name.replace("_", " ")
        files[ROOT / f"tests/golden/ops/{file}.safetensors"] = safetensors(tensors, about | notes)
    return report(files, "--check" in sys.argv[1:], ROOT)


sys.exit(main())
