"""Display of the net benefit by threshold."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..metrics import net_benefit
from ..utils._checks import check_fitted
from ._class_scores import ClassScores
from ._grid import check_plotting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from .._typing import StyleDict

_THRESHOLDS = np.arange(100) / 100  # exactly those that users write
_TREAT_ALL, _TREAT_NONE = "Treat all", "Treat none"


class DecisionCurveDisplay:
    """Net benefit of a classifier, of treating all patients and of treating none.

    A classifier helps at a threshold if its net benefit is above both other lines, see
    :func:`skinest.metrics.net_benefit`. Create the display by :meth:`from_estimator` or
    :meth:`from_predictions`. The parameters are stored as attributes.

    Parameters
    ----------
    thresholds : ndarray of shape (n_thresholds,)
        Probabilities from which a patient is treated.

    net_benefit : ndarray of shape (n_thresholds,)
        Net benefit of the classifier at each threshold.

    net_benefit_all : ndarray of shape (n_thresholds,)
        Net benefit of treating all patients.

    name : str, default=None
        Name of the classifier in the legend.

    pos_label : int, float, bool or str, default=None
        The positive class. The label of the x-axis shows it. None shows no class.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The line of the classifier.

    all_line_, none_line_ : matplotlib Line2D or None
        The lines of treating all patients and of treating none. None if they are not
        plotted.

    ax_ : matplotlib Axes
        The axes that hold the plot.

    figure_ : matplotlib Figure
        The figure that holds the plot.

    See Also
    --------
    skinest.metrics.net_benefit : The values of the curve.
    sklearn.calibration.CalibrationDisplay : Whether the probabilities are right.

    Notes
    -----
    Choose the range of thresholds before you look at the curve. For a suspicious
    lesion, most dermatologists would excise at a probability far below .5. The curve is
    an estimate like any other score: use test images, and look at the interval of the
    net benefit at the threshold that matters.

    References
    ----------
    A. J. Vickers and E. B. Elkin, "Decision curve analysis: a novel method for
    evaluating prediction models", Medical Decision Making, 2006.

    Examples
    --------
    >>> from skinest.inspection import DecisionCurveDisplay
    >>> display = DecisionCurveDisplay.from_predictions(
    ...     [0, 0, 0, 1], [0.1, 0.2, 0.6, 0.8], thresholds=[0.1, 0.5]
    ... )
    >>> display.net_benefit
    array([0.166..., 0. ])
    >>> display.ax_.get_ylabel()
    'Net benefit'
    """

    def __init__(
        self,
        thresholds: NDArray[np.float64],
        net_benefit: NDArray[np.float64],
        net_benefit_all: NDArray[np.float64],
        *,
        name: str | None = None,
        pos_label: Any = None,
    ) -> None:
        self.thresholds = thresholds
        self.net_benefit = net_benefit
        self.net_benefit_all = net_benefit_all
        self.name = name
        self.pos_label = pos_label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        thresholds: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        pos_label: Any = None,
        name: str | None = None,
        ref_lines: bool = True,
        ax: Axes | None = None,
        line_kw: StyleDict = None,
    ) -> Self:
        """Plot the decision curve of a fitted classifier.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier, pipeline or search with `predict_proba`.

        X : array, list of arrays or paths
            Images, or any other input of the estimator.

        y : array-like of shape (n_samples,)
            True labels.

        thresholds, sample_weight, ref_lines, ax, line_kw : object
            Passed to :meth:`from_predictions`.

        pos_label : int, float, bool or str, default=None
            The positive class. None means ``classes_[1]`` if there are two classes.

        name : str, default=None
            Name in the legend. None is the name of the estimator's class.

        Returns
        -------
        display : DecisionCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no `predict_proba` or no `classes_`.
        ValueError
            If there are more than two classes and no `pos_label`, if `pos_label` is not
            a class, or if :meth:`from_predictions` raises one. Also if the estimator
            does not predict one probability per class, as segmenters do not.
        """
        check_plotting(f"{cls.__name__}.from_estimator")
        check_fitted(estimator)
        kind = type(estimator).__name__
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"{kind} has no predict_proba. A decision curve needs probabilities: "
                "use CalibratedClassifierCV."
            )
        predict = ClassScores(estimator, "predict_proba")
        classes = predict.classes.tolist()
        if pos_label is None and len(classes) == 2:
            pos_label = classes[1]
        if pos_label not in classes:
            raise ValueError(
                f"pos_label={pos_label!r} must be one of the classes of {kind}: "
                f"{classes}."
            )
        return cls.from_predictions(
            y,
            predict(X)[:, classes.index(pos_label)],
            thresholds=thresholds,
            sample_weight=sample_weight,
            pos_label=pos_label,
            name=kind if name is None else name,
            ref_lines=ref_lines,
            ax=ax,
            line_kw=line_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        *,
        thresholds: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        pos_label: Any = None,
        name: str | None = None,
        ref_lines: bool = True,
        ax: Axes | None = None,
        line_kw: StyleDict = None,
    ) -> Self:
        """Plot the decision curve of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.

        y_proba : array-like of shape (n_samples,)
            Probabilities of the positive class.

        thresholds : array-like of shape (n_thresholds,), default=None
            Probabilities, in [0, 1), from which a patient is treated. None means 0 to
            0.99 in steps of 0.01.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, 0 or more.

        pos_label : int, float, bool or str, default=None
            The positive class. None means the greater of two labels.

        name : str, default=None
            Name of the classifier in the legend.

        ref_lines, ax, line_kw : object
            Passed to :meth:`plot`.

        Returns
        -------
        display : DecisionCurveDisplay

        Raises
        ------
        ValueError
            As in :func:`skinest.metrics.net_benefit`, or if there are no thresholds.
        """
        check_plotting(f"{cls.__name__}.from_predictions")
        thresholds = np.atleast_1d(_THRESHOLDS if thresholds is None else thresholds)
        if not thresholds.size:
            raise ValueError("thresholds is empty. Pass some, or None for 0 to 0.99.")
        y_true = np.asarray(y_true)
        curve, of_all = (
            net_benefit(
                y_true,
                proba,
                threshold=thresholds,
                pos_label=pos_label,
                sample_weight=sample_weight,
            )
            for proba in (y_proba, np.ones(len(y_true)))
        )
        display = cls(thresholds, curve, of_all, name=name, pos_label=pos_label)
        return display.plot(ref_lines=ref_lines, ax=ax, line_kw=line_kw)

    def plot(
        self,
        *,
        name: str | None = None,
        ref_lines: bool = True,
        ax: Axes | None = None,
        line_kw: StyleDict = None,
    ) -> Self:
        """Plot the decision curve.

        Parameters
        ----------
        name : str, default=None
            Name of the classifier in the legend. None uses that of the display.

        ref_lines : bool, default=True
            Whether to plot treating all patients and treating none. They are not
            plotted again on axes that have them.

        ax : matplotlib Axes, default=None
            The axes to plot on, such as `ax_` of another display. None creates a new
            figure.

        line_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for the line of the
            classifier, e.g. ``{"color": "black"}``.

        Returns
        -------
        display : DecisionCurveDisplay
            This object.
        """
        check_plotting(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        style: dict[str, Any] = {"label": self.name if name is None else name}
        style |= normalize_kwargs(line_kw or {}, Line2D)
        (self.line_,) = ax.plot(self.thresholds, self.net_benefit, **style)
        self.all_line_ = self.none_line_ = None
        if ref_lines and _TREAT_ALL not in {line.get_label() for line in ax.lines}:
            self._draw_references(ax)
        self._set_limits(ax)
        if any(not str(line.get_label()).startswith("_") for line in ax.lines):
            ax.legend(loc="best", fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_references(self, ax):
        grey = {"color": "0.4", "linewidth": 1}
        (self.all_line_,) = ax.plot(
            self.thresholds, self.net_benefit_all, "--", label=_TREAT_ALL, **grey
        )
        self.none_line_ = ax.axhline(0, linestyle=":", label=_TREAT_NONE, **grey)

    def _set_limits(self, ax):
        """Show what is useful: treating all falls to minus infinity."""
        label = "Threshold probability"
        if self.pos_label is not None:
            label += f"\n(Positive label: {self.pos_label})"
        ax.set_xlabel(label, parse_math=False)
        ax.set_ylabel("Net benefit")
        highest = max(np.max(line.get_ydata()) for line in ax.lines)
        if highest > 0:
            ax.set_ylim(-0.15 * highest, 1.1 * highest)
