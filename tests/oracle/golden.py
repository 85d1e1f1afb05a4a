"""Runs models on the oracle and stores what came out: what the scripts here share."""

import hashlib
import json
import struct
from importlib.metadata import version

import numpy as np
from tflite_micro.python.tflite_micro import runtime

ORACLE = f"tflite-micro {version('tflite_micro')}"
ARENA = 1 << 20
DTYPES = {"float32": "F32", "int32": "I32", "int16": "I16", "uint8": "U8", "int8": "I8"}


def interpreter(model, config=runtime.InterpreterConfig.kAllocationRecording, arena=ARENA):
    return runtime.Interpreter.from_bytes(model, arena_size=arena, intrepreter_config=config)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def safetensors(tensors, metadata):
    """A .safetensors file of {name: array}: wide types first, so that every tensor is aligned to its items."""
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header, data = {"__metadata__": metadata}, b""
    for name in order:
        a = tensors[name]
        raw = a.astype(a.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": DTYPES[a.dtype.name],
            "shape": list(a.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write_or_check(files, check):
    """Writes {path: bytes}, or compares them with the disk. Returns the paths that differ."""
    stale = []
    for path, data in sorted(files.items()):
        if check:
            if not path.is_file() or path.read_bytes() != data:
                stale.append(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return stale


def report(files, check, root):
    """The common end of both scripts; returns the exit code."""
    stale = write_or_check(files, check)
    for path in stale:
        print(f"stale: {path.relative_to(root)}")
    if not stale:
        total = sum(map(len, files.values()))
        print(f"{len(files)} files, {total:,} B, {'are as the oracle makes them' if check else 'written'}")
    return 1 if stale else 0


def rng_for(name):
    """A generator seeded by a name, so that adding a case changes no other."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
