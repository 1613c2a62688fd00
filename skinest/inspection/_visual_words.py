"""Display of the visual words that are evidence for a class."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..feature_extraction._bovw import BoVWSIFTTransformer
from ..feature_extraction._word_evidence import COUNTING_ENCODINGS, share_evidence
from ..images import check_images
from ..utils._columns import check_takes_images
from ._class_scores import ClassScores, find_class_index
from ._grid import check_plotting, find_limit, merge_style, plot_images, to_grey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

    from .. import _typing as t

_BOTH: t.ResponseMethods = ("decision_function", "predict_proba")
_N_VECTORS = 1024  # that the classifier gets at once
_SMALLEST, _LARGEST = 2, 60  # areas of points, in points squared


class VisualWordsDisplay:
    """Images with the keypoints whose visual words are evidence for a class.

    Each number of an image's vector belongs to a visual word. It is set to 0, and the
    change of the score is what it contributes. The keypoints of the word share this
    contribution. Create the display by :meth:`from_estimator`. The parameters are
    stored as attributes.

    Parameters
    ----------
    images : list of ndarray of shape (height, width, 3), dtype uint8
        The images.

    points : list of ndarray of shape (n_keypoints, 2)
        Places (x, y) of the keypoints of each image, in pixels.

    evidence : list of ndarray of shape (n_keypoints,)
        Part of the score that each keypoint contributes. Positive values are evidence
        for the class, negative values against it.

    contributions : list of ndarray of shape (n_features_out,)
        What each number of the vector contributes; 0 if it is 0. Their names are
        `get_feature_names_out()` of the transformer.

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

    scatters_ : list of matplotlib PathCollection
        The points of each image. Keypoints at one place are one point, with the sum of
        their evidence.

    colorbar_ : matplotlib Colorbar or None
        The colour bar; None without one.

    See Also
    --------
    OcclusionDisplay : For any classifier of images.

    Notes
    -----
    If all steps after the visual words are linear or affine, such as a
    :class:`~sklearn.preprocessing.StandardScaler` and a linear support vector machine,
    a contribution of the decision function is the coefficient times the number. The
    contributions of an image then add up to the difference between its score and that
    of an image without keypoints.

    For other classifiers, a contribution is the exact change of the score too, but the
    contributions do not add up to a score: two words that say the same thing may each
    change nothing. An image has a prediction for each of its numbers that is not 0,
    mostly a few hundred, all in one batch.

    Words that an image does not have can be evidence too. They have no keypoints, so
    the display does not show them.

    References
    ----------
    M. Robnik-Sikonja and I. Kononenko, "Explaining classifications for individual
    instances", IEEE Transactions on Knowledge and Data Engineering 20(5), 2008.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skinest import BoVWSIFTTransformer
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.inspection import VisualWordsDisplay
    >>> images, y = make_dermoscopy(20, random_state=0, return_X_y=True)
    >>> bovw = BoVWSIFTTransformer(9, random_state=0)
    >>> pipeline = make_pipeline(bovw, StandardScaler(), LogisticRegression())
    >>> display = VisualWordsDisplay.from_estimator(
    ...     pipeline.fit(images, y), images[:2], target=1
    ... )
    >>> names = bovw.get_feature_names_out()
    >>> names[display.contributions[0].argmax()].startswith("word")
    True
    """

    def __init__(
        self,
        images: Sequence[t.Image],
        points: Sequence[NDArray[np.floating]],
        evidence: Sequence[NDArray[np.floating]],
        contributions: Sequence[NDArray[np.floating]],
        *,
        titles: Sequence[str] | None = None,
        score_name: str = "score",
    ) -> None:
        self.images = images
        self.points = points
        self.evidence = evidence
        self.contributions = contributions
        self.titles = titles
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: t.ImagesLike,
        *,
        target: Any = None,
        response_method: t.ResponseMethods = _BOTH,
        ax: t.AxesLike = None,
        max_cols: int = 4,
        cmap: str | Colormap = "RdBu_r",
        colorbar: bool = True,
        scatter_kw: t.StyleDict = None,
    ) -> Self:
        """Compute and plot the evidence of visual words for a class.

        Parameters
        ----------
        estimator : Pipeline
            A fitted pipeline with one :class:`~skinest.BoVWSIFTTransformer`, whose
            encoding is "histogram", "soft" or "tfidf". The steps before it transform
            images to images.

        X : array, list of arrays or paths of length n_images
            The images, see :mod:`skinest.images`. All of them are plotted, as the
            transformer gets them.

        target : label, default=None
            The class whose score is explained, one of `estimator.classes_`. None means
            the predicted class of each image.

        response_method : str or sequence of str, \
