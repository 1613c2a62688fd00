"""Colour of the skin around a lesion."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from .._compat import Interval, validate_params
from ..images import check_images, limit_side
from ..masks import check_mask_size, check_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._typing import ImagesLike, MasksLike

_SIDE = 512  # pixels of the longer side: enough for a median, and hairs are visible
_BLACK = 15  # lightness below which no skin is
_DARK = 0.6  # fraction of the usual lightness of the image, below which it is shaded
_HAIR_WIDTH = 0.04  # of the shorter side; wider than any hair
_HAIR_CONTRAST = 8  # in units of lightness
_N_NAMED = 5


@validate_params(
    {
        "margin": [Interval(Real, 0, 1, closed="left")],
        "min_skin": [Interval(Real, 0, 1, closed="right")],
        "ignore_label": [Integral, None],
        "mask_threshold": [Interval(Real, 0, 1, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def individual_typology_angle(
    images: ImagesLike,
    masks: MasksLike,
    *,
    margin: float = 0.05,
    min_skin: float = 0.05,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> NDArray[np.float64]:
    r"""Estimate the colour of the skin around lesions: the individual typology angle.

    .. math:: \mathrm{ITA} = \arctan\left(\frac{L^* - 50}{b^*}\right)
              \cdot \frac{180^\circ}{\pi}

    where :math:`L^*` (lightness) and :math:`b^*` (yellow against blue) are the medians
    in the CIELAB colour space of the skin around a lesion. Light skin has a large angle
    and dark skin a negative one.

    Use it to see which skin colours a data set has, and for groups of images in a
    report. It is not a measurement of one person, see the notes.

    Parameters
    ----------
    images : array, list of arrays or paths
        Images in any form that skinest accepts, see :mod:`skinest.images`.

    masks : array, list of arrays or paths
        Masks of the lesions, in any form that skinest accepts, see
        :mod:`skinest.masks`. Pixels with label 0 are skin.

    margin : float, default=0.05
        Width of the margin around lesions and dark corners that does not count, as a
        fraction of the shorter side of the image.

    min_skin : float, default=0.05
        Fraction of the pixels of an image, in (0, 1], that must be skin. If there are
        fewer, the angle is NaN.

    ignore_label : int, default=None
        Label of pixels that are not labelled. They do not count as skin.

    mask_threshold : float, default=None
        Fraction of white, in (0, 1), above which a pixel is foreground. Masks with
        smooth edges, or saved as JPEG, then have the labels 0 and 1.

    Returns
    -------
    angles : ndarray of shape (n_images,)
        In degrees, from -90 to 90. NaN if too little skin is left, or if it is not
        more yellow than blue, as skin is.

    Raises
    ------
    ValueError
        If images and masks differ in number or size, or are not valid.

    Warns
    -----
    UserWarning
        If angles are NaN, with the reason.

    See Also
    --------
    skinest.model_selection.subgroup_report : Scores of groups of images.
    skinest.UNetSegmenter : Predicts masks of lesions.

    Notes
    -----
    These pixels do not count: the lesion and its margin; black pixels, and those with
    less than 60 % of the median lightness of the rest, such as dark corners; hairs,
    glare and marks, which are thin lines or small spots that are darker or lighter than
    their neighbourhood. Images are shrunk to 512 pixels first.

    Usual groups are very light (above 55), light (41 to 55), intermediate (28 to 41),
    tan (10 to 28), brown (-30 to 10) and dark (below -30).

    The angle was defined for colorimeters on skin that was not exposed to the sun. In
    dermoscopic images it has these limits:

    - The camera, its white balance, polarised light, pressure and contact fluid change
      colours, and files do not say how. Angles of different sources cannot be compared
      without images of a colour chart. A few units of :math:`L^*` change the group.
    - Skin next to a lesion can be tanned, red or scarred, or part of the lesion.
    - Published ways to compute it from the same images disagree about the group of many
      images (Kalb et al. 2023), and it agrees less with dermatologists' labels than
      these do with each other (Groh et al. 2022).
    - It is about colour only. It is not ethnicity, and not the Fitzpatrick skin type,
      which describes how skin reacts to the sun.

    So look at some images of each group, and do not call a group by a skin type.

    References
    ----------
    A. Chardon, I. Cretois and C. Hourseau, "Skin colour typology and suntanning
    pathways", International Journal of Cosmetic Science, 1991.

    T. Kalb et al., "Revisiting skin tone fairness in dermatological lesion
    classification", FAIMI workshop at MICCAI, 2023.

    M. Groh et al., "Towards transparency in dermatology image datasets with skin tone
    annotations by experts, crowds, and an algorithm", Proceedings of the ACM on
    Human-Computer Interaction, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.feature_extraction import individual_typology_angle
    >>> light, dark = np.full((2, 40, 40, 3), [[[232, 190, 172]]], dtype=np.uint8)
    >>> dark[:] = 96, 64, 48
    >>> mask = np.zeros((40, 40), dtype=np.uint8)
    >>> mask[15:25, 15:25] = 255
    >>> individual_typology_angle([light, dark], [mask, mask]).round()
    array([ 64., -52.])
    """
    collection = check_images(images, name="images")
    lesions = check_masks(
        masks, name="masks", ignore_label=ignore_label, mask_threshold=mask_threshold
    )
    if len(collection) != len(lesions):
        raise ValueError(
            f"images has {len(collection)} images, but masks has {len(lesions)} masks. "
            "Pass one mask per image."
        )
    angles, reasons = np.full(len(collection), np.nan), {}
    for position, image in enumerate(collection):
        mask = lesions[position]
        names = lesions.where(position), collection.where(position)
        check_mask_size(mask, image, *names)
        skin = _find_skin(image, mask != 0, margin, min_skin)
        if skin is None:
            reasons[position] = "too little skin is left"
            continue
        lightness, _, yellow = np.median(skin, axis=0)
        if yellow <= 0:
            reasons[position] = "the skin is not more yellow than blue"
            continue
        angles[position] = np.degrees(np.arctan((lightness - 50) / yellow))
    _warn_of_missing(reasons, len(angles))
    return angles


def _find_skin(image, is_lesion, margin, min_skin):
    """Return the pixels that are skin, in CIELAB, or None if they are too few."""
    import cv2

    image = limit_side(image, _SIDE)
    size = image.shape[1::-1]
    is_lesion = cv2.resize(
        is_lesion.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST
    )
    # From linear RGB: the tables of OpenCV's other conversion have errors up to .3.
    lab = cv2.cvtColor(cv2.LUT(image, _make_linear()), cv2.COLOR_LRGB2LAB)
    radius = round(margin * min(size))
    is_skin = ~(_widen(is_lesion, radius) | _find_dark(lab[..., 0], is_lesion, radius))
    is_skin &= ~_find_hairs(lab[..., 0])
    return None if is_skin.mean() < min_skin else lab[is_skin]


def _make_linear():
    """Return the linear intensity of each value of an sRGB channel (IEC 61966-2-1)."""
    values = np.arange(256) / 255
    powers = ((values + 0.055) / 1.055) ** 2.4
    return np.where(values > 0.04045, powers, values / 12.92).astype(np.float32)


def _find_dark(lightness, is_lesion, radius):
    """Return black and shaded pixels, and a margin around areas of them."""
    import cv2

    is_lit = (lightness >= _BLACK) & (is_lesion == 0)
    usual = np.median(lightness[is_lit]) if is_lit.any() else 0.0
    is_dark = (lightness < max(_BLACK, _DARK * usual)).astype(np.uint8)
    areas = cv2.morphologyEx(is_dark, cv2.MORPH_OPEN, _make_disc(_hair_radius(is_dark)))
    return (is_dark > 0) | _widen(areas, radius)


def _find_hairs(lightness):
    """Return thin lines and small spots that differ from their neighbourhood."""
    import cv2

    disc = _make_disc(_hair_radius(lightness))
    is_thin = np.zeros(lightness.shape, dtype=bool)
    for operation in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        is_thin |= cv2.morphologyEx(lightness, operation, disc) > _HAIR_CONTRAST
    return _widen(is_thin.astype(np.uint8), 1)  # their edges are blurred


def _hair_radius(pixels):
    return max(1, round(_HAIR_WIDTH * min(pixels.shape) / 2))


def _widen(is_member, radius):
    """Return an area with the pixels up to a distance from it."""
    import cv2

    return cv2.dilate(is_member, _make_disc(radius)) > 0


def _make_disc(radius):
    import cv2

    return cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)
    )


def _warn_of_missing(reasons, n_images):
    """Warn of images without an angle: a dict of position to reason."""
    if not reasons:
        return
    parts = []
    for reason in dict.fromkeys(reasons.values()):
        missing = [position for position in reasons if reasons[position] == reason]
        named = ", ".join(map(str, missing[:_N_NAMED]))
        more = ", ..." if len(missing) > _N_NAMED else ""
        parts.append(f"{reason} at {named}{more}")
    warnings.warn(
        f"The angles of {len(reasons)} of {n_images} images are NaN: "
        f"{'; '.join(parts)}.",
        UserWarning,
        stacklevel=3,
    )
