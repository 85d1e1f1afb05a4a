"""The cases of every operator.

`OPERATORS[name]()` yields functions `make(rng) -> Case`, one for each case, in a fixed order. They draw shapes, scales
and weights from the generator that is seeded with the case's name.
"""

from importlib import import_module

from .common import OPERATORS, Case

for _module in (
    "conv",
    "detections",
    "fully_connected",
    "pool",
    "softmax",
    "binary",
    "unary",
    "types",
    "shape",
    "pad",
    "mean",
    "reduce",
    "join",
    "slices",
    "transpose",
    "space",
    "gather",
    "recurrent",
    "resize",
    "svdf",
    "variables",
    "chains",
    "multipliers",
    "int16",
    "integer",
    "composed",
    "signal",
    "float",
):
    import_module(f"{__name__}.{_module}")

__all__ = ["OPERATORS", "Case"]
