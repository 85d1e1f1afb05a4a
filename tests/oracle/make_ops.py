#!/usr/bin/env python3
"""Make or check the goldens of single operators, tests/golden/ops/*.safetensors.

    python make_ops.py                 write all of them
    python make_ops.py conv2d softmax  write these
    python make_ops.py --check         recompute, compare with the disk, write nothing; exit code 1 if stale

Each case is a .tflite of one operator (or of the few that only make sense together), random inputs and
the outputs of TensorFlow Lite Micro's reference kernels. What the cases are is in cases/*.py.
"""

import sys
from pathlib import Path

import numpy as np

from cases import OPERATORS, Case
from golden import ORACLE, interpreter, report, rng_for, safetensors
from graph import elements, schema

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "golden" / "ops"
NUMPY = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.UINT32: np.uint32,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.BOOL: np.bool_,
}


def random_input(rng, dtype, shape, step):
    """Any bytes, and always both ends of the range. Floats and i32 come from the case itself."""
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, size=elements(shape), dtype=dtype, endpoint=True)
    if x.size >= 2:
        i, j = rng.choice(x.size, 2, replace=False)
        x[i], x[j] = info.min, info.max
    elif x.size == 1 and step < 2:
        x[0] = (info.min, info.max)[step]
    return x.reshape(shape)


def too_flat(y):
    """An output that is nearly constant shows nothing."""
    return y.size >= 16 and len(np.unique(y)) < 3


def stored(x):
    """Truth values are bytes of 0 and 1 in a compiled model, and unsigned numbers of 32 bits are stored as int32."""
    return x.astype(np.uint8) if x.dtype == np.bool_ else x.view(np.int32) if x.dtype == np.uint32 else x


def run(name, case: Case, rng):
    """The tensors of one case (model, inputs and outputs of each invoke), and whether its output is too flat to keep."""
    model = case.model.to_bytes()
    g = case.model.main
    machine = interpreter(model)
    tensors = {f"{name}/model": np.frombuffer(model, np.uint8)}
    flat = []
    for k in range(case.invokes):
        for i, t in enumerate(g.inputs):
            shape, dtype = tuple(g.tensors[t].shape), NUMPY[g.tensors[t].type]
            x = case.inputs[k][i] if case.inputs else random_input(rng, dtype, shape, k)
            x = np.asarray(x, dtype).reshape(shape)
            machine.set_input(x, i)
            tensors[f"{name}/input.{i}.{k}"] = stored(x)
        machine.invoke()
        for i, t in enumerate(g.outputs):
            y = machine.get_output(i).reshape(g.tensors[t].shape).astype(NUMPY[g.tensors[t].type], casting="no")
            tensors[f"{name}/output.{i}.{k}"] = stored(y.copy())
            flat.append(too_flat(y))
    return tensors, all(flat) and not case.may_be_flat


def golden_of(operator):
    tensors, metadata = {}, {"oracle": ORACLE, "made_by": "tests/oracle/make_ops.py"}
    for n, make in enumerate(OPERATORS[operator]()):
        name = f"{operator}.{n:03}"
        for attempt in range(20):
            rng = rng_for(f"{name}#{attempt}")
            case = make(rng)
            try:
                found, flat = run(name, case, rng)
            except RuntimeError as e:
                raise RuntimeError(f"{name}: {case.note}: {e}") from e
            if not flat:
                break
        else:
            raise ValueError(f"{name}: nearly constant output in every attempt: {case.note}")
        tensors |= found
        metadata[name] = case.note
    return safetensors(tensors, metadata), n + 1


def main():
    args = sys.argv[1:]
    check = "--check" in args
    names = [a for a in args if a != "--check"] or list(OPERATORS)
    if unknown := [n for n in names if n not in OPERATORS]:
        sys.exit(f"unknown: {', '.join(unknown)}\n{__doc__}")
    files, cases = {}, 0
    for name in names:
        data, n = golden_of(name)
        files[OUT / f"{name}.safetensors"] = data
        cases += n
        print(f"{name}: {n} cases, {len(data):,} B", flush=True)
    print(f"{cases} cases", end=", ")
    code = report(files, check, ROOT)
    if check and len(names) == len(OPERATORS):
        for extra in sorted(set(OUT.glob("*")) - set(files)):
            print(f"nobody makes: {extra.relative_to(ROOT)}")
            code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
