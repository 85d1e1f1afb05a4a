"""Make or check tests/golden/ops/mediapipe_f32.safetensors: custom operators of MediaPipe's networks.

`make_mediapipe.py [--check]`, in the environment of `requirements.txt`. Neither TensorFlow Lite Micro nor LiteRT has these
operators. What they compute is written down here in NumPy, after MediaPipe's sources (mediapipe/util/tflite/operations):
in float32, with float64 where C++ promotes to it. The keys are those of the operators' files.
"""

import sys
from pathlib import Path

import numpy as np
from flatbuffers import flexbuffers

from cases.common import words
from golden import report, rng_for, safetensors
from graph import Model

ROOT = Path(__file__).resolve().parents[2]
F = np.float32


def transform_bilinear(image, matrix, height, width):
    """`TransformTensorBilinear`, version 2."""
    (h, w, c), m = image.shape[1:], matrix.reshape(4, 4)
    rows = []
    for a, b, _, t in m[:2]:
        rows.append((a, b, F(float(t) + (float(a) * 0.5 + float(b) * 0.5 - 0.5))))
    padded = np.zeros((h + 1, w + 1, c), F)
    padded[:h, :w] = image[0]
    y = np.zeros((1, height, width, c), F)
    for row in range(height):
        for column in range(width):
            x_at, y_at = (F(F(a * F(column)) + F(b * F(row))) + t for a, b, t in rows)
            if not (0 <= x_at <= w - 1 and 0 <= y_at <= h - 1):
                continue
            x0, y0 = int(np.floor(x_at)), int(np.floor(y_at))
            right, down = float(x_at - F(x0)), float(y_at - F(y0))
            upper, lower = (
                ((1.0 - right) * padded[line, x0].astype(float) + right * padded[line, x0 + 1]).astype(F)
                for line in (y0, y0 + 1)
            )
            y[0, row, column] = (down * lower.astype(float) + (1.0 - down) * upper).astype(F)
    return y


