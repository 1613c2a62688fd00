"""Synthetic dermoscopic images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from ._synthetic_layers import Canvas
from ._synthetic_masks import draw_mask
from ._synthetic_rendering import render
from ._synthetic_scene import draw_scene

_MIN_SIDE = 32
_DESCR = """\
Synthetic dermoscopic images
----------------------------

{n_images} drawn images of {height} x {width} pixels, RGB, uint8: {n_benign} benign
and {n_malignant} malignant. Benign lesions tend to be symmetric, with a regular
border, few colours and a regular network or globules; malignant ones tend to be
asymmetric, with an irregular border and network, streaks, and black, blue-grey,
white and red areas. The two classes overlap. No image shows a real patient, and
nothing learned from them holds for one.
"""
_MASKS_DESCR = """
Each image has a mask of {marked}: 255 where marked, 0 elsewhere. In {n_marked} of the
masks something is marked; over all masks it is {share:.1%} of the pixels.
"""
_MARKED = {"lesion": "its lesion", "globules": "globules", "streaks": "streaks"}


def _check_image_size(image_size):
    """Return `image_size` as a tuple of two integers, or say what is wrong."""
    sides = tuple(image_size)
    if len(sides) != 2 or not all(
        isinstance(side, Integral) and side >= _MIN_SIDE for side in sides
    ):
        raise ValueError(
            "image_size must be (height, width), two integers of at least "
            f"{_MIN_SIDE} pixels; got {image_size!r}."
        )
    return sides


def _image_generators(random_state, n_images):
    """One independent generator per image, which depends on its index alone."""
    if random_state is None:
        # check_random_state(None) would draw from NumPy's global generator.
        seed = np.random.SeedSequence().entropy
    else:
        seed = int(check_random_state(random_state).randint(2**31 - 1))
    return [np.random.default_rng([seed, i]) for i in range(n_images)]


def _draw_target(rngs, malignant_fraction):
    """Label as malignant the images whose first draw is smallest."""
    n_malignant = round(malignant_fraction * len(rngs))
    target = np.zeros(len(rngs), dtype=int)
    target[np.argsort([rng.random() for rng in rngs])[:n_malignant]] = 1
    return target


@validate_params(
    {
        "n_images": [Interval(Integral, 1, None, closed="left")],
        "task": [StrOptions({"malignancy", "lesion", "globules", "streaks"})],
        "image_size": [tuple, list],
        "malignant_fraction": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_dermoscopy(
    n_images=200,
    *,
    task="malignancy",
    image_size=(128, 128),
    malignant_fraction=0.2,
    random_state=None,
    return_X_y=False,
):
    """Draw synthetic dermoscopic images, with labels and masks.

    Each image shows skin with hairs and one pigmented lesion. Benign lesions
    tend to be symmetric, with a regular border, few colours and a regular
    network or globules; malignant ones tend to be asymmetric, with an irregular
    border and network, streaks, and black, blue-grey, white and red areas. Both
    come from one severity scale whose distributions overlap, so that no
    classifier is perfect. Nothing is downloaded.

    Parameters
    ----------
    n_images : int, default=200
        Number of images.

    task : {"malignancy", "lesion", "globules", "streaks"}, default="malignancy"
        What is to be learned: whether a lesion is malignant (classification), or
        which pixels show the lesion, globules or streaks (segmentation). The
        images do not depend on it.

    image_size : tuple of (int, int), default=(128, 128)
        Height and width in pixels, each at least 32. The same scenes are drawn
        at every size of the same proportions.

    malignant_fraction : float in [0, 1], default=0.2
        Share of malignant images: exactly
        ``round(malignant_fraction * n_images)``, in shuffled order.

    random_state : int, RandomState instance or None, default=None
        Seed of all that is drawn. With None every call draws other images; the
        global state of NumPy is neither read nor changed.

    return_X_y : bool, default=False
        Return ``(images, target)`` instead of a `Bunch`, or ``(images, masks)`` if
        `task` asks for masks.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        images : ndarray of shape (n_images, height, width, 3), dtype uint8
            The images, RGB, 0 to 255.
        masks : ndarray of shape (n_images, height, width), dtype uint8
            The masks, 255 on what is marked and 0 elsewhere; not there if `task`
            is ``"malignancy"``.
        target : ndarray of shape (n_images,), dtype int
            0 for benign, 1 for malignant, whatever the task.
        target_names : list of str
            ``["benign", "malignant"]``.
        DESCR : str
            A description of the images.

    (images, target) or (images, masks) : tuple of ndarrays
        Only these two, if `return_X_y` is True.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    See Also
    --------
    fetch_isic2016_part3 : Real dermoscopic images with the same two classes.
    fetch_ham10000_masks : Real dermoscopic images with masks of the lesions.

    Notes
    -----
    With an integer `random_state`, image ``i`` depends on the seed, on ``i`` and
    on its label only, and so does its mask: a larger `n_images` begins with the same
    images, save the few whose label changes because the number of malignant ones is
    exact. A larger `malignant_fraction` turns benign images malignant, never the
    reverse.

    The signs of malignancy drawn are those of the ABCD rule [1]_: asymmetry,
    border, colours and dermoscopic structures.

    The mask of a lesion is where it covers at least half of the skin. Globules and
    streaks are marked as observers do it who mark whole areas [2]_: where, averaged
    over a small neighbourhood, they darken the image by at least a fortieth of its
    range, so that the marks are rounded blobs, somewhat wider than what they stand
    for, and neighbours run together. What is faint, or small and alone, or hidden by
    a veil, a scar, black pigment or the dark corners stays unmarked. Marks are thus
    sparse, as in real images: with the default `malignant_fraction` about half of the
    images have globules marked, and a third streaks, on one to two per cent of all
    pixels. The masks are the same at every size of the same proportions.

    References
    ----------
    .. [1] Nachbar, F., Stolz, W., Merkle, T., et al. (1994). The ABCD rule of
       dermatoscopy. Journal of the American Academy of Dermatology, 30(4),
       551-559.

    .. [2] Gutman, D., Codella, N. C. F., Celebi, E., et al. (2016). Skin Lesion
       Analysis toward Melanoma Detection: A Challenge at the International
       Symposium on Biomedical Imaging (ISBI) 2016, hosted by the International
       Skin Imaging Collaboration (ISIC). arXiv:1605.01397.

    Examples
    --------
    >>> from skinest.datasets import make_dermoscopy
    >>> data = make_dermoscopy(n_images=10, malignant_fraction=0.3, random_state=0)
    >>> data.images.shape
    (10, 128, 128, 3)
    >>> int(data.target.sum())
    3
    >>> images, target = make_dermoscopy(n_images=10, return_X_y=True)

    Images with masks of their globules:

    >>> images, masks = make_dermoscopy(n_images=10, task="globules", return_X_y=True)
    >>> masks.shape
    (10, 128, 128)
    """
    height, width = _check_image_size(image_size)
    rngs = _image_generators(random_state, n_images)
    target = _draw_target(rngs, malignant_fraction)
    canvas = Canvas(height, width)
    images = np.empty((n_images, height, width, 3), dtype=np.uint8)
    masks = np.empty((n_images, height, width), dtype=np.uint8)
    for i, (rng, malignant) in enumerate(zip(rngs, target, strict=True)):
        scene = draw_scene(rng, malignant)
        images[i], lesion = render(scene, canvas)
        if task != "malignancy":
            masks[i] = draw_mask(task, scene, lesion)
    if return_X_y:
        return images, target if task == "malignancy" else masks
    description = _describe(target, height, width)
    data = Bunch(images=images)
    if task != "malignancy":
        data.masks = masks
        description += _describe_masks(task, masks)
    data.update(target=target, target_names=["benign", "malignant"], DESCR=description)
    return data


def _describe(target, height, width):
    n_malignant = int(target.sum())
    return _DESCR.format(
        n_images=len(target),
        height=height,
        width=width,
        n_benign=len(target) - n_malignant,
        n_malignant=n_malignant,
    )


def _describe_masks(task, masks):
    return _MASKS_DESCR.format(
        marked=_MARKED[task],
        n_marked=np.count_nonzero(masks.any(axis=(1, 2))),
        share=np.count_nonzero(masks) / masks.size,
    )
