"""Section of a report: curves of classifiers, and distributions of scores of masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

from ..inspection import DecisionCurveDisplay
from ._report_blocks import PlotGrid, Text
from ._report_pictures import make_plot
from ._study import MASKS

_N_BINS = 10  # of calibration, at most
_MIN_PER_BIN = 10  # images
# They differ in brightness too, and have a contrast of 3 or more to white.
_COLORS = "#1f4e9c", "#d1495b", "#2a9d8f", "#b9770e", "#6a4c93", "#768299", "#3d2b1f"
_STYLES = "-", "--", "-.", ":"
_DICE_BINS = np.linspace(0, 1, 21)


def plot_curves(study):
    """Return the plots of what is predicted."""
    if study.kind == MASKS:
        yield PlotGrid([_plot_dice(study)])
        return
    outputs = study.outputs
    if outputs.scores is None:
        yield Text(
            "The estimator has neither probabilities nor a decision value for each "
            "class, so it has no curves.",
            "note",
        )
        return
    plots = [_plot_roc(study), _plot_precision(study)]
    if outputs.are_probabilities:
        plots.append(_plot_calibration(study))
        if outputs.positive is not None:
            plots.append(_plot_decisions(study))
    yield PlotGrid(plots)
    if not outputs.are_probabilities:
        yield Text(
            "The estimator has no predict_proba, so its calibration and decision curve "
            "are not known. Use CalibratedClassifierCV.",
            "note",
        )
    elif outputs.positive is not None:
        yield Text(
            "The net benefit is only right if the prevalence in the test images is "
            "that of the patients.",
            "note",
        )


def _list_curves(outputs):
    """Yield name, truth, scores and style of each class that is plotted."""
    for position, k in enumerate(outputs.shown):
        style = {
            "color": _COLORS[position % len(_COLORS)],
            "linestyle": _STYLES[position % len(_STYLES)],
        }
        yield outputs.names[k], outputs.codes == k, outputs.scores[:, k], style


def _finish(ax, outputs, title, xlabel, ylabel):
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.set_aspect("auto")
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    if len(outputs.shown) > 1:
        ax.legend(fontsize="x-small")


def _name_classes(outputs) -> str:
    names = ", ".join(outputs.names[k] for k in outputs.shown)
    return f"of the class {names}" if len(outputs.shown) == 1 else f"of {names}"


def _plot_roc(study):
    outputs = study.outputs

    def plot(ax):
        for name, truth, scores, style in _list_curves(outputs):
            RocCurveDisplay.from_predictions(truth, scores, ax=ax, curve_kwargs=style)
            ax.lines[-1].set_label(_escape(name))
        ax.plot([0, 1], [0, 1], color="0.5", linewidth=1)
        _finish(ax, outputs, "ROC curve", "1 - specificity", "Sensitivity")

    return make_plot(
        plot, f"ROC curve {_name_classes(outputs)}: sensitivity by 1 - specificity"
    )


def _plot_precision(study):
    outputs = study.outputs

    def plot(ax):
        for name, truth, scores, style in _list_curves(outputs):
            PrecisionRecallDisplay.from_predictions(truth, scores, ax=ax)
            ax.lines[-1].set(label=_escape(name), **style)
        if outputs.positive is not None:
            ax.axhline(truth.mean(), color="0.5", linewidth=1)
        _finish(ax, outputs, "Precision-recall curve", "Recall", "Precision")
        ax.set_ylim(-0.02, 1.02)

    return make_plot(
        plot, f"Precision-recall curve {_name_classes(outputs)}: precision by recall"
    )


def _plot_calibration(study):
    outputs = study.outputs
    n_bins = int(np.clip(len(outputs.codes) // _MIN_PER_BIN, 2, _N_BINS))

    def plot(ax):
        for name, truth, scores, style in _list_curves(outputs):
            CalibrationDisplay.from_predictions(
                truth,
                np.clip(scores, 0, 1),
                n_bins=n_bins,
                strategy="quantile",
                ref_line=False,
                ax=ax,
                markersize=4,
                **style,
            )
            ax.lines[-1].set_label(_escape(name))
        ax.plot([0, 1], [0, 1], color="0.5", linewidth=1)
        _finish(
            ax,
            outputs,
            "Calibration",
            "Mean predicted probability",
            "Observed fraction",
        )

    return make_plot(
        plot,
        f"Calibration curve {_name_classes(outputs)}: observed fraction by mean "
        f"predicted probability, in {n_bins} bins of equally many images",
    )


def _plot_decisions(study):
    outputs = study.outputs
    ((name, truth, scores, style),) = _list_curves(outputs)

    def plot(ax):
        DecisionCurveDisplay.from_predictions(
            truth, np.clip(scores, 0, 1), name="estimator", ax=ax, line_kw=style
        )
        legend = ax.get_legend()
        legend.set_loc("upper right")
        ax.set(title="Decision curve", xlabel="Threshold", ylabel="Net benefit")

    return make_plot(
        plot,
        f"Decision curve of the class {name}: net benefit by threshold, for the "
        "estimator, treating all and treating none",
    )


def _plot_dice(study):
    scores = study.outputs.dice
    scores = scores[~np.isnan(scores)]  # of images without a labelled pixel

    def plot(ax):
        ax.hist(scores, bins=_DICE_BINS, color=_COLORS[0], edgecolor="white")
        ax.set(title="Dice score by image", xlabel="Dice score", ylabel="Images")

    low, middle, high = np.quantile(scores, [0.1, 0.5, 0.9])
    return make_plot(
        plot,
        f"Histogram of the Dice scores of {len(scores)} images: 10 % are below "
        f"{low:.2f}, the median is {middle:.2f}, and 10 % are above {high:.2f}",
    )


def _escape(name) -> str:
    """Return a name that matplotlib does not read as a formula or hides."""
    return name.replace("$", r"\$").lstrip("_")
