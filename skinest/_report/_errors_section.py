"""Section of a report: the worst errors, with what explains them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np

from ._explanations import explain_errors
from ._report_blocks import Gallery, Heading, Text
from ._report_pictures import encode_image, render_panel
from ._study import MASKS


def show_errors(study):
    """Return galleries of the images with the worst predictions."""
    if not study.options.n_errors:
        yield Text("No images are shown.", "note")
    elif study.kind == MASKS:
        yield from _show_worst_masks(study)
    else:
        yield from _show_wrong_classes(study)


def _show_wrong_classes(study):
    outputs, n_errors = study.outputs, study.options.n_errors
    ranked = outputs.rank_errors()
    if not len(ranked):
        yield Text("All test images have the right class.")
        return
    order = (
        "" if outputs.scores is None else " Those with the most confidence are first."
    )
    yield Text(
        f"{len(ranked)} of {len(outputs.codes)} test images are wrong. At most "
        f"{n_errors} are shown for each true class.{order}"
    )
    by_class = {
        k: ranked[outputs.codes[ranked] == k][:n_errors]
        for k in range(len(outputs.classes))
    }
    shown = np.concatenate([*by_class.values()]).astype(int)
    images = dict(zip(shown.tolist(), study.test.images.select(shown), strict=True))
    explained, remark = explain_errors(study, images)
    yield Text(remark, "note")
    for k, positions in by_class.items():
        if not len(positions):
            continue
        yield Heading(f"True class {outputs.names[k]}")
        cards = [
            _make_card(study, position, images[position], explained.get(position, []))
            for position in positions.tolist()
        ]
        yield Gallery(cards)


def _make_card(study, position, image, explanations):
    outputs = study.outputs
    name = study.name_image(position)
    true, found = outputs.codes[position], outputs.predicted[position]
    text = f"predicted {outputs.names[found]}"
    if outputs.scores is not None:
        texts = (
            f"{outputs.scores[position, k]:.2f} for {outputs.names[k]}"
            for k in (found, true)
        )
        text += f", {outputs.score_name} {' and '.join(texts)}"
    return [encode_image(image, name), *explanations], f"{name}: {text}"


def _show_worst_masks(study):
    from ..inspection import SegmentationDisplay

    outputs = study.outputs
    order = np.argsort(outputs.dice, kind="stable")[: 2 * study.options.n_errors]
    yield Text(
        "The test images with the lowest Dice scores. The outline of the true mask is "
        "blue, that of the predicted one is yellow and dashed. With several labels, "
        "each has its own colour."
    )
    cards = []
    for position, image in zip(
        order.tolist(), study.test.images.select(order), strict=True
    ):
        name = study.name_image(position)
        display = SegmentationDisplay(
            [image],
            [outputs.masks[position]],
            [outputs.predicted[position]],
            labels=outputs.labels,
            ignore_label=outputs.masks.ignore_label,
        )
        pictures = [
            encode_image(image, name),
            render_panel(
                lambda ax, display=display: _plot_outlines(display, ax),
                image,
                f"{name} with the outlines of both masks",
            ),
        ]
        cards.append((pictures, f"{name}: Dice score {outputs.dice[position]:.3f}"))
    yield Gallery(cards)


def _plot_outlines(display, ax):
    display.plot(ax=ax, differences=False)
    display.legend_.remove()
