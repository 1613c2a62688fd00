"""Synthetic dermoscopic images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from . import _synthetic_layers as layers
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

_VEIL = np.array([0.40, 0.43, 0.52], dtype=np.float32)[:, None, None]
_SCAR = np.array([0.86, 0.79, 0.76], dtype=np.float32)[:, None, None]


def _render(scene, canvas):
    """Draw a scene: uint8 array of shape (height, width, 3)."""
    rng = np.random.default_rng(scene.texture_seed)
    skin = layers.draw_skin(canvas, scene, rng)
    depth = layers.lesion_depth(canvas, scene, rng)
    mask = layers.lesion_mask(depth, scene)
    patches = layers.draw_patches(canvas, scene, rng)
    melanin = _lesion_melanin(canvas, scene, rng, depth, patches) * mask
    melanin += 0.9 * layers.draw_streaks(canvas, scene)
    blood = mask * (scene.blood + 1.1 * patches.get("blood", 0.0))
    image = skin * np.exp(
        -melanin * layers.MELANIN_ABSORPTION - blood * layers.BLOOD_ABSORPTION
    )
    for name, colour, strength in (("veil", _VEIL, 0.7), ("scar", _SCAR, 0.6)):
        if name in patches:
            image += strength * mask * patches[name] * (colour - image)
    if len(scene.hair_points):
        hairs = scene.hair_melanin * layers.draw_hairs(canvas, scene)
        image *= np.exp(-hairs * layers.MELANIN_ABSORPTION)
    image *= layers.draw_vignette(canvas, scene)
    image += 0.006 * rng.standard_normal(mask.shape, dtype=np.float32)
    np.clip(image, 0, 1, out=image)
    return np.moveaxis(255 * image + 0.5, 0, -1).astype(np.uint8)


def _lesion_melanin(canvas, scene, rng, depth, patches):
    """Melanin of the lesion before it is cut out by its mask."""
    grading = 0.65 + 0.5 * np.clip(depth, 0, 1)
    grading += scene.tilt[0] * canvas.x + scene.tilt[1] * canvas.y
    grading += scene.unevenness * 0.6 * canvas.noise(rng, 9)
    grading += (0.1 + 0.3 * scene.unevenness) * canvas.noise(rng, 30)
    melanin = scene.melanin * np.maximum(grading, 0.1)
    structures = scene.network * layers.draw_network(canvas, scene, rng)
    structures += 0.9 * layers.draw_globules(canvas, scene)
    cover = np.maximum(patches.get("veil", 0.0), patches.get("scar", 0.0))
    melanin += structures * (1.0 - 0.8 * cover)
    melanin += 1.5 * patches.get("black", 0.0) + 0.7 * patches.get("brown", 0.0)
    return melanin


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
        "task": [StrOptions({"malignancy"})],
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
    """Draw synthetic dermoscopic images of benign and malignant lesions.

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

    task : {"malignancy"}, default="malignancy"
        What `target` says: benign (0) or malignant (1).

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
        Return ``(images, target)`` instead of a `Bunch`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        images : ndarray of shape (n_images, height, width, 3), dtype uint8
            The images, RGB, 0 to 255.
        target : ndarray of shape (n_images,), dtype int
            0 for benign, 1 for malignant.
        target_names : list of str
            ``["benign", "malignant"]``.
        DESCR : str
            A description of the images.

    (images, target) : tuple of ndarrays
        Only these two, if `return_X_y` is True.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    See Also
    --------
    fetch_isic2016_part3 : Real dermoscopic images with the same two classes.

    Notes
    -----
    With an integer `random_state`, image ``i`` depends on the seed, on ``i`` and
    on its label only: a larger `n_images` begins with the same images, save the
    few whose label changes because the number of malignant ones is exact. A
    larger `malignant_fraction` turns benign images malignant, never the reverse.

    The signs of malignancy drawn are those of the ABCD rule [1]_: asymmetry,
    border, colours and dermoscopic structures.

    References
    ----------
    .. [1] Nachbar, F., Stolz, W., Merkle, T., et al. (1994). The ABCD rule of
       dermatoscopy. Journal of the American Academy of Dermatology, 30(4),
       551-559.

    Examples
    --------
    >>> from skinest.datasets import make_dermoscopy
    >>> data = make_dermoscopy(n_images=10, malignant_fraction=0.3, random_state=0)
    >>> data.images.shape
    (10, 128, 128, 3)
    >>> int(data.target.sum())
    3
    >>> images, target = make_dermoscopy(n_images=10, return_X_y=True)
    """
    height, width = _check_image_size(image_size)
    rngs = _image_generators(random_state, n_images)
    target = _draw_target(rngs, malignant_fraction)
    canvas = layers.Canvas(height, width)
    images = np.empty((n_images, height, width, 3), dtype=np.uint8)
    for image, rng, malignant in zip(images, rngs, target, strict=True):
        image[...] = _render(draw_scene(rng, malignant), canvas)
    if return_X_y:
        return images, target
    n_malignant = int(target.sum())
    return Bunch(
        images=images,
        target=target,
        target_names=["benign", "malignant"],
        DESCR=_DESCR.format(
            n_images=n_images,
            height=height,
            width=width,
            n_benign=n_images - n_malignant,
            n_malignant=n_malignant,
        ),
    )