def landmarks_to_transform(landmarks, o):
    """`Landmarks2TransformMatrix`, version 2."""
    points = landmarks.reshape(-1, 3)[:, :2]
    (lx, ly), (rx, ry) = points[o["left_rotation_idx"]], points[o["right_rotation_idx"]]
    angle = F(F(o["target_rotation_radians"]) - np.arctan2(ry - ly, rx - lx, dtype=F))

    def turned(angle, places):
        cos, sin = np.cos(angle, dtype=F), np.sin(angle, dtype=F)
        return places @ np.array([[cos, sin], [-sin, cos]], F)

    subset = turned(angle, points[o["subset_idxs"]])
    least, most = subset.min(0), subset.max(0)
    x, y = turned(-angle, ((least + most) / F(2)))
    size = np.array([o["output_width"], o["output_height"]], F)
    scale = np.array([o["scale_x"], o["scale_y"]], F) * (most - least) / size
    cos, sin = np.cos(-angle, dtype=F), np.sin(-angle, dtype=F)
    matrices = (
        [[1, 0, 0, x], [0, 1, 0, y], [0, 0, 1, 0], [0, 0, 0, 1]],
        [[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        np.diag([*scale, 1, 1]),
        [[1, 0, 0, -size[0] / 2], [0, 1, 0, -size[1] / 2], [0, 0, 1, 0], [0, 0, 0, 1]],
    )
    product = np.eye(4, dtype=F)
    for matrix in matrices:
        product = product @ np.array(matrix, F)
    return product.reshape(1, 4, 4)


def transform_landmarks(landmarks, matrix):
    """`TransformLandmarks`, version 2."""
    m, y = matrix.reshape(4, 4), landmarks.copy()
    for k in (0, 1):
        y[..., k] = m[k, 0] * landmarks[..., 0] + m[k, 1] * landmarks[..., 1] + m[k, 3]
    return y


def padding(size, window, stride, out):
    return max(0, ((out - 1) * stride + window - size) // 2)


def max_pool_with_argmax(x, window, stride, same):
    n, *size, c = x.shape
    out = [-(-s // t) if same else (s - k + t) // t for s, k, t in zip(size, window, stride)]
    pad = [padding(s, k, t, o) for s, k, t, o in zip(size, window, stride, out)]
    maxima, places = np.zeros((n, *out, c), F), np.zeros((n, *out, c), F)
    for at in np.ndindex(maxima.shape):
        image, row, column, channel = at
        best, place = np.finfo(F).min, 0
        for down, right in np.ndindex(*window):
            i, j = row * stride[0] - pad[0] + down, column * stride[1] - pad[1] + right
            if 0 <= i < size[0] and 0 <= j < size[1] and x[image, i, j, channel] > best:
                best, place = x[image, i, j, channel], down * window[1] + right
        maxima[at], places[at] = best, F(place) + F(0.1)
    return maxima, places


def max_unpool(x, places, window, stride):
    n, *size, c = x.shape
    out = [s * k for s, k in zip(size, window)]
    pad = [padding(o, k, t, s) for o, k, t, s in zip(out, window, stride, size)]
    y = np.zeros((n, *out, c), F)
    for image, row, column, channel in np.ndindex(x.shape):
        down, right = divmod(int(places[image, row, column, channel]), window[1])
        i, j = row * stride[0] - pad[0] + down, column * stride[1] - pad[1] + right
        if 0 <= i < out[0] and 0 <= j < out[1]:
            y[image, i, j, channel] = x[image, row, column, channel]
    return y


def turn(degrees, scale, x, y):
    cos, sin = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    return np.array([[cos, -sin, 0, x], [sin, cos, 0, y], [0, 0, 1, 0], [0, 0, 0, 1]], F).reshape(1, 4, 4)


def warped(size, to, matrix):
    def make(rng):
        model, image = Model(), rng.standard_normal((1, *size)).astype(F)
        g = model.main
        ends = [g.input(image.shape, dtype=F), g.input([1, 4, 4], dtype=F)]
        y = g.output([1, *to, size[-1]], dtype=F)
        g.custom("TransformTensorBilinear", ends, [y], flexbuffers.Dumps({"output_height": to[0], "output_width": to[1]}))
        return model, [image, matrix], [transform_bilinear(image, matrix, *to)], words(image=size, to=to)

    return make


def crop(count, ends, subset, size, angle=0.0, scale=(1.5, 1.25)):
    options = dict(
        subset_idxs=list(subset),
        left_rotation_idx=ends[0],
        right_rotation_idx=ends[1],
        target_rotation_radians=angle,
        output_height=size[0],
        output_width=size[1],
        scale_x=scale[0],
        scale_y=scale[1],
    )

    def make(rng):
        model, landmarks = Model(), (rng.uniform(5, 40, (1, count, 3))).astype(F)
        g = model.main
        ends = [g.input(landmarks.shape, dtype=F)]
        g.custom("Landmarks2TransformMatrix", ends, [g.output([1, 4, 4], dtype=F)], flexbuffers.Dumps(options))
        note = words(landmarks=count, subset=len(subset), size=size, angle=angle)
        return model, [landmarks], [landmarks_to_transform(landmarks, options)], note

    return make


def attention(count, subset, size, to, channels):
    """An image, a crop of it around some landmarks, and other landmarks of the crop, back in the image."""

    def make(rng):
        model = Model()
        g = model.main
        image = rng.standard_normal((1, *size, channels)).astype(F)
        landmarks = rng.uniform(8, 24, (1, count, 3)).astype(F)
        found = rng.uniform(0, to[0], (1, 9, 3)).astype(F)
        options = dict(
            subset_idxs=list(subset), left_rotation_idx=subset[0], right_rotation_idx=subset[1], target_rotation_radians=0.0,
            output_height=to[0], output_width=to[1], scale_x=1.5, scale_y=1.5,
        )  # fmt: skip
        ends = [g.input(x.shape, dtype=F) for x in (image, landmarks, found)]
        matrix, crop_of = g.tensor([1, 4, 4], dtype=F), g.output([1, *to, channels], dtype=F)
        places = g.output(found.shape, dtype=F)
        g.custom("Landmarks2TransformMatrix", [ends[1]], [matrix], flexbuffers.Dumps(options))
        size_options = flexbuffers.Dumps({"output_height": to[0], "output_width": to[1]})
        g.custom("TransformTensorBilinear", [ends[0], matrix], [crop_of], size_options)
        g.custom("TransformLandmarks", [ends[2], matrix], [places], b"")
        m = landmarks_to_transform(landmarks, options)
        outputs = [transform_bilinear(image, m, *to), transform_landmarks(found, m)]
        return model, [image, landmarks, found], outputs, words(image=size, crop=to, subset=len(subset))

    return make


def moved(count, depth):
    def make(rng):
        model, landmarks = Model(), (rng.standard_normal((1, count, depth)) * 9).astype(F)
        g, matrix = model.main, turn(rng.uniform(0, 360), 1.5, 3, -2)
        ends = [g.input(landmarks.shape, dtype=F), g.input([1, 4, 4], dtype=F)]
        g.custom("TransformLandmarks", ends, [g.output(landmarks.shape, dtype=F)], b"")
        return model, [landmarks, matrix], [transform_landmarks(landmarks, matrix)], words(landmarks=(count, depth))

    return make


def pool_options(window, stride, same):
    return np.array([1 if same else 2, stride[1], stride[0], window[1], window[0], 0], np.int32).tobytes()


def pooled(shape, window, stride, same=True):
    def make(rng):
        # Few values, so that some are equal.
        model, x = Model(), np.round(rng.standard_normal(shape) * 2).astype(F)
        maxima, places = max_pool_with_argmax(x, window, stride, same)
        g = model.main
        outputs = [g.output(maxima.shape, dtype=F), g.output(places.shape, dtype=F)]
        g.custom("MaxPoolingWithArgmax2D", [g.input(shape, dtype=F)], outputs, pool_options(window, stride, same))
        return model, [x], [maxima, places], words(input=shape, window=window, stride=stride, same=same)

    return make


def unpooled(shape, window, stride):
    def make(rng):
        model, x = Model(), rng.standard_normal(shape).astype(F)
        places = (rng.integers(0, window[0] * window[1], shape) + 0.1).astype(F)
        y = max_unpool(x, places, window, stride)
        g = model.main
        ends = [g.input(shape, dtype=F), g.input(shape, dtype=F)]
        g.custom("MaxUnpooling2D", ends, [g.output(y.shape, dtype=F)], pool_options(window, stride, True))
        return model, [x, places], [y], words(input=shape, window=window, stride=stride)

    return make


CASES = [
    warped((5, 7, 3), (5, 7), turn(0, 1, 0, 0)),
    warped((9, 8, 2), (6, 5), turn(30, 1.2, 2, -1)),
    warped((12, 12, 8), (16, 16), turn(-75, 0.4, 3, 9)),
    warped((4, 6, 1), (7, 9), turn(180, 1, 5, 3)),
    warped((6, 6, 4), (3, 3), turn(10, 2.5, -1, 1)),
    crop(10, (0, 1), range(10), (16, 16)),
    crop(20, (4, 9), (3, 3, 17, 5), (8, 24), angle=0.7),
    crop(468, (61, 291), range(0, 468, 5), (16, 16), angle=-2.0, scale=(0.5, 3.0)),
    moved(11, 3),
    moved(6, 2),
    attention(30, (3, 9, 12, 25, 6), (32, 32), (16, 16), 8),
    pooled((1, 6, 6, 3), (2, 2), (2, 2)),
    pooled((2, 7, 5, 4), (3, 2), (2, 2)),
    pooled((1, 8, 9, 2), (3, 3), (1, 2), same=False),
    pooled((1, 5, 5, 2), (3, 3), (1, 1)),
    unpooled((1, 3, 3, 4), (2, 2), (2, 2)),
    unpooled((2, 2, 4, 3), (3, 2), (3, 2)),
    unpooled((1, 4, 3, 2), (3, 3), (2, 1)),
]


def main():
    tensors = {}
    about = {"oracle": "NumPy, after MediaPipe's sources", "made_by": "tests/oracle/make_mediapipe.py"}
    for n, make in enumerate(CASES):
        name = f"mediapipe_f32.{n:03}"
        model, inputs, outputs, about[name] = make(rng_for(name))
        tensors[f"{name}/model"] = np.frombuffer(model.to_bytes(), np.uint8)
        for kind, list_ in (("input", inputs), ("output", outputs)):
            tensors |= {f"{name}/{kind}.{i}.0": x for i, x in enumerate(list_)}
    data = safetensors(tensors, about)
    return report({ROOT / "tests/golden/ops/mediapipe_f32.safetensors": data}, "--check" in sys.argv[1:], ROOT)


if __name__ == "__main__":
    sys.exit(main())
