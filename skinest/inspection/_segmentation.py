"""Display of images with predicted and true masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .._mask_scorer import get_mask_options
from .._pixel_counts import check_labels, choose_foreground
from ..datasets import load_mask_folder
from ..masks import check_masks
from ..metrics import dice_score
from ..metrics._mask_metrics import name_rows
from ..utils._checks import check_fitted
from . import _segmentation_panels as panels
from ._grid import check_plotting, choose_cell_size, make_axes
from ._reading import check_choice, read_pairs, select_worst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .._typing import (
        AxesLike,
        Image,
        ImagesLike,
        Mask,
        MasksLike,
        PathLike,
        StyleDict,
    )

_PANEL_WIDTH = 2.8  # inches


class SegmentationDisplay:
    """Images with outlines of true and predicted masks, and their differences.

    Each image has two panels. The first has the image with the outlines and its Dice
    score. The second has the grey image, with one colour for pixels where the masks
    agree, one for missed foreground and one for wrongly found foreground. Without true
    masks, only the predicted outlines are shown. Create the display by
    :meth:`from_estimator`, :meth:`from_predictions` or :meth:`from_folders`. The
    parameters are stored as attributes.

    Parameters
    ----------
    images : list of ndarray of shape (height, width, 3), dtype uint8
        The images.

    y_true : list of ndarray of shape (height, width) or None
        The true mask of each image, with its size. None if unknown.

    y_pred : list of ndarray of shape (height, width)
        The predicted masks.

    labels : list of int
        The foreground labels, which are outlined. All other labels are background.

    scores : array-like of shape (n_images,), default=None
        The Dice score of each image for its title: the mean over `labels`, see
        :func:`skinest.metrics.dice_score`, with ``zero_division=1.0``.

    target_names : list of str, default=None
        Names of `labels` in the legend.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled. They have no colour in the
        differences and do not count in `scores`.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure that holds the plots.

    axes_ : ndarray of shape (n_images, n_panels), dtype object
        The matplotlib Axes of each image: outlines, then differences if they are shown.

    outlines_ : ndarray of shape (n_images, n_labels, 2), dtype object
        The matplotlib lines of the true and the predicted mask. A line has no points if
        the mask does not have the label. The first line is None if there is no true
        mask.

    differences_ : list of matplotlib AxesImage
        The colours over the grey images.

    legend_ : matplotlib Legend
        The legend.

    See Also
    --------
    skinest.metrics.segmentation_report : The same in numbers.
    GradCAMDisplay : Image areas that a classifier uses.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.inspection import SegmentationDisplay
    >>> images, masks = make_dermoscopy(
    ...     3, task="lesion", random_state=0, return_X_y=True
    ... )
    >>> moved = np.roll(masks, 8, axis=2)
    >>> display = SegmentationDisplay.from_predictions(images, masks, moved)
    >>> display.axes_.shape, display.labels
    ((3, 2), [255])
    >>> display.axes_[0, 0].get_title()
    'Dice 0.826'
    """

    def __init__(
        self,
        images: Sequence[Image],
        y_true: Sequence[Mask] | None,
        y_pred: Sequence[Mask],
        *,
        labels: Sequence[int],
        scores: Sequence[float] | NDArray[Any] | None = None,
        target_names: Sequence[str] | None = None,
        ignore_label: int | None = None,
    ) -> None:
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.labels = labels
        self.scores = scores
        self.target_names = target_names
        self.ignore_label = ignore_label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ImagesLike,
        y: MasksLike | None = None,
        *,
        labels: ArrayLike | None = None,
        target_names: ArrayLike | None = None,
        n_images: int | None = 8,
        worst_first: bool = False,
        differences: bool = True,
        ax: AxesLike = None,
        max_cols: int = 4,
        alpha: float = 0.5,
        true_kw: StyleDict = None,
        pred_kw: StyleDict = None,
        ignore_label: int | None = None,
        mask_threshold: float | None = None,
    ) -> Self:
        """Predict masks by a fitted segmenter, and plot them.

        Parameters
        ----------
        estimator : estimator
            A fitted segmenter such as :class:`~skinest.UNetSegmenter`, or a Pipeline or
            search whose last step is one.

        X : array, list of arrays or paths of length n_samples
            The images, see :mod:`skinest.images`.

        y : array, list of arrays or paths of length n_samples, default=None
            Their true masks, see :mod:`skinest.masks`, each of the size of its image.

        labels : array-like of int, default=None
            The foreground labels. None means all labels in `estimator.classes_` except
            the first. If the estimator has no `classes_`, see :meth:`from_predictions`.

        target_names : array-like of str, default=None
            Names of the foreground labels, in the order of `labels`.

        n_images : int, default=8
            Number of images to predict and plot, from the first one. None means all
            images.

        worst_first : bool, default=False
            Whether to predict all images, and plot those with the lowest Dice scores,
            the worst first. Needs `y`.

        differences, ax, max_cols, alpha, true_kw, pred_kw : object
            Passed to :meth:`plot`.

        ignore_label : int, default=None
            Label of pixels of `y` that are not labelled. None means that of the
            estimator, or of masks that :func:`~skinest.masks.check_masks` has checked.

        mask_threshold : float, default=None
            Fraction of white above which a pixel of `y` is foreground, see
            :mod:`skinest.masks`. None means that of the estimator.

        Returns
        -------
        display : SegmentationDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `y` has a label that is not in `estimator.classes_`, or if
            :meth:`from_predictions` raises one.
        """
        check_plotting(f"{cls.__name__}.from_estimator", max_cols)
        check_fitted(estimator)
        check_choice(n_images, worst_first, y is not None)
        options: dict[str, Any] = {
            "ignore_label": ignore_label,
            "mask_threshold": mask_threshold,
        }
        given = {name: value for name, value in options.items() if value is not None}
        options = {**options, **get_mask_options(estimator), **given}
        masks = {} if y is None else {"y": check_masks(y, **options)}
        if masks:  # checked masks can have their own
            options["ignore_label"] = masks["y"].ignore_label
        n_read = None if worst_first else n_images
        images, for_estimator, read, held = read_pairs(X, n_read, **masks)
        classes = getattr(estimator, "classes_", ())
        if labels is None and len(classes) > 1:
            panels.check_known(held, classes)
            labels = classes[1:]
        if labels is not None:  # before the time for predictions is spent
            labels = check_labels(labels, options["ignore_label"])
            name_rows(labels, target_names)
        return cls.from_predictions(
            images,
            read.get("y"),
            estimator.predict(for_estimator),
            labels=labels,
            target_names=target_names,
            n_images=n_images,
            worst_first=worst_first,
            differences=differences,
            ax=ax,
            max_cols=max_cols,
            alpha=alpha,
            true_kw=true_kw,
            pred_kw=pred_kw,
            **options,
        )

    @classmethod
    def from_predictions(
        cls,
        X: ImagesLike,
        y_true: MasksLike | None,
        y_pred: MasksLike,
        *,
        labels: ArrayLike | None = None,
        target_names: ArrayLike | None = None,
        n_images: int | None = 8,
        worst_first: bool = False,
        differences: bool = True,
        ax: AxesLike = None,
        max_cols: int = 4,
        alpha: float = 0.5,
        true_kw: StyleDict = None,
        pred_kw: StyleDict = None,
        ignore_label: int | None = None,
        mask_threshold: float | None = None,
    ) -> Self:
        """Plot existing predictions.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_samples
            The images, see :mod:`skinest.images`.

        y_true, y_pred : array, list of arrays or paths of length n_samples
            True and predicted masks, see :mod:`skinest.masks`, each of the size of its
            image. `y_true` is None if it is not known.

        labels : array-like of int, default=None
            The foreground labels. None means all labels of the plotted masks except the
            smallest, see :func:`skinest.metrics.dice_score`.

        target_names : array-like of str, default=None
            Names of the foreground labels, in the order of `labels`.

        n_images : int, default=8
            Number of images to plot, from the first one. None means all images.

        worst_first : bool, default=False
            Whether to read all masks, and plot the images with the lowest Dice scores,
            the worst first. Needs `y_true`.

        differences, ax, max_cols, alpha, true_kw, pred_kw : object
            Passed to :meth:`plot`.

        ignore_label : int, default=None
            Label of pixels of `y_true` that are not labelled.

        mask_threshold : float, default=None
            Fraction of white above which a pixel of either mask is foreground, see
            :mod:`skinest.masks`.

        Returns
        -------
        display : SegmentationDisplay

        Raises
        ------
        ValueError
            If the numbers or sizes of images and masks differ, if `y_true` has the
            labels 0 and 1 and `y_pred` 0 and 255 or the reverse, if `labels` are not
            different integers, if `target_names` has another length, or if
            `worst_first` has no true masks to compare with.
        """
        check_plotting(f"{cls.__name__}.from_predictions", max_cols)
        check_choice(n_images, worst_first, y_true is not None)
        options: dict[str, Any] = {
            "ignore_label": ignore_label,
            "mask_threshold": mask_threshold,
        }
        masks = {}
        if y_true is not None:
            masks["y_true"] = check_masks(y_true, name="y_true", **options)
            # Checked masks can have their own.
            ignore_label = options["ignore_label"] = masks["y_true"].ignore_label
        masks["y_pred"] = check_masks(y_pred, name="y_pred", **options)
        if worst_first:
            X, masks, labels = select_worst(X, masks, labels, n_images)
        images, _, read, held = read_pairs(X, n_images, **masks)
        y_true, y_pred = read.get("y_true"), read["y_pred"]
        scores = None
        if y_true is not None:
            scores = dice_score(
                y_true,
                y_pred,
                labels=labels,
                average=None,
                zero_division=1.0,
                ignore_label=ignore_label,
            )
        labels = check_labels(labels, ignore_label)
        if labels is None:
            labels = choose_foreground(map(int, set().union(*held.values())))
        if target_names is not None:
            target_names = name_rows(labels, target_names)
        display = cls(
            images,
            y_true,
            y_pred,
            labels=labels,
            scores=scores,
            target_names=target_names,
            ignore_label=ignore_label,
        )
        return display.plot(
            differences=differences,
            ax=ax,
            max_cols=max_cols,
            alpha=alpha,
            true_kw=true_kw,
            pred_kw=pred_kw,
        )

    @classmethod
    def from_folders(
        cls,
        images_path: PathLike,
        y_pred_path: PathLike,
        y_true_path: PathLike | None = None,
        **options: Any,
    ) -> Self:
        """Plot predictions that are files in a folder, the worst first.

        Files are matched by their names, as by
        :func:`skinest.datasets.load_mask_folder`. Images without a prediction are left
        out.

        Parameters
        ----------
        images_path, y_pred_path : str or path-like
            Folders of the images and of the predicted masks.

        y_true_path : str or path-like, default=None
            Folder of the true masks. Images without one are left out. None means that
            they are not known; images then have the order of their names.

        **options : dict
            Arguments of :meth:`from_predictions`. `worst_first` is True by default if
            there are true masks.

        Returns
        -------
        display : SegmentationDisplay

        Raises
        ------
        OSError
            If a folder does not exist or cannot be read.
        ValueError
            If no image has a mask of each folder, if names do not match, or if
            :meth:`from_predictions` raises one.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import cv2
        >>> from skinest.datasets import make_dermoscopy
        >>> from skinest.inspection import SegmentationDisplay
        >>> X, y = make_dermoscopy(2, task="lesion", random_state=0, return_X_y=True)
        >>> folders = {"images": X, "predicted": y, "true": y}
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for folder, arrays in folders.items():
        ...         Path(root, folder).mkdir()
        ...         for k, array in enumerate(arrays):
        ...             _ = cv2.imwrite(f"{root}/{folder}/{k}.png", array)
        ...     display = SegmentationDisplay.from_folders(
        ...         f"{root}/images", f"{root}/predicted", f"{root}/true"
        ...     )
        >>> display.scores
        array([1., 1.])
        """
        of_pred = load_mask_folder(images_path, y_pred_path)
        X, y_pred, y_true = of_pred.paths, of_pred.mask_paths, None
        if y_true_path is not None:
            of_true = load_mask_folder(images_path, y_true_path)
            X, rows_of_pred, rows_of_true = np.intersect1d(
                X.astype(str), of_true.paths.astype(str), return_indices=True
            )
            y_pred, y_true = y_pred[rows_of_pred], of_true.mask_paths[rows_of_true]
            if not len(X):
                raise ValueError(
                    f"No image has a mask in both {y_pred_path} and {y_true_path}."
                )
        options = {"worst_first": y_true is not None, **options}
        return cls.from_predictions(X, y_true, y_pred, **options)

    def plot(
        self,
        *,
        differences: bool = True,
        ax: AxesLike = None,
        max_cols: int = 4,
        alpha: float = 0.5,
        true_kw: StyleDict = None,
        pred_kw: StyleDict = None,
    ) -> Self:
        """Plot the images and masks.

        With one label, the true outline is solid and blue, and the predicted one is
        dashed and yellow. With several labels, each has its own colour; true outlines
        are solid and predicted ones dashed.

        Parameters
        ----------
        differences : bool, default=True
            Whether to plot the differences, if there are true masks.

        ax : matplotlib Axes or array-like of Axes, default=None
            One Axes, which is divided if there are several panels, or one Axes per
            panel, in the order of `axes_`. None creates a new figure.

        max_cols : int, default=4
            Maximum number of panels per row. Both panels of an image are in one row.

        alpha : float in [0, 1], default=0.5
            Opacity of the colours.

        true_kw, pred_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for the outlines of the
            true and the predicted masks, e.g. ``{"color": "black"}``.

        Returns
        -------
        display : SegmentationDisplay
            This object.
        """
        check_plotting(f"{type(self).__name__}.plot", max_cols)
        has_truth = self.y_true is not None
        n_panels = 2 if has_truth and differences else 1
        n_images, n_cols = len(self.images), max(1, max_cols // n_panels) * n_panels
        cell_size = choose_cell_size(self.images, _PANEL_WIDTH, n_lines=int(has_truth))
        self.figure_, axes = make_axes(n_images * n_panels, ax, n_cols, cell_size)
        self.axes_ = axes.reshape(n_images, n_panels)
        self.outlines_ = np.full((n_images, len(self.labels), 2), None, dtype=object)
        self.differences_ = []
        styles = (true_kw, pred_kw)
        for k, (image, row) in enumerate(zip(self.images, self.axes_, strict=True)):
            truth = None if self.y_true is None else self.y_true[k]
            shown = (image, truth, self.y_pred[k])
            self.outlines_[k] = panels.draw_outlines(
                row[0], *shown, self.labels, styles
            )
            if self.scores is not None:
                row[0].set_title(f"Dice {self.scores[k]:.3f}", fontsize="medium")
            if n_panels == 2:
                tints = panels.draw_differences(
                    row[1], *shown, self.labels, alpha, self.ignore_label
                )
                self.differences_.append(tints)
        self.legend_ = panels.draw_legend(self, ax, styles, alpha)
        return self
