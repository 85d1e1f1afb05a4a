"""The post-processing of detectors: boxes from anchors, without those that overlap a better one."""

import numpy as np
from flatbuffers import flexbuffers

from .common import Case, Model, operator

F = np.float32


@operator
def detections_f32():
    """Elements after the last detection are not defined unless each class is searched apart."""

    def case(n, classes, background=True, count=10, score=0.0, overlap=0.6, per_class=None, width=4):
        def make(rng):
            model = Model()
            g = model.main
            boxes = g.input([1, n, width], dtype=F)
            scores = g.input([1, n, classes + background], dtype=F)
            # Anchors of a grid, of two sizes, that overlap.
            side = int(np.ceil(np.sqrt(n / 2)))
            grid = [[(y + 0.5) / side, (x + 0.5) / side] for y in range(side) for x in range(side)]
            anchors = [[*place, size * 2 / side, size * 1.5 / side] for place in grid for size in (1.0, 1.6)][:n]
            anchors = g.const(np.array(anchors, F))
            outputs = [g.output(shape, dtype=F) for shape in ([1, count, 4], [1, count], [1, count], [1])]
            options = dict(
                max_detections=count,
                max_classes_per_detection=1,
                use_regular_nms=per_class is not None,
                nms_score_threshold=score,
                nms_iou_threshold=overlap,
                num_classes=classes,
                y_scale=10.0,
                x_scale=10.0,
                h_scale=5.0,
                w_scale=5.0,
            )
            if per_class is not None:
                options["detections_per_class"] = per_class
            g.custom("TFLite_Detection_PostProcess", [boxes, scores, anchors], outputs, flexbuffers.Dumps(options))
            moved = rng.normal(0, 2, [1, n, width]).astype(F)
            # Some scores are equal.
            likely = (rng.integers(0, 200, [1, n, classes + background]) / 200).astype(F)
            note = f"{n} anchors, {classes} classes, " + ", ".join(f"{k} {v}" for k, v in options.items())
            return Case(model, note, inputs=[[moved, likely]])

        return make

    yield case(40, 3)
    yield case(40, 3, background=False)
    yield case(100, 1, overlap=0.3)
    yield case(64, 20, count=5, width=6)
    yield case(300, 2, count=25, overlap=0.9)
    yield case(40, 3, per_class=4)
    yield case(40, 3, per_class=100, background=False, score=0.7)
    yield case(12, 5, per_class=2, count=30, score=0.5)
    yield case(30, 2, per_class=1, score=0.999)
    yield case(200, 4, per_class=20, count=10, overlap=0.4)