default=("decision_function", "predict_proba")
            The method that gives the scores. Of several, the first one that the
            estimator has.

        ax, max_cols, cmap, colorbar, scatter_kw : object
            Passed to :meth:`plot`.

        Returns
        -------
        display : VisualWordsDisplay
            Each title has the class and the score of the image.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is not such a pipeline, has no such method, or takes
            columns of a table by a :class:`~sklearn.compose.ColumnTransformer`.
        ValueError
            If `X` does not contain images, an argument is invalid, or the descriptor
            gives no places.
        """
        check_plotting(f"{cls.__name__}.from_estimator", max_cols)
        position = _find_words(estimator)
        transformer = estimator[position]
        predict = ClassScores(estimator[position + 1 :], response_method)
        index = None
        if target is not None:
            index = find_class_index(predict.classes, target)
        images = check_images(_transform(estimator.steps[:position], X))
        vectors = transformer.transform(images)
        contributions, titles = [], []
        for row in range(len(images)):
            shown, score, changes = _leave_each_out(vectors, row, predict, index)
            contributions.append(changes)
            titles.append(predict.describe(shown, score))
        places, evidence = share_evidence(transformer, images, contributions)
        pixels = list(images)
        display = cls(
            pixels,
            [
                each * image.shape[1::-1]
                for each, image in zip(places, pixels, strict=True)
            ],
            evidence,
            contributions,
            titles=titles,
            score_name=predict.name,
        )
        return display.plot(
            ax=ax,
            max_cols=max_cols,
            cmap=cmap,
            colorbar=colorbar,
            scatter_kw=scatter_kw,
        )

    def plot(
        self,
        *,
        ax: t.AxesLike = None,
        max_cols: int = 4,
        cmap: str | Colormap = "RdBu_r",
        colorbar: bool = True,
        scatter_kw: t.StyleDict = None,
    ) -> Self:
        """Plot the images in grey, with their keypoints on a common scale.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            One Axes, which is divided if there are several images, or one Axes per
            image. None creates a new figure.

        max_cols : int, default=4
            Maximum number of images per row.

        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colours of the points, from the strongest evidence against the class to the
            strongest evidence for it. Points with more evidence are larger.

        colorbar : bool, default=True
            Whether to add a colour bar.

        scatter_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.scatter` for the points.

        Returns
        -------
        display : VisualWordsDisplay
            This object.
        """
        check_plotting(f"{type(self).__name__}.plot", max_cols)
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.collections import PathCollection

        given = normalize_kwargs(scatter_kw or {}, PathCollection)
        shown = [
            _join_points(*each) for each in zip(self.points, self.evidence, strict=True)
        ]
        limit = find_limit([values for _, values in shown])
        grey = [to_grey(image) for image in self.images]
        self.figure_, self.axes_ = plot_images(grey, self.titles, ax, max_cols)
        self.scatters_ = []
        for axis, (places, values) in zip(self.axes_, shown, strict=True):
            sizes = _SMALLEST + (_LARGEST - _SMALLEST) * np.abs(values) / limit
            style = {"c": values, "s": sizes, "cmap": cmap}
            style |= {"vmin": -limit, "vmax": limit, "linewidth": 0.3}
            style = merge_style(style | {"edgecolor": "black"}, given)
            self.scatters_.append(axis.scatter(*places.T, **style))
        self.colorbar_ = None
        if colorbar and "color" not in given:
            self.colorbar_ = self.figure_.colorbar(
                self.scatters_[0],
                ax=list(self.axes_),
                label=f"Part of the {self.score_name}",
            )
        return self


def _find_words(estimator):
    """Return the position of the step that computes visual words."""
    kind = type(estimator).__name__
    if not isinstance(estimator, Pipeline):
        raise TypeError(
            f"{kind} is not a pipeline. Pass a fitted Pipeline with a "
            "BoVWSIFTTransformer: for a search, its best_estimator_; for a classifier "
            "with another threshold, its estimator_."
        )
    check_is_fitted(estimator)
    check_takes_images(estimator, "explained")
    found = [
        position
        for position, (_, step) in enumerate(estimator.steps)
        if isinstance(step, BoVWSIFTTransformer)
    ]
    if len(found) != 1:
        raise TypeError(
            f"{kind} has no step, or several steps, of class BoVWSIFTTransformer. For "
            "other classifiers, use OcclusionDisplay."
        )
    if found[0] == len(estimator) - 1:
        raise TypeError(f"{kind} has no step after BoVWSIFTTransformer.")
    transformer = estimator[found[0]]
    encoding = transformer._encoder.encoding  # that of fit
    if encoding not in COUNTING_ENCODINGS:
        raise ValueError(
            f"encoding={encoding!r} does not count words. Use one of "
            f"{COUNTING_ENCODINGS}, or OcclusionDisplay."
        )
    if not hasattr(transformer.descriptor_, "describe"):
        raise ValueError(
            f"descriptor={transformer.descriptor_!r} gives no places. Give it a method "
            "describe(image) -> (values, points), see SIFTDescriptor."
        )
    return found[0]


def _transform(steps, X):
    """Apply the steps before the visual words."""
    for _, step in steps:
        if hasattr(step, "transform"):  # samplers and "passthrough" have none
            X = step.transform(X)
    return X


def _leave_each_out(vectors, row, predict, index):
    """Return the class, its score and what each number of a vector contributes."""
    vector = np.asarray(vectors)[row]
    used = np.flatnonzero(vector)
    scores = []
    for start in range(0, 1 + len(used), _N_VECTORS):
        numbers = range(start, min(start + _N_VECTORS, 1 + len(used)))
        copies = np.repeat(vector[np.newaxis], len(numbers), axis=0)
        for copy, number in zip(copies, numbers, strict=True):
            if number:
                copy[used[number - 1]] = 0
        scores.append(predict(_as_frame(copies, vectors)))
    scores = np.concatenate(scores)
    if index is None:
        one = _as_frame(vector[np.newaxis], vectors)
        index = predict.find_predicted(one, scores[0])
    contributions = np.zeros(len(vector))
    contributions[used] = scores[0, index] - scores[1:, index]
    return index, scores[0, index], contributions


def _as_frame(rows, vectors):
    """Return rows as the transformer returns vectors, which may be a DataFrame."""
    if not hasattr(vectors, "columns"):
        return rows
    names = "columns" if hasattr(vectors, "iloc") else "schema"  # pandas, polars
    return type(vectors)(rows, **{names: list(vectors.columns)})


def _join_points(points, evidence):
    """Add up evidence at the same place, and sort by its size."""
    places, which = np.unique(points, axis=0, return_inverse=True)
    total = np.bincount(which.ravel(), weights=evidence, minlength=len(places))
    order = np.argsort(np.abs(total), kind="stable")
    return places[order], total[order]
