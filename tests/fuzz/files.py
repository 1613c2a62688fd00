"""Cases of damaged image files, through all public readers."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from skinest.images import check_images, list_unreadable, read_image
from skinest.masks import check_masks, read_mask
from tests.fuzz.mutations import make_rng, mutate
from tests.fuzz.reporting import Fault, check_message
from tests.image_files import CASES


def write_bases(folder):
    """Write the undamaged files, once."""
    folder.mkdir()
    for name, case in CASES.items():
        case.write(folder / name)


def run(reporter, numbers, folder, seed):
    contents = [path.read_bytes() for path in sorted((folder / "bases").iterdir())]
    path = folder / f"damaged-{numbers.start}.png"  # readers ignore the extension
    for number in numbers:
        path.write_bytes(mutate(contents, make_rng(int(seed), number)))
        reporter.run(number, read, str(path))


def read(path, warned):
    """Read a file by all readers, and compare what they say."""
    image, error = attempt(read_image, path, repr(path))
    has_warned = bool(warned)
    check_pixels(image)
    if image is not None:
        again = check_images([path])[0]
        if not np.array_equal(again, image):
            raise Fault("check_images reads other pixels than read_image")
    else:
        attempt(lambda p: check_images([p])[0], path, f"X[0]: {path!r}", fails=True)
    listed = list_unreadable([path])
    if bool(listed) != (error is not None or has_warned):
        raise Fault(f"list_unreadable says {listed}, read_image {error}")
    mask, _ = attempt(read_mask, path, repr(path))
    if mask is not None and not np.array_equal(check_masks([path])[0], mask):
        raise Fault("check_masks reads other labels than read_mask")
    if mask is not None and (mask.ndim != 2 or mask.dtype.kind not in "biu"):
        raise Fault(f"a mask of shape {mask.shape} and type {mask.dtype}")
    for warning in warned:
        check_warning(warning, path)
    return "error" if image is None else "warning" if has_warned else "image"


def attempt(reader, path, name, *, fails=False):
    """Return what a reader gives, or the error. Both is a Fault."""
    try:
        result = reader(path)
    except (ValueError, FileNotFoundError) as error:
        check_message(error, name)
        return None, error
    if fails:
        raise Fault("check_images reads a file that read_image refuses")
    return result, None


def check_warning(warning, path):
    if warning.category is not UserWarning or repr(path) not in str(warning.message):
        raise Fault(f"{warning.category.__name__}: {warning.message}")


def check_pixels(image):
    if image is None:
        return
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise Fault(f"an image of shape {image.shape} and type {image.dtype}")
    if not image.size or not image.flags.c_contiguous:
        raise Fault("an image without pixels, or not in the order of C")
