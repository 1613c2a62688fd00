"""The text `DESCR` of synthetic dermoscopic images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

_MALIGNANCY = """\
Synthetic dermoscopic images
----------------------------

{size}: {benign} benign
and {malignant} malignant. Benign lesions tend to be symmetric, with a regular
border, few colours and a regular network or globules; malignant ones tend to be
asymmetric, with an irregular border and network, streaks, and black, blue-grey,
white and red areas. The two classes overlap. No image shows a real patient, and
nothing learned from them holds for real patients.
"""
_DIAGNOSIS = """\
Synthetic dermoscopic images of seven diagnoses
-----------------------------------------------

{size}:
{MEL} MEL, {NV} NV, {BCC} BCC, {AKIEC} AKIEC, {BKL} BKL, {DF} DF, {VASC} VASC.
Typical signs of the diagnoses:

- MEL, melanoma: asymmetry, irregular border and network, streaks, and black,
  blue-grey, white and red areas
- NV, melanocytic nevus: symmetry, few colours, a regular network or globules
- BCC, basal cell carcinoma: branching vessels, blue-grey nests, leaf-like areas and
  ulcers, on pink and without a network
- AKIEC, actinic keratosis or Bowen's disease: scale, pale follicles in red, and
  dotted vessels, on sun-damaged skin
- BKL, benign keratosis: milia-like cysts, comedo-like openings, fissures and ridges,
  and a sharp, moth-eaten border
- DF, dermatofibroma: a white central patch like a scar, and a delicate network
- VASC, vascular lesion: red, purple or black lacunae

Not every image shows them clearly, so the classes overlap. No image shows a real
patient, and nothing learned from them holds for real patients.
"""
_SIZE = "{n_images} synthetic images of {height} x {width} pixels, RGB, uint8"
_LESIONS = """
The images show {n_lesions} lesions: use `groups` whenever you split the images.
"""
_MASKS = """
Each image has a mask of {marked}: 255 where marked, 0 elsewhere. {n_marked} of
the masks have marked pixels, which are {share:.1%} of all pixels.
"""
_MARKED = {"lesion": "its lesion", "globules": "globules", "streaks": "streaks"}
_FRAME = """
Age (years), sex and site depend on the diagnosis; unknown values are NaN.
"""


def describe(task, data):
    """Describe the images of a task, from the Bunch that holds them."""
    n_images, height, width, _ = data.images.shape
    counts = np.bincount(data.target, minlength=len(data.target_names))
    template = _DIAGNOSIS if task == "diagnosis" else _MALIGNANCY
    text = template.format(
        size=_SIZE.format(n_images=n_images, height=height, width=width),
        **dict(zip(data.target_names, counts, strict=True)),
    )
    n_lesions = len(set(data.groups))
    if n_lesions < n_images:
        text += _LESIONS.format(n_lesions=n_lesions)
    if "masks" in data:
        text += _MASKS.format(
            marked=_MARKED[task],
            n_marked=np.count_nonzero(data.masks.any(axis=(1, 2))),
            share=np.count_nonzero(data.masks) / data.masks.size,
        )
    if "frame" in data:
        text += _FRAME
    return text
