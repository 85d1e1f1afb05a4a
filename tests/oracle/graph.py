"""Builds small .tflite files, tensor by tensor, through the schema that the oracle wheel brings.

A `Model` holds one or more `Graph`s (subgraphs). Graph methods return tensor numbers, so a model reads
like a program: `y = g.output([1, 4], q); g.op("RELU", [x], [y])`. The bytes depend on nothing but the calls.
"""

import math

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.uint32): schema.TensorType.UINT32,
    np.dtype(np.uint64): schema.TensorType.UINT64,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}
RESOURCE = "resource"
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
PADDING = {"SAME": 0, "VALID": 1}
# An operator whose options table is not named after it in CamelCase.
OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MEAN": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_ALL": "ReducerOptions",
    "SUM": "ReducerOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "SPACE_TO_BATCH_ND": "SpaceToBatchNDOptions",
    "ADD_N": "AddNOptions",
    "SVDF": "SVDFOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
    "SPLIT_V": "SplitVOptions",
    "PADV2": "PadV2Options",
    "MINIMUM": "MaximumMinimumOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "EMBEDDING_LOOKUP": None,
    "LOGISTIC": None,
    "TANH": None,
    "RELU": None,
    "RELU6": None,
    "RELU_N1_TO_1": None,
    "RELU_0_TO_1": None,
    "PRELU": None,
    "ELU": None,
    "FLOOR": None,
    "CEIL": None,
    "ROUND": None,
    "SIN": None,
    "LOG": None,
    "SQRT": None,
    "RSQRT": None,
}


class Q:
    """Quantization: one scale and zero point, or a list of scales along `axis` with zero points 0."""

    def __init__(self, scale, zero_point=0, axis=0):
        self.scale = np.atleast_1d(np.asarray(scale, np.float32))
        self.zero_point = np.broadcast_to(np.asarray(zero_point, np.int64), self.scale.shape)
        self.axis = axis

    def __str__(self):
        if len(self.scale) > 1:
            return f"{len(self.scale)} scales"
        return f"{self.scale[0]:.6g}/{self.zero_point[0]}"


class AlignedBuilder(flatbuffers.Builder):
    """The schema says that the bytes of a buffer are 16-aligned; the generated Python code forgets it."""

    def StartVector(self, elem_size, count, alignment):
        return super().StartVector(elem_size, count, 16 if elem_size == 1 else alignment)


class Model:
    def __init__(self):
        self.buffers = [b""]  # buffer 0 is the empty one by convention
        self.codes = []
        self.graphs = []
        self.main = self.graph()

    def graph(self):
        self.graphs.append(Graph(self))
        return self.graphs[-1]

    def code(self, name):
        if name not in self.codes:
            self.codes.append(name)
        return self.codes.index(name)

    def to_bytes(self):
        m = schema.ModelT(version=3, description="", metadata=[])
        m.buffers = [schema.BufferT(data=np.frombuffer(b, np.uint8) if b else None) for b in self.buffers]
        m.operatorCodes = []
        for name in self.codes:
            value = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
            custom = None if hasattr(schema.BuiltinOperator, name) else name
            m.operatorCodes.append(
                schema.OperatorCodeT(
                    deprecatedBuiltinCode=min(value, 127), builtinCode=value, version=1, customCode=custom
                )
            )
        m.subgraphs = [
            schema.SubGraphT(tensors=g.tensors, inputs=g.inputs, outputs=g.outputs, operators=g.operators)
            for g in self.graphs
        ]
        builder = AlignedBuilder(4096)
        builder.Finish(m.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


class Graph:
    def __init__(self, model):
        self.model = model
        self.tensors, self.inputs, self.outputs, self.operators = [], [], [], []

    def tensor(self, shape, q=None, dtype=np.int8, data=None, variable=False):
        """A tensor that some operator writes, or a constant if `data` is given. Returns its number."""
        t = schema.TensorT(shape=[int(d) for d in shape], name=f"t{len(self.tensors)}", isVariable=variable)
        t.type = schema.TensorType.RESOURCE if dtype == RESOURCE else TYPES[np.dtype(dtype)]
        t.hasRank = True
        if data is not None:
            t.buffer = len(self.model.buffers)
            self.model.buffers.append(np.ascontiguousarray(data).tobytes())
        if q is not None:
            t.quantization = schema.QuantizationParametersT(
                scale=[float(s) for s in q.scale],
                zeroPoint=[int(z) for z in q.zero_point],
                quantizedDimension=q.axis,
            )
        self.tensors.append(t)
        return len(self.tensors) - 1

    def input(self, shape, q=None, dtype=np.int8):
        self.inputs.append(self.tensor(shape, q, dtype))
        return self.inputs[-1]

    def output(self, shape, q=None, dtype=np.int8):
        self.outputs.append(self.tensor(shape, q, dtype))
        return self.outputs[-1]

    def const(self, data, q=None, dtype=None):
        data = np.asarray(data, dtype)
        return self.tensor(data.shape, q, data.dtype, data)

    def int4(self, codes, q):
        """A constant of type int4: two codes in a byte, the first in the low half."""
        flat = np.append(codes.reshape(-1), [0] * (codes.size % 2)).astype(np.uint8) & 15
        number = self.tensor(codes.shape, q, data=flat[::2] | flat[1::2] << 4)
        self.tensors[number].type = schema.TensorType.INT4
        return number

    def ints(self, values):
        """A constant i32 vector (or scalar): axes, paddings, shapes."""
        return self.const(values, dtype=np.int32)

    def op(self, name, inputs, outputs, **options):
        """Appends an operator; `options` are the schema's own field names. Input -1 means absent."""
        table = OPTIONS.get(name, "".join(w.capitalize() for w in name.split("_")) + "Options")
        o = schema.OperatorT(opcodeIndex=self.model.code(name), inputs=list(inputs), outputs=list(outputs))
        if table is not None:
            o.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            o.builtinOptions = getattr(schema, table + "T")(**options)
        self.operators.append(o)

    def custom(self, name, inputs, outputs, options):
        """Appends an operator that is not the schema's own, with its options as bytes."""
        o = schema.OperatorT(opcodeIndex=self.model.code(name), inputs=list(inputs), outputs=list(outputs))
        o.customOptions = np.frombuffer(options, np.uint8)
        self.operators.append(o)


def elements(shape):
    return math.prod(shape)
