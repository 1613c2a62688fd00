"""Compare the reading of image files with OpenCV, on real images.

files
    All training images of ISIC 2016 part 3, as JPEG and saved again as PNG, and the
    lesion masks of as many HAM10000 images, which are PNG. skinest reads them by
    `read_image` and `read_mask`, with all its checks; OpenCV by `imread`. Both use one
    thread, and the files are in the system's cache.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import cv2
from _parts import make_parser, parse, run_part
from make_tables import FILES

from skinest.datasets import fetch_ham10000_masks, fetch_isic2016_part3
from skinest.images import read_image
from skinest.masks import read_mask

PARTS = ("files",)
READERS = {
    "skinest, images": read_image,
    "OpenCV, images": lambda path: cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB),
    "skinest, masks": read_mask,
    "OpenCV, masks": lambda path: cv2.imread(path, cv2.IMREAD_GRAYSCALE),
}


def main():
    options = parse(make_parser(__doc__, PARTS))
    with TemporaryDirectory() as folder:
        paths = list_files(options, folder)
        run_part(
            "reading",
            [f"{who}, {kind}" for kind in FILES for who in ("OpenCV", "skinest")],
            lambda side: measure(side, paths),
            options,
            n_runs=7,
            settings={"files of each kind": len(paths[FILES[0]]), "threads": 1},
        )


def list_files(options, folder):
    """Return the paths of each kind of file."""
    n_files = 50 if options.quick else None
    images = fetch_isic2016_part3(options.data_home).paths[:n_files]
    masks = fetch_ham10000_masks(options.data_home).mask_paths[: len(images)]
    saved = []
    for path in map(str, images):
        saved.append(str(Path(folder, f"{Path(path).stem}.png")))
        cv2.imwrite(saved[-1], cv2.imread(path))
    kinds = map(str, images), saved, map(str, masks)
    return dict(zip(FILES, map(list, kinds), strict=True))


def measure(side, paths):
    cv2.setNumThreads(1)
    who, kind = side.split(", ", 1)
    read = READERS[f"{who}, {'masks' if kind == FILES[2] else 'images'}"]
    for path in paths[kind][:20]:  # loads the decoder
        read(path)
    start = perf_counter()
    for path in paths[kind]:
        read(path)
    return {"ms": 1000 * (perf_counter() - start) / len(paths[kind])}


if __name__ == "__main__":
    main()
