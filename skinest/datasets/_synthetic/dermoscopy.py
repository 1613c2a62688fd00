"""The public function that generates synthetic dermoscopic images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
from sklearn.utils import Bunch

from ..._compat import Interval, StrOptions, validate_params
from ...utils._checks import check_installed, read_image_size
from .._ham10000 import TASK3_NAMES
from .description import describe
from .generation import (
    allocate_images,
    render_images,
    sample_classes,
    sample_patients,
    sample_scenes,
    sample_seed,
)
from .labels import count_classes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..._typing import Generating, ImageSize, RandomStateLike, SyntheticTask

_MIN_SIDE = 32
_MALIGNANT_FRACTION = 0.2
# Images of each of the seven diagnoses in HAM10000, and images per lesion.
_HAM10000_COUNTS = (1113, 6705, 514, 327, 1099, 115, 142)
_HAM10000_IMAGES_PER_LESION = 10015 / 7470
# The diagnoses used for benign and malignant.
_AS_DIAGNOSES = np.array([TASK3_NAMES.index("NV"), TASK3_NAMES.index("MEL")])


def _check_image_size(image_size):
    """Return `image_size` as a tuple of two integers, or raise ValueError."""
    sides = read_image_size(image_size)
    if min(sides) < _MIN_SIDE:
        raise ValueError(
            f"image_size={image_size!r}: an image needs {_MIN_SIDE} pixels or more a "
            "side."
        )
    return sides


def _check_classes(task, n_images, class_shares, malignant_fraction):
    """Return the labels of a task and the number of images of each label."""
    if task == "diagnosis":
        if malignant_fraction != _MALIGNANT_FRACTION:
            raise ValueError(
                "malignant_fraction is for benign and malignant images; with "
                "task='diagnosis' pass class_shares instead."
            )
        counts = count_classes(n_images, _check_class_shares(class_shares))
        return range(len(counts)), counts
    if class_shares is not None:
        raise ValueError(
            f"class_shares is for task='diagnosis'; with task={task!r} pass "
            "malignant_fraction instead."
        )
    n_malignant = round(malignant_fraction * n_images)
    return (1, 0), (n_malignant, n_images - n_malignant)


def _check_class_shares(class_shares):
    if class_shares is None:
        return np.array(_HAM10000_COUNTS)
    if isinstance(class_shares, str):
        return np.ones(len(TASK3_NAMES))
    shares = np.asarray(class_shares)
    if (
        shares.shape != (len(TASK3_NAMES),)
        or shares.dtype.kind not in "iuf"
        or not np.all(np.isfinite(shares) & (shares >= 0))
        or not shares.any()
    ):
        raise ValueError(
            "class_shares must be 'balanced' or one number of at least 0 for each of "
            f"{', '.join(TASK3_NAMES)}, not all of them 0; got {class_shares!r}."
        )
    shares = shares.astype(float)
    # The sum of large numbers can be infinite.
    return shares / shares.max() if shares.max() > 1e300 else shares


@overload
def make_dermoscopy(
    n_images: int = 200,
    *,
    as_frame: bool = False,
    return_X_y: Literal[False] = False,
    **options: Unpack[Generating],
) -> Bunch: ...
@overload
def make_dermoscopy(
    n_images: int = 200,
    *,
    as_frame: Literal[False] = False,
    return_X_y: Literal[True],
    **options: Unpack[Generating],
) -> tuple[NDArray[np.uint8], NDArray[Any]]: ...
@overload
def make_dermoscopy(
    n_images: int = 200,
    *,
    as_frame: Literal[True],
    return_X_y: Literal[True],
    **options: Unpack[Generating],
) -> tuple[Any, Any]: ...
@validate_params(
    {
        "n_images": [Interval(Integral, 1, None, closed="left")],
        "task": [
            StrOptions({"malignancy", "diagnosis", "lesion", "globules", "streaks"})
        ],
        "image_size": [tuple, list],
        "malignant_fraction": [Interval(Real, 0, 1, closed="both")],
        "class_shares": [StrOptions({"balanced"}), "array-like", None],
        "images_per_lesion": [
            StrOptions({"auto"}),
            Interval(Real, 1, None, closed="left"),
        ],
        "random_state": ["random_state"],
        "as_frame": ["boolean"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_dermoscopy(
    n_images: int = 200,
    *,
    task: SyntheticTask = "malignancy",
    image_size: ImageSize = (128, 128),
    malignant_fraction: float = _MALIGNANT_FRACTION,
    class_shares: ArrayLike | Literal["balanced"] | None = None,
    images_per_lesion: float | Literal["auto"] = "auto",
    random_state: RandomStateLike = None,
    as_frame: bool = False,
    return_X_y: bool = False,
) -> Bunch | tuple[Any, Any]:
    """Generate synthetic dermoscopic images, with labels, masks and lesion groups.

    Each image shows skin with hairs and one lesion. For all tasks except
    ``"diagnosis"``, the lesion is a benign or malignant pigmented lesion. Benign
    lesions tend to be symmetric, with a regular border, few colours and a regular
    network or globules. Malignant ones tend to be asymmetric, with an irregular border
    and network, streaks, and black, blue-grey, white and red areas. Both classes have a
    random severity; its two distributions overlap, so no classifier is perfect.

    For ``task="diagnosis"``, the lesion has one of the seven diagnoses of HAM10000 and
    shows its criteria more or less clearly. Nothing is downloaded.

    Parameters
    ----------
    n_images : int, default=200
        Number of images.

    task : {"malignancy", "diagnosis", "lesion", "globules", "streaks"}, \
            default="malignancy"
        The target: whether a lesion is malignant, or which of seven diagnoses it has
        (classification), or the pixels of the lesion, of globules or of streaks
        (segmentation). All tasks except ``"diagnosis"`` have the same images.

    image_size : tuple of (int, int), default=(128, 128)
        Height and width in pixels, each at least 32. All sizes with the same aspect
        ratio show the same scenes.

    malignant_fraction : float in [0, 1], default=0.2
        Fraction of malignant images. Their number is exactly
        ``round(malignant_fraction * n_images)``, in random order. Not for
        ``task="diagnosis"``.

    class_shares : "balanced" or array-like of shape (7,), default=None
        Relative frequencies of the seven diagnoses, in the order of `target_names`.
        None uses those of HAM10000, in which two thirds are nevi; ``"balanced"`` uses
        equal frequencies. Numbers of images are rounded by the largest remainder. If
        there are enough images, each diagnosis with a frequency above 0 has at least
        one image. Only for ``task="diagnosis"``.

    images_per_lesion : float or "auto", default="auto"
        Mean number of images per lesion, at least 1. With 1, each image shows a
        different lesion. ``"auto"`` is 10015 / 7470 = 1.34, as in HAM10000, for
        ``task="diagnosis"``, and 1 for the other tasks.

    random_state : int, RandomState instance or None, default=None
        Seed of the images. With None, every call gives different images. The global
        state of NumPy is neither read nor changed.

    as_frame : bool, default=False
        Whether to return the images with age, sex and site of the patients as a pandas
        ``DataFrame``, and the target as a ``Series``.

    return_X_y : bool, default=False
        Whether to return ``(X, y)`` instead of a `Bunch`. `X` has the images, or the
        table if `as_frame` is True. `y` has the target, or the masks if `task` is a
        segmentation task. The lesion groups are not returned.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        images : ndarray of shape (n_images, height, width, 3), dtype uint8
            The images, RGB, 0 to 255.
        masks : ndarray of shape (n_images, height, width), dtype uint8
            The masks, with 255 for marked pixels and 0 elsewhere. Missing if `task` is
            ``"malignancy"`` or ``"diagnosis"``.
        target : ndarray or Series of shape (n_images,), dtype int
            The class of each image, as an index into `target_names`.
        target_names : list of str
            ``["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]``, as in
            :func:`fetch_isic2018_task3`, if `task` is ``"diagnosis"``. For all other
            tasks ``["benign", "malignant"]``.
        groups : ndarray of shape (n_images,), dtype object
            The lesion (str) that each image shows. Pass it as `groups` when you split
            the images.
        data : DataFrame of shape (n_images, 4)
            If `as_frame` is True: the columns ``"image"`` (one array per cell, which
            every estimator of skinest accepts), ``"age"`` (float, years, in steps of
            five), ``"sex"`` (``"female"`` or ``"male"``) and ``"site"`` (one of the
            14 words of HAM10000). Some ages, sexes and sites are missing: NaN.
        frame : DataFrame of shape (n_images, 5)
            If `as_frame` is True: `data` with a column ``"target"``.
        DESCR : str
            A description of the images.

    (X, y) : tuple
        Only this tuple, if `return_X_y` is True.

    Raises
    ------
    ValueError
        If an argument is out of range, or is not for this task.
    ImportError
        If `as_frame` is True and pandas is not installed.

    See Also
    --------
    fetch_isic2016_part3 : Real dermoscopic images, benign and malignant.
    fetch_isic2018_task3 : Real dermoscopic images of the seven diagnoses.
    fetch_ham10000_masks : Real dermoscopic images with masks of the lesions.

    Notes
    -----
    With an integer `random_state`, each image depends on the seed, on its index and
    on its class only, and so do its mask, age, sex and site: a larger `n_images`
    starts with the same images, except a few whose class changes because the numbers of
    images per class are exact. A larger `malignant_fraction` changes benign images to
    malignant ones, never the reverse. If lesions have several images, the lesion of an
    image also depends on the classes of the images before it, so a few more may change.

    The signs of malignancy are those of the ABCD rule [1]_: asymmetry,
    border, colours and dermoscopic structures.

    The diagnoses show the criteria of [2]_, [3]_ and [4]_. MEL and NV are the
    malignant and benign lesions of the other tasks; the others have neither streaks
    nor globules, and a network only in DF:

    - BCC: branching (arborising) vessels, blue-grey ovoid nests, leaf-like areas and
      ulcers, on a pink lesion without a sharp border;
    - AKIEC: scale, pale follicles in red (strawberry pattern), dotted vessels, in
      part brown pigment, among freckles on mottled skin;
    - BKL: milia-like cysts, comedo-like openings, fissures and ridges, and a sharp,
      moth-eaten border;
    - DF: a white centre like a scar in a delicate network;
    - VASC: red, purple or black lacunae, in part under a veil.

    A further image of a lesion shows it rotated, shifted and at another scale, with
    another light and other hairs; the mask changes in the same way. As in HAM10000,
    most lesions have one image, some have two, and few have more: the numbers have a
    geometric distribution. So a split by image leaks, and a split by `groups` does not.

    Age, sex and site depend on the diagnosis: patients with BCC, AKIEC and BKL are
    older, those with NV younger; BCC, AKIEC and BKL are more often on the face, DF on
    the legs. The numbers are rounded; together they give the mean age, the fraction of
    men and the most frequent sites of HAM10000 [5]_. Benign lesions have those of NV,
    malignant ones those of MEL. Age and sex are missing for 2 % of the lesions, the
    site for 5 %, more than in HAM10000, so that small sets have some.

    The mask of a lesion has the pixels of which it covers at least half. The masks of
    globules and streaks imitate observers who mark whole areas [6]_: a pixel is marked
    if the structure, averaged over a small neighbourhood, darkens the image by at least
    1/40 of its range. So marked areas are rounded, slightly wider than the structure,
    and near structures are joined. Structures are not marked if they are faint, small
    and isolated, or hidden by a veil, a scar, black pigment or the dark corners. As in
    real images, marked pixels are rare: with the default `malignant_fraction`, about
    half of the images have globules and a third have streaks, on 1 to 2 % of all
    pixels. All sizes with the same aspect ratio have the same masks.

    References
    ----------
    .. [1] Nachbar, F., Stolz, W., Merkle, T., et al. (1994). The ABCD rule of
       dermatoscopy. Journal of the American Academy of Dermatology, 30(4),
       551-559.

    .. [2] Argenziano, G., Soyer, H. P., Chimenti, S., et al. (2003). Dermoscopy of
       pigmented skin lesions: Results of a consensus meeting via the Internet.
       Journal of the American Academy of Dermatology, 48(5), 679-693.

    .. [3] Zalaudek, I., Giacomel, J., Argenziano, G., et al. (2006). Dermoscopy of
       facial nonpigmented actinic keratosis. British Journal of Dermatology, 155(5),
       951-956.

    .. [4] Zaballos, P., Puig, S., Llambrich, A., and Malvehy, J. (2008). Dermoscopy
       of dermatofibromas: A prospective morphological study of 412 cases. Archives
       of Dermatology, 144(1), 75-83.

    .. [5] Tschandl, P., Rosendahl, C., and Kittler, H. (2018). The HAM10000
       dataset, a large collection of multi-source dermatoscopic images of common
       pigmented skin lesions. Scientific Data 5, 180161.

    .. [6] Gutman, D., Codella, N. C. F., Celebi, E., et al. (2016). Skin Lesion
       Analysis toward Melanoma Detection: A Challenge at the International
       Symposium on Biomedical Imaging (ISBI) 2016, hosted by the International
       Skin Imaging Collaboration (ISIC). arXiv:1605.01397.

    Examples
    --------
    >>> import numpy as np
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

    Images of seven diagnoses, some of which show the same lesion:

    >>> data = make_dermoscopy(n_images=100, task="diagnosis", random_state=0)
    >>> np.bincount(data.target)
    array([11, 67,  5,  3, 11,  1,  2])
    >>> len(set(data.groups))
    75

    Images with age, sex and site:

    >>> X, y = make_dermoscopy(n_images=10, as_frame=True, return_X_y=True)
    >>> list(X.columns)
    ['image', 'age', 'sex', 'site']
    """
    image_size = _check_image_size(image_size)
    n_images = int(n_images)
    labels, counts = _check_classes(task, n_images, class_shares, malignant_fraction)
    if as_frame:
        check_installed("pandas", "make_dermoscopy(as_frame=True)")
    if images_per_lesion == "auto":
        images_per_lesion = _HAM10000_IMAGES_PER_LESION if task == "diagnosis" else 1
    # First, because it may not fit in memory.
    images, masks = allocate_images(task, n_images, image_size)
    seed = sample_seed(random_state)
    target, first = sample_classes(seed, labels, counts, images_per_lesion)
    scenes = sample_scenes(seed, task, target, first)
    render_images(task, scenes, images, masks)
    data = Bunch(images=images, target=target)
    if masks is not None:
        data.masks = masks
    if task == "diagnosis":
        data.target_names = list(TASK3_NAMES)
    else:
        data.target_names = ["benign", "malignant"]
    data.groups = np.array([f"L{i:07d}" for i in first], dtype=object)
    if as_frame:
        diagnoses = target if task == "diagnosis" else _AS_DIAGNOSES[target]
        _add_frame(data, sample_patients(seed, diagnoses, first))
    data.DESCR = describe(task, data)
    if not return_X_y:
        return data
    return (
        data.data if as_frame else images,
        data.target if masks is None else masks,
    )


def _add_frame(data, patients):
    """Add a table of images, patients and target."""
    import pandas as pd

    # One object per cell: pandas would read an array of all images as a table.
    cells = pd.Series(list(data.images), dtype=object)
    data.data = pd.concat([cells.rename("image"), pd.DataFrame(patients)], axis=1)
    data.target = pd.Series(data.target, name="target")
    data.frame = pd.concat([data.data, data.target], axis=1)
