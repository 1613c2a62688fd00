"""Display of the image areas that a classifier uses, by occlusion."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_scalar

from ..images import check_images
from ..utils._columns import check_takes_images
from ._class_scores import ClassScores, find_class_index
from ._grid import check_plotting, find_limit, merge_style, plot_images, to_grey
from ._occlusion_maps import Patches, compute_occlusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

    from .. import _typing as t

_BOTH: t.ResponseMethods = ("predict_proba", "decision_function")


class OcclusionDisplay:
    """Images with maps of how much the score drops when a part is hidden.

    Occlusion hides a square patch of an image and computes how much the score of a
    class drops. It repeats this with the patch at all places. The map is the mean drop
    over the patches that cover a pixel. It works with every classifier of images: the
    whole pipeline runs, and nothing inside of it has to be known.

    Create the display by :meth:`from_estimator`. The parameters are stored as
    attributes.

    Parameters
    ----------
    images : list of ndarray of shape (height, width, 3), dtype uint8
        The images.

    maps : list of ndarray of shape (height, width)
        Drop of the score by pixel. Positive values are evidence for the class, negative
        values against it.

    titles : list of str, default=None
        Title of each image.

    score_name : str, default="score"
        What the score is, for the label of the colour bar.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure that holds the plots.

    axes_ : ndarray of shape (n_images,), dtype object
        One matplotlib Axes per image.

    overlays_ : list of matplotlib AxesImage
        The maps.

    colorbar_ : matplotlib Colorbar or None
        The colour bar; None without one.

    See Also
    --------
    GradCAMDisplay : Faster, for networks only.
    VisualWordsDisplay : Which visual words are evidence for a class.

    Notes
    -----
    Maps of the same class can be compared between images, because they have the units
    of the score. Probabilities near 0 or 1 hardly change, even if a part matters: then
    use ``response_method="decision_function"`` if the estimator has one.

    With `memory`, features of the copies with a hidden patch are not cached, because
    nobody needs them again, except by estimators that predict in other threads or
    processes.

    A map says what the classifier reacts to, not what is true. A patch is not part of
    any lesion, and classifiers may react to its edges. So compare the maps of several
    values of `fill` and `patch_size`. Small patches show details, but hide too little
    to change the score if the classifier uses large areas.

    References
    ----------
    M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks",
    ECCV 2014, arXiv:1311.2901, section 4.2.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from skinest import BoVWSIFTTransformer
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.inspection import OcclusionDisplay
    >>> images, y = make_dermoscopy(
    ...     20, image_size=(64, 64), random_state=0, return_X_y=True
    ... )
    >>> pipeline = make_pipeline(BoVWSIFTTransformer(9, random_state=0), SVC())
    >>> display = OcclusionDisplay.from_estimator(
    ...     pipeline.fit(images, y), images[:2], target=1, patch_size=32
    ... )
    >>> len(display.axes_), display.maps[0].shape, display.score_name
    (2, (64, 64), 'decision function')
    """

    def __init__(
        self,
        images: Sequence[t.Image],
        maps: Sequence[NDArray[np.floating]],
        *,
        titles: Sequence[str] | None = None,
        score_name: str = "score",
    ) -> None:
        self.images = images
        self.maps = maps
        self.titles = titles
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: t.ImagesLike,
        *,
        target: Any = None,
        patch_size: float = 0.2,
        stride: float | None = None,
        fill: t.PatchFill = "mean",
        response_method: t.ResponseMethods = _BOTH,
        batch_size: int = 32,
        ax: t.AxesLike = None,
        max_cols: int = 4,
        alpha: float = 0.6,
        cmap: str | Colormap = "RdBu_r",
        colorbar: bool = True,
        im_kw: t.StyleDict = None,
    ) -> Self:
        """Compute and plot the maps of a fitted classifier.

        The estimator gets the images and their copies with a hidden patch as arrays of
        shape (n, height, width, 3), dtype ``uint8``, in RGB, with `n` up to
        `batch_size`.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier, pipeline or search with `predict_proba` or
            `decision_function`.

        X : array, list of arrays or paths of length n_images
            The images, see :mod:`skinest.images`. All of them are plotted.

        target : label, default=None
            The class whose score is explained, one of `estimator.classes_`. None means
            the predicted class of each image.

        patch_size : int or float, default=0.2
            Side of the patch: an integer is in pixels, a float is a fraction of the
            shorter side of each image.

        stride : int or float, default=None
            Distance between neighbouring patches, in the same units. None means half of
            the patch. The time is proportional to ``1 / stride ** 2``: with the
            defaults, about 100 predictions for a square image.

        fill : {"mean", "blur"} or sequence of 3 int, default="mean"
            What is seen instead of the patch: the mean colour of the image, the image
            after a Gaussian blur with a standard deviation of half of the patch, or a
            colour in RGB, from 0 to 255.

        response_method : str or sequence of str, \
