"""Display of the image areas that a network uses, by Grad-CAM."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..images import check_images
from ..utils._checks import check_fitted
from ..utils._columns import check_takes_images
from ._class_scores import find_class_index
from ._gradcam_maps import compute_maps, find_finer_layer, find_layer, scale_map
from ._grid import check_plotting, merge_style, plot_images
from ._reading import read_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.colors import Colormap
    from numpy.typing import ArrayLike, NDArray

    from .._typing import AxesLike, Image, ImagesLike, StyleDict

_USEFUL_SIDE = 7  # rows and columns of MobileNetV2's last maps at its usual image size


class GradCAMDisplay:
    """Images with Grad-CAM heat maps of the evidence for a class.

    Grad-CAM multiplies each feature map of the last convolution by the mean gradient of
    the class score with respect to this map. The heat map is the positive part of the
    sum of these products. Create the display by :meth:`from_estimator`, or by
    :meth:`from_maps` for existing maps. The parameters are stored as attributes.

    Parameters
    ----------
    images : list of ndarray of shape (height, width, 3), dtype uint8
        The images.

    maps : list of ndarray of shape (height, width), dtype float32
        The heat map of each image, with its size and with values in [0, 1].

    titles : list of str, default=None
        Title of each image.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure that holds the plots.

    axes_ : ndarray of shape (n_images,), dtype object
        One matplotlib Axes per image.

    overlays_ : list of matplotlib AxesImage
        The heat maps.

    See Also
    --------
    OcclusionDisplay : For any classifier of images.
    TrainingHistoryDisplay : Loss and metrics by epoch.

    Notes
    -----
    Each map is divided by its own maximum, so you can compare areas of one image but
    not different images. A map of zeros means that the layer has no evidence for the
    class.

    A map is as coarse as the feature maps of the layer. Those of the last convolution
    have one cell for 16 x 16 pixels of the network's input in VGG16 and VGG19, and for
    32 x 32 pixels in MobileNetV2: with `image_size=(224, 224)` 14 x 14 and 7 x 7 cells,
    with 96 pixels only 6 x 6 and 3 x 3. Cells at the border are also influenced by the
    padding of the convolutions. With few cells, use a larger `image_size` or an earlier
    `layer`. Feature maps of an earlier layer are finer, but less specific to the
    classes.

    References
    ----------
    R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
    gradient-based localization", ICCV 2017, arXiv:1610.02391.

    Examples
    --------
    >>> from skinest import TransferClassifier
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.inspection import GradCAMDisplay
    >>> images, y = make_dermoscopy(20, random_state=0, return_X_y=True)
    >>> classifier = TransferClassifier(
    ...     "mobilenetv2", weights=None, image_size=(32, 32), pooling="avg",
    ...     hidden_units=(), epochs=1, random_state=0,
    ... ).fit(images, y)
    >>> display = GradCAMDisplay.from_estimator(classifier, images[:3], target=1)
    >>> len(display.axes_), display.maps[0].shape
    (3, (128, 128))

    Existing maps of any size:

    >>> import numpy as np
    >>> coarse = np.zeros((2, 7, 7))
    >>> coarse[:, 2:5, 2:5] = 3.0
    >>> display = GradCAMDisplay.from_maps(images[:2], coarse, titles=["a", "b"])
    >>> display.maps[0].shape, float(display.maps[0].max())
    ((128, 128), 1.0)
    """

    def __init__(
        self,
        images: Sequence[Image],
        maps: Sequence[NDArray[np.float32]],
        *,
        titles: Sequence[str] | None = None,
    ) -> None:
        self.images = images
        self.maps = maps
        self.titles = titles

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ImagesLike,
        *,
        target: Any = None,
        layer: str | None = None,
        ax: AxesLike = None,
        max_cols: int = 4,
        alpha: float = 0.6,
        cmap: str | Colormap = "jet",
        im_kw: StyleDict = None,
    ) -> Self:
        """Compute and plot the maps of a fitted classifier.

        Parameters
        ----------
        estimator : TransferClassifier
            A fitted classifier.

        X : array, list of arrays or paths of length n_images
            The images, see :mod:`skinest.images`. All of them are plotted.

        target : label, default=None
            The class whose evidence is shown, one of `estimator.classes_`. None means
            the predicted class of each image.

        layer : str, default=None
            The name of the layer of `estimator.model_` whose feature maps are used. All
            paths through the network must lead through it. None means the last layer
            with feature maps that is not a pooling layer, "block5_conv3" of VGG16 and
            "out_relu" of MobileNetV2. Layers with finer maps are "block4_conv3" and
            "block_13_expand_relu".

        ax, max_cols, alpha, cmap, im_kw : object
            Passed to :meth:`plot`.

        Returns
        -------
        display : GradCAMDisplay
            Each title has the class and its predicted probability. With
            `n_prediction_views`, this is the mean over all views; the map is that of
            the image itself.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is not a classifier with a network, or takes columns of a
            table by a :class:`~sklearn.compose.ColumnTransformer`.
        ValueError
            If `X` does not contain images, `target` is not a class, or `layer` is
            unknown or not on all paths through the network.

        Warns
        -----
        UserWarning
            If `layer` is None and the maps have fewer than 7 rows or columns.
        """
        check_plotting(f"{cls.__name__}.from_estimator", max_cols)
        _check_estimator(estimator)
        wanted = None
        if target is not None:
            wanted = find_class_index(estimator.classes_, target)
        found = find_layer(estimator.model_, layer)
        if layer is None and min(found.sides) < _USEFUL_SIDE:
            _warn_of_coarse_maps(estimator.model_, found)
        images, for_estimator = read_images(X)
        probabilities = estimator.predict_proba(for_estimator)
        shown = np.argmax(probabilities, axis=1)
        if wanted is not None:
            shown[:] = wanted
        maps = compute_maps(estimator.model_, found, images, shown)
        titles = [
            f"{estimator.classes_[k]} ({row[k]:.2f})"
            for k, row in zip(shown, probabilities, strict=True)
        ]
        return cls(images, maps, titles=titles).plot(
            ax=ax, max_cols=max_cols, alpha=alpha, cmap=cmap, im_kw=im_kw
        )

    @classmethod
    def from_maps(
        cls,
        images: ImagesLike,
        maps: Sequence[ArrayLike] | NDArray[Any],
        *,
        titles: Sequence[str] | None = None,
        ax: AxesLike = None,
        max_cols: int = 4,
        alpha: float = 0.6,
        cmap: str | Colormap = "jet",
        im_kw: StyleDict = None,
    ) -> Self:
        """Plot existing maps.

        Parameters
        ----------
        images : array, list of arrays or paths of length n_images
            The images, see :mod:`skinest.images`.

        maps : list of array-like of shape (map_height, map_width)
            One map per image, with values of 0 or more. It is scaled bilinearly to the
            size of its image and divided by its maximum.

        titles : list of str, default=None
            Title of each image.

        ax, max_cols, alpha, cmap, im_kw : object
            Passed to :meth:`plot`.

        Returns
        -------
        display : GradCAMDisplay

        Raises
        ------
        ValueError
            If the numbers of images, maps and titles differ, or if a map is not
            two-dimensional or has values that are negative or not finite.
        """
        check_plotting(f"{cls.__name__}.from_maps", max_cols)
        images = list(check_images(images, name="images"))
        for name, values in (("maps", maps), ("titles", titles)):
            if values is not None or name == "maps":
                _check_count(name, values, len(images))
        scaled = [
            scale_map(_check_map(heat, position), image.shape[:2])
            for position, (heat, image) in enumerate(zip(maps, images, strict=True))
        ]
        return cls(images, scaled, titles=titles).plot(
            ax=ax, max_cols=max_cols, alpha=alpha, cmap=cmap, im_kw=im_kw
        )

    def plot(
        self,
        *,
        ax: AxesLike = None,
        max_cols: int = 4,
        alpha: float = 0.6,
        cmap: str | Colormap = "jet",
        im_kw: StyleDict = None,
    ) -> Self:
        """Plot the images with their heat maps.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            One Axes, which is divided if there are several images, or one Axes per
            image. None creates a new figure.

        max_cols : int, default=4
            Maximum number of images per row.

        alpha : float in [0, 1], default=0.6
            Opacity of the heat map where its value is 1. The opacity is proportional to
            the map, so areas without evidence show the image unchanged.

        cmap : str or matplotlib Colormap, default="jet"
            Colours of the heat map.

        im_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.imshow` for the heat map. If it
            has `alpha`, all pixels of the map have this opacity.

        Returns
        -------
        display : GradCAMDisplay
            This object.
        """
        check_plotting(f"{type(self).__name__}.plot", max_cols)
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.image import AxesImage

        self.figure_, self.axes_ = plot_images(self.images, self.titles, ax, max_cols)
        self.overlays_ = []
        for axis, heat in zip(self.axes_, self.maps, strict=True):
            style = {"cmap": cmap, "vmin": 0, "vmax": 1, "alpha": alpha * heat}
            style = merge_style(style, normalize_kwargs(im_kw or {}, AxesImage))
            self.overlays_.append(axis.imshow(heat, **style))
        return self


def _check_estimator(estimator):
    check_fitted(estimator)
    check_takes_images(estimator, "explained")
    names = ("classes_", "predict_proba", "model_")
    if not all(hasattr(estimator, name) for name in names):
        raise TypeError(
            f"{type(estimator).__name__} is not a classifier with a network. Pass a "
            "TransferClassifier: for a pipeline, its last step, pipeline[-1], with "
            "the images that this step gets; for a search, its best_estimator_."
        )


def _warn_of_coarse_maps(model, layer):
    finer = find_finer_layer(model, layer)
    advice = "Train with a larger image_size"
    if finer is not None:
        rows, columns = finer.sides
        advice += (
            f", or pass an earlier layer: layer={finer.operation.name!r} has maps of "
            f"{rows} x {columns}"
        )
    sides = "{} x {} cells for images of {} x {} pixels".format(
        *layer.sides, *model.input_shape[1:3]
    )
    warnings.warn(
        f"Grad-CAM is coarse: the layer {layer.operation.name!r} has maps of {sides}. "
        f"{advice}.",
        UserWarning,
        stacklevel=3,
    )


def _check_count(name, values, n_images):
    try:
        n_values = len(values)
    except TypeError:
        raise ValueError(
            f"{name} is of type {type(values).__name__}. Pass a list, one per image."
        ) from None
    if n_values != n_images:
        raise ValueError(
            f"There are {n_images} images, but {n_values} {name}. Pass one per image."
        )


def _check_map(heat, position):
    try:
        heat = np.asarray(heat)
    except ValueError:  # rows of different lengths
        heat = np.empty((), dtype=object)
    if heat.dtype.kind not in "biuf":
        raise ValueError(f"maps[{position}] is not an array of real numbers.")
    heat = heat.astype(np.float32)
    if heat.ndim != 2 or not heat.size:
        raise ValueError(
            f"maps[{position}] has shape {heat.shape}. A map is (height, width)."
        )
    if not np.all(np.isfinite(heat)) or heat.min() < 0:
        raise ValueError(
            f"maps[{position}] has values that are negative, NaN or infinite. Set "
            "them to 0, e.g. by np.maximum(np.nan_to_num(heat), 0)."
        )
    return heat
