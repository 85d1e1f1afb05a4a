"""Answers of a network by its format's own runtime: `python3 reference.py JOB.json`.

JOB has these keys:

    model     the file
    runtime   "onnxruntime", "litert" or "tflm"
    shapes    {name: dimensions} of inputs, for what the file leaves dynamic
    values    {name: numbers} of inputs that are constant in the model; they are no inputs of it
    inputs    [{dtype, shape}] of the model's inputs, in the file's order
    outputs   [{dtype, shape}] of its outputs
    runs      how many inferences follow one another; state lives on from each to the next
    data      a file with the bytes of the inputs of all inferences
    answer    the file to write: the bytes of the outputs of all inferences, as the model would give them

The model has images as NHWC, and fewer types than an ONNX file: those are turned and converted here. One JSON value is
printed: the runtime's name and version.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

DTYPES = {"F32": np.float32, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.uint8}
ONNX_DTYPES = {
    "float": np.float32,
    "float16": np.float16,
    "double": np.float64,
    "int64": np.int64,
    "int32": np.int32,
    "int8": np.int8,
    "uint8": np.uint8,
    "bool": np.bool_,
}
# TensorFlow Lite Micro's memory for tensors.
ARENA = 64 << 20


def converted(array, dtype):
    """An array in another type; between int8 and uint8 the values of quantized tensors stay."""
    if {array.dtype, np.dtype(dtype)} == {np.dtype(np.int8), np.dtype(np.uint8)}:
        return (array.astype(np.int16) + (128 if dtype == np.uint8 else -128)).astype(dtype)
    return array.astype(dtype)


def fits(dims, shape):
    """Whether a shape is one of those that dimensions of a file allow; those that are no numbers are dynamic."""
    return len(dims) == len(shape) and all(d == n for d, n in zip(dims, shape) if isinstance(d, int) and d >= 0)


def axes_to_model(dims, shape):
    """The transposition from the file's order of axes to the model's: none, or from NCHW to NHWC."""
    straight = fits(dims, shape)
    turned = len(shape) == 4 and fits(dims, [shape[axis] for axis in (0, 3, 1, 2)])
    if straight and turned and len(set(shape[1:])) > 1 and shape[3] != 1:
        raise SystemExit(f"it is not clear whether {shape} is {list(dims)} or the same as NHWC: give --input-shape")
    if straight:
        return tuple(range(len(shape)))
    if turned:
        return (0, 2, 3, 1)
    raise SystemExit(f"the model has the shape {shape}, the file {list(dims)}")


def from_model(array, dims):
    """An input in the file's order of axes."""
    return array.transpose(np.argsort(axes_to_model(dims, array.shape)))


def to_model(array, tensor):
    """The bytes of an output as the model gives them."""
    array = array.transpose(axes_to_model(array.shape, tensor["shape"]))
    return converted(array, DTYPES[tensor["dtype"]]).tobytes()


class OnnxRuntime:
    """ONNX Runtime without optimizations of the graph: each operator as it is defined."""

    def __init__(self, job):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
        self.name = f"ONNX Runtime {version('onnxruntime')}"
        self.given, self.values, inputs = {}, {}, []
        for value in self.session.get_inputs():
            dtype = ONNX_DTYPES[value.type.removeprefix("tensor(").removesuffix(")")]
            if value.name in job["values"]:
                numbers = np.array(job["values"][value.name], dtype)
                self.values[value.name] = numbers.reshape(job["shapes"].get(value.name, value.shape))
            else:
                inputs.append((value.name, dtype, job["shapes"].get(value.name, value.shape)))
        self.inputs = inputs

    def count(self):
        return len(self.inputs)

    def run(self, arrays):
        feed = dict(self.values)
        for (name, dtype, dims), array in zip(self.inputs, arrays):
            feed[name] = np.ascontiguousarray(converted(from_model(array, dims), dtype))
        return self.session.run(None, feed)


class LiteRt:
    """LiteRT without XNNPACK, on one thread."""

    def __init__(self, job):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self.interpreter = Interpreter(job["model"], num_threads=1, experimental_op_resolver_type=resolver)
        self.name = f"LiteRT {version('ai-edge-litert')}"
        for tensor in self.interpreter.get_input_details():
            if tensor["name"] in job["shapes"]:
                self.interpreter.resize_tensor_input(tensor["index"], job["shapes"][tensor["name"]])
        self.interpreter.allocate_tensors()
        self.inputs = []
        for tensor in self.interpreter.get_input_details():
            if tensor["name"] in job["values"]:
                numbers = np.array(job["values"][tensor["name"]], tensor["dtype"]).reshape(tensor["shape"])
                self.interpreter.set_tensor(tensor["index"], numbers)
            else:
                self.inputs.append(tensor)

    def count(self):
        return len(self.inputs)

    def run(self, arrays):
        for tensor, array in zip(self.inputs, arrays):
            self.interpreter.set_tensor(tensor["index"], converted(array, tensor["dtype"]))
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(tensor["index"]) for tensor in self.interpreter.get_output_details()]


class Tflm:
    """TensorFlow Lite Micro's reference kernels."""

    def __init__(self, job):
        from tflite_micro.python.tflite_micro import runtime

        self.interpreter = runtime.Interpreter.from_file(job["model"], arena_size=ARENA)
        self.name = f"tflite-micro {version('tflite_micro')}"
        self.inputs, self.outputs = len(job["inputs"]), len(job["outputs"])

    def count(self):
        return self.inputs

    def run(self, arrays):
        for index, array in enumerate(arrays):
            wanted = self.interpreter.get_input_details(index)
            self.interpreter.set_input(converted(array, wanted["dtype"]).reshape(wanted["shape"]), index)
        self.interpreter.invoke()
        return [self.interpreter.get_output(index) for index in range(self.outputs)]


RUNTIMES = {"onnxruntime": OnnxRuntime, "litert": LiteRt, "tflm": Tflm}


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    runtime = RUNTIMES[job["runtime"]](job)
    if runtime.count() != len(job["inputs"]):
        raise SystemExit(f"the model has {len(job['inputs'])} inputs, the file {runtime.count()}")
    data, at, answer = Path(job["data"]).read_bytes(), 0, b""
    for _ in range(job["runs"]):
        arrays = []
        for tensor in job["inputs"]:
            array = np.frombuffer(data, DTYPES[tensor["dtype"]], int(np.prod(tensor["shape"], dtype=int)), at)
            arrays.append(array.reshape(tensor["shape"]))
            at += array.nbytes
        outputs = runtime.run(arrays)
        if len(outputs) != len(job["outputs"]):
            raise SystemExit(f"the model has {len(job['outputs'])} outputs, the file {len(outputs)}")
        answer += b"".join(to_model(np.asarray(array), tensor) for array, tensor in zip(outputs, job["outputs"]))
    if at != len(data):
        raise SystemExit(f"the inputs are {at} bytes, but {len(data)} are given")
    Path(job["answer"]).write_bytes(answer)
    print(json.dumps({"runtime": runtime.name}))


main()