default=("predict_proba", "decision_function")
            The method that gives the scores. Of several, the first one that the
            estimator has.

        batch_size : int, default=32
            Number of images that the estimator gets at once. It changes memory and
            speed only.

        ax, max_cols, alpha, cmap, colorbar, im_kw : object
            Passed to :meth:`plot`.

        Returns
        -------
        display : OcclusionDisplay
            Each title has the class and its score for the whole image.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no such method, no classes, or takes columns of a
            table by a :class:`~sklearn.compose.ColumnTransformer`.
        ValueError
            If `X` does not contain images, an argument is invalid, a patch is larger
            than an image, or the estimator does not return a score for each class.
        """
        check_plotting(f"{cls.__name__}.from_estimator", max_cols)
        check_scalar(batch_size, "batch_size", Integral, min_val=1)
        predict = ClassScores(estimator, response_method)
        check_takes_images(estimator, "explained")
        index = None
        if target is not None:
            index = find_class_index(predict.classes, target)
        patches = Patches(patch_size, stride, fill)
        collection = check_images(X)
        images = list(collection)
        locations = [collection.where(position) for position in range(len(images))]
        for image, location in zip(images, locations, strict=True):
            patches.measure(image.shape[:2], location)
        maps, titles = [], []
        for image, location in zip(images, locations, strict=True):
            shown, score, heat = compute_occlusion(
                image,
                patches,
                predict,
                index=index,
                batch_size=batch_size,
                location=location,
            )
            maps.append(heat)
            titles.append(predict.describe(shown, score))
        return cls(images, maps, titles=titles, score_name=predict.name).plot(
            ax=ax,
            max_cols=max_cols,
            alpha=alpha,
            cmap=cmap,
            colorbar=colorbar,
            im_kw=im_kw,
        )

    def plot(
        self,
        *,
        ax: t.AxesLike = None,
        max_cols: int = 4,
        alpha: float = 0.6,
        cmap: str | Colormap = "RdBu_r",
        colorbar: bool = True,
        im_kw: t.StyleDict = None,
    ) -> Self:
        """Plot the images in grey, with their maps on a common scale.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            One Axes, which is divided if there are several images, or one Axes per
            image. None creates a new figure.

        max_cols : int, default=4
            Maximum number of images per row.

        alpha : float in [0, 1], default=0.6
            Opacity of the maps.

        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colours of the maps, from the largest negative to the largest positive drop.

        colorbar : bool, default=True
            Whether to add a colour bar.

        im_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.imshow` for the maps.

        Returns
        -------
        display : OcclusionDisplay
            This object.
        """
        check_plotting(f"{type(self).__name__}.plot", max_cols)
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.image import AxesImage

        limit = find_limit(self.maps)
        style = {"cmap": cmap, "alpha": alpha, "vmin": -limit, "vmax": limit}
        style = merge_style(style, normalize_kwargs(im_kw or {}, AxesImage))
        grey = [to_grey(image) for image in self.images]
        self.figure_, self.axes_ = plot_images(grey, self.titles, ax, max_cols)
        self.overlays_ = [
            axis.imshow(heat, **style)
            for axis, heat in zip(self.axes_, self.maps, strict=True)
        ]
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(
                self.overlays_[0],
                ax=list(self.axes_),
                label=f"Drop of the {self.score_name} if hidden",
            )
        return self
