#!/usr/bin/env python3
"""Makes the demonstration pictures from the ones inside the scikit-image wheel.

    pip download --no-deps scikit-image==0.24.0 && unzip scikit_image-*.whl
    python3 pictures.py skimage/data        # needs Pillow

Each picture: to grey, the middle square, to 96 x 96 by area averaging, binary PGM.
"""

import pathlib
import sys

from PIL import Image

HERE = pathlib.Path(__file__).parent

for source, name in [("astronaut", "astronaut"), ("chelsea", "cat")]:
    image = Image.open(pathlib.Path(sys.argv[1]) / f"{source}.png").convert("L")
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    small = square.resize((96, 96), Image.Resampling.BOX)
    (HERE / f"{name}.pgm").write_bytes(b"P5\n96 96\n255\n" + small.tobytes())
