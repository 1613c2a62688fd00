"""Display of loss and metrics in training."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..utils._checks import check_fitted
from ._grid import check_plotting, make_axes

if TYPE_CHECKING:
    import keras

    from .._typing import AxesLike, StyleDict

_METRICS = ("accuracy", "loss", "precision", "recall")
_VALIDATION = "val_"
# Not bounded by [0, 1], even if all values are in it: their axes keep automatic limits.
_UNBOUNDED = ("loss", "learning_rate")
_OF_ONE_CLASS = ("precision", "recall", "iou", "dice")  # if there are two classes
_TOP = 1.02
_CELL_SIZE = (4.5, 3.2)


class TrainingHistoryDisplay:
    """Loss and metrics of each epoch of training.

    Each metric has its own axes, with a solid line for training data and a dashed line
    for validation data, if there is any. Create the display by :meth:`from_estimator`
    or :meth:`from_history`. The parameters are stored as attributes.

    Parameters
    ----------
    history : dict of str to list of float
        One value per epoch for each metric. Keys are e.g. "loss" and "accuracy", and
        ``"val_loss"`` and ``"val_accuracy"`` for validation data.

    n_iter_per_stage : list of int, default=None
        Number of epochs of each stage of training. A vertical line marks the start of
        each stage except the first. None means one stage.

    pos_label : int, float, bool or str, default=None
        The positive class. The axes of precision, recall, IoU and Dice show it. None
        shows no class.

    Attributes
    ----------
    metrics_ : list of str
        The plotted metrics.

    figure_ : matplotlib Figure
        The figure that holds the plots.

    axes_ : ndarray of shape (n_metrics,), dtype object
        One matplotlib Axes per metric, in the order of `metrics_`.

    lines_ : ndarray of shape (n_metrics, 2), dtype object
        The matplotlib lines of training and validation. The second is None if there are
        no validation data.

    See Also
    --------
    GradCAMDisplay : Image areas that a network uses.

    Examples
    --------
    >>> from skinest.inspection import TrainingHistoryDisplay
    >>> history = {
    ...     "loss": [0.69, 0.52, 0.41, 0.40],
    ...     "accuracy": [0.50, 0.71, 0.80, 0.82],
    ...     "val_loss": [0.70, 0.60, 0.55, 0.56],
    ...     "val_accuracy": [0.52, 0.64, 0.70, 0.70],
    ... }
    >>> display = TrainingHistoryDisplay.from_history(history, n_iter_per_stage=[3, 1])
    >>> display.metrics_
    ['accuracy', 'loss']
    >>> display.axes_[1].get_ylabel()
    'Loss'
    >>> display = TrainingHistoryDisplay.from_history(
    ...     {"recall": [0.1, 0.4]}, pos_label="malignant"
    ... )
    >>> display.axes_[0].get_ylabel()
    'Recall\\n(Positive label: malignant)'
    """

    def __init__(
        self,
        history: Mapping[str, Sequence[float]],
        *,
        n_iter_per_stage: Sequence[int] | None = None,
        pos_label: Any = None,
    ) -> None:
        self.history = history
        self.n_iter_per_stage = n_iter_per_stage
        self.pos_label = pos_label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        metrics: str | Sequence[str] | None = None,
        ax: AxesLike = None,
        train_kw: StyleDict = None,
        val_kw: StyleDict = None,
    ) -> Self:
        """Plot the training curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with attribute `history_`, and `n_iter_per_stage_`
            if it was trained in stages. If it has two classes, the positive one is
            ``classes_[1]``.

        metrics, ax, train_kw, val_kw : object
            Passed to :meth:`plot`.

        Returns
        -------
        display : TrainingHistoryDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no history.
        ValueError
            If a metric is not in the history.
        """
        check_plotting(f"{cls.__name__}.from_estimator")
        check_fitted(estimator, before=None)
        if not hasattr(estimator, "history_"):
            raise TypeError(
                f"{type(estimator).__name__} has no history_ of its training. For a "
                "pipeline, pass its last step, pipeline[-1]; for a search, its "
                "best_estimator_."
            )
        classes = np.asarray(getattr(estimator, "classes_", ())).tolist()
        return cls.from_history(
            estimator.history_,
            n_iter_per_stage=getattr(estimator, "n_iter_per_stage_", None),
            pos_label=classes[1] if len(classes) == 2 else None,
            metrics=metrics,
            ax=ax,
            train_kw=train_kw,
            val_kw=val_kw,
        )

    @classmethod
    def from_history(
        cls,
        history: Mapping[str, Sequence[float]] | keras.callbacks.History,
        *,
        n_iter_per_stage: Sequence[int] | None = None,
        pos_label: Any = None,
        metrics: str | Sequence[str] | None = None,
        ax: AxesLike = None,
        train_kw: StyleDict = None,
        val_kw: StyleDict = None,
    ) -> Self:
        """Plot a training history.

        Parameters
        ----------
        history : dict of str to list of float, or keras.callbacks.History
            One value per epoch for each metric, or the result of `fit` of a Keras
            model.

        n_iter_per_stage : list of int, default=None
            Number of epochs of each stage of training. None means one stage.

        pos_label : int, float, bool or str, default=None
            The positive class. The axes of precision, recall, IoU and Dice show it.
            None shows no class.

        metrics, ax, train_kw, val_kw : object
            Passed to :meth:`plot`.

        Returns
        -------
        display : TrainingHistoryDisplay

        Raises
        ------
        TypeError
            If `history` is neither a dict nor a Keras history.
        ValueError
            If the history is empty, a metric is not in it, or the stages have another
            number of epochs than the history.
        """
        check_plotting(f"{cls.__name__}.from_history")
        history = getattr(history, "history", history)
        if not isinstance(history, Mapping):
            raise TypeError(
                f"history is of type {type(history).__name__}. Pass a dict of lists, "
                "or the History that fit of a Keras model returns."
            )
        display = cls(history, n_iter_per_stage=n_iter_per_stage, pos_label=pos_label)
        return display.plot(metrics, ax=ax, train_kw=train_kw, val_kw=val_kw)

    def plot(
        self,
        metrics: str | Sequence[str] | None = None,
        *,
        ax: AxesLike = None,
        train_kw: StyleDict = None,
        val_kw: StyleDict = None,
    ) -> Self:
        """Plot the training curves.

        Parameters
        ----------
        metrics : str or list of str, default=None
            The metrics to plot. None plots those of accuracy, loss, precision and
            recall that are in the history, or all metrics if the history has none of
            these four.

        ax : matplotlib Axes or array-like of Axes, default=None
            One Axes, which is divided if there are several metrics, or one Axes per
            metric. None creates a new figure.

        train_kw, val_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for the lines of training
            and of validation, e.g. ``{"color": "black"}``.

        Returns
        -------
        display : TrainingHistoryDisplay
            This object.

        Raises
        ------
        ValueError
            If the history is empty, a metric is not in it, or the stages have another
            number of epochs than the history.
        """
        check_plotting(f"{type(self).__name__}.plot")
        metrics = _check_metrics(metrics, self.history)
        _check_lengths(metrics, self.history)
        n_epochs = len(self.history[metrics[0]])
        starts = _find_stage_starts(self.n_iter_per_stage, n_epochs)
        figure, axes = make_axes(len(metrics), ax, 2, _CELL_SIZE)
        lines = np.full((len(metrics), 2), None, dtype=object)
        styles = (("Training", "-", train_kw), ("Validation", "--", val_kw))
        for axis, metric, pair in zip(axes, metrics, lines, strict=True):
            for k, prefix in enumerate(["", _VALIDATION]):
                if prefix + metric in self.history:
                    values = self.history[prefix + metric]
                    pair[k] = _draw_line(axis, values, f"C{k}", *styles[k])
            _draw_stages(axis, starts)
            _finish_axis(axis, metric, pair)
            if self.pos_label is not None and metric in _OF_ONE_CLASS:
                label = f"{axis.get_ylabel()}\n(Positive label: {self.pos_label})"
                axis.set_ylabel(label, parse_math=False)
        self.metrics_, self.figure_ = metrics, figure
        self.axes_, self.lines_ = axes, lines
        return self


def _check_metrics(metrics, history):
    """Return the metrics to plot, after a check that they are in the history."""
    available = [name for name in history if not name.startswith(_VALIDATION)]
    if not available or not all(len(history[name]) for name in available):
        raise ValueError("history is empty: it has no values.")
    if metrics is None:
        return [name for name in _METRICS if name in available] or available
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    if not metrics:
        raise ValueError(f"metrics is empty. Pass some of {available}, or None.")
    for name in metrics:
        if name not in available:
            raise ValueError(
                f"Metric {name!r} is not in the history, which has {available}. Their "
                "values on validation data are plotted with them."
            )
    return metrics


def _check_lengths(metrics, history):
    """Raise ValueError if there is not one value per epoch."""
    n_epochs = len(history[metrics[0]])
    for name in [*metrics, *(_VALIDATION + metric for metric in metrics)]:
        if len(history.get(name, history[metrics[0]])) != n_epochs:
            raise ValueError(
                f"history has {len(history[name])} values of {name!r}, but {n_epochs} "
                f"of {metrics[0]!r}. Pass one value per epoch: fit with "
                "validation_freq=1, or leave out what is not known for all epochs."
            )


def _find_stage_starts(n_iter_per_stage, n_epochs):
    """Return the number and first epoch of each stage to mark by a line."""
    if n_iter_per_stage is None:
        return []
    if sum(n_iter_per_stage) != n_epochs:
        raise ValueError(
            f"n_iter_per_stage={list(n_iter_per_stage)} has "
            f"{sum(n_iter_per_stage)} epochs, but the history has {n_epochs}."
        )
    before = np.cumsum([0, *n_iter_per_stage[:-1]])
    stages = enumerate(zip(n_iter_per_stage, before, strict=True), start=1)
    return [(k, int(start)) for k, (n_iter, start) in stages if n_iter and start]


def _draw_line(ax, values, color, label, linestyle, user_kw):
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    style = {"color": color, "linestyle": linestyle, "label": label}
    if _has_single_points(values):  # a line with one point is not visible
        style["marker"] = "o"
    style |= normalize_kwargs(user_kw, Line2D)
    return ax.plot(np.arange(1, len(values) + 1), values, **style)[0]


def _has_single_points(values) -> bool:
    """Return whether a value has no neighbour that is known."""
    is_known = np.pad(np.isfinite(np.asarray(values, dtype=float)), 1)
    return bool(np.any(is_known[1:-1] & ~is_known[:-2] & ~is_known[2:]))


def _draw_stages(ax, starts):
    for stage, start in starts:
        ax.axvline(
            start + 0.5,
            color="0.4",
            linewidth=0.8,
            linestyle=":",
            label=f"Start of stage {stage}",
        )


def _finish_axis(ax, metric, lines):
    from matplotlib.ticker import MaxNLocator

    values = np.concatenate([line.get_ydata() for line in lines if line is not None])
    values = values[np.isfinite(values)]
    if not metric.endswith(_UNBOUNDED) and np.all((values >= 0) & (values <= 1)):
        ax.set_ylim(0, _TOP)
    n_epochs = len(lines[0].get_xdata())
    ax.set_xlim(0.5, max(n_epochs, ax.dataLim.x1) + 0.5)  # no epoch 0
    ax.xaxis.set_major_locator(
        MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    ax.set(xlabel="Epoch", ylabel=_label(metric))
    ax.legend(loc="best", fontsize="small")


def _label(metric):
    words = metric.replace("_", " ")
    return words.upper() if metric == "auc" else words[0].upper() + words[1:]
