"""Times a network with LiteRT: `python3 litert.py MODEL.tflite INPUTS`, the file and the bytes of its inputs.

It prints one JSON value a line, as `tealight-host-bench` does: first the runtime and the bytes of the outputs, then for each line
of stdin, a number of inferences, the nanoseconds of each. One thread, with XNNPACK.
"""

import importlib.metadata
import json
import sys
import time

import numpy
from ai_edge_litert.interpreter import Interpreter


def answer(value):
    print(json.dumps(value), flush=True)


def set_inputs(interpreter, data):
    """Writes the bytes to the inputs, in order."""
    at = 0
    for tensor in interpreter.get_input_details():
        elements = numpy.frombuffer(data, tensor["dtype"], int(numpy.prod(tensor["shape"])), at)
        interpreter.set_tensor(tensor["index"], elements.reshape(tensor["shape"]))
        at += elements.nbytes
    if at != len(data):
        raise SystemExit(f"its inputs are {at} bytes, but {len(data)} are given")


def main():
    model, inputs = sys.argv[1:]
    interpreter = Interpreter(model, num_threads=1)
    interpreter.allocate_tensors()
    with open(inputs, "rb") as file:
        set_inputs(interpreter, file.read())
    interpreter.invoke()
    outputs = [interpreter.get_tensor(tensor["index"]).tobytes() for tensor in interpreter.get_output_details()]
    version = importlib.metadata.version("ai-edge-litert")
    answer({"runtime": f"LiteRT {version}", "outputs": b"".join(outputs).hex()})

    for request in sys.stdin:
        interpreter.invoke()  # not counted: the other program has filled the caches
        times = []
        for _ in range(int(request)):
            start = time.perf_counter_ns()
            interpreter.invoke()
            times.append(time.perf_counter_ns() - start)
        answer(times)


main()
