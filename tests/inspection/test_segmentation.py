"""Outlines, differences, titles, legend and axes of a display of masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import itertools
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb, to_rgba
from sklearn.metrics import f1_score

from skinest.inspection import SegmentationDisplay
from tests.inspection.segmenters import SIZE, Darkness, box, legend

TRUE, PRED = "#00c8ff", "#ffe119"  # blue and yellow
KINDS = {
    "Agreement": "#0b9142",
    "Missed": TRUE,
    "Wrongly found": PRED,
    "Wrong label": "#8e24aa",
}
AGREEMENT, MISSED, FOUND, CONFUSED = KINDS.values()


def lines_on(ax):
    return [line for line in ax.lines if len(line.get_xdata())]


def test_outlines_go_along_the_edges_of_the_pixels(images, masks, predicted):
    display = SegmentationDisplay.from_predictions(images, masks, predicted)
    assert display.outlines_.shape == (5, 1, 2)
    for k, (row, (true, pred)) in enumerate(
        zip(display.axes_, display.outlines_[:, 0], strict=True)
    ):
        assert row[0].lines[:] == [true, pred]
        assert box(true) == [7.5, 19.5 + k, 1.5 + k, 11.5 + k]
        assert box(pred) == [7.5, 19.5 + k, 4.5 + k, 14.5 + k]


def test_truth_and_prediction_differ_in_colour_and_dashes(images, masks, predicted):
    display = SegmentationDisplay.from_predictions(images, masks, predicted)
    for true, pred in display.outlines_[:, 0]:
        assert (to_hex(true.get_color()), to_hex(pred.get_color())) == (TRUE, PRED)
        assert true.get_linestyle() == "-" != pred.get_linestyle()
    assert legend(display)[:2] == ["True", "Predicted"]


def test_image_lies_under_its_outlines_and_fills_the_panel(images, masks, predicted):
    display = SegmentationDisplay.from_predictions(images, masks, predicted)
    for image, (outlines, differences) in zip(images, display.axes_, strict=True):
        (shown,) = outlines.get_images()
        np.testing.assert_array_equal(shown.get_array(), image)
        for ax in (outlines, differences):
            assert (*ax.get_xlim(), *ax.get_ylim()) == (-0.5, 39.5, 29.5, -0.5)


def test_mask_of_the_whole_image_is_outlined_at_its_border(images):
    full = np.ones((1, *SIZE), dtype=np.uint8)
    display = SegmentationDisplay.from_predictions(images[:1], None, full)
    assert box(display.outlines_[0, 0, 1]) == [-0.5, 39.5, -0.5, 29.5]


def test_single_pixels_and_holes_are_outlined(images):
    mask = np.zeros((1, *SIZE), dtype=np.uint8)
    mask[0, 2, 3] = 1
    mask[0, 10:20, 10:20] = 1
    mask[0, 14:16, 14:16] = 0
    display = SegmentationDisplay.from_predictions(images[:1], None, mask)
    breaks = np.isnan(display.outlines_[0, 0, 1].get_xdata())
    assert breaks.sum() == 2  # between three closed lines


def test_titles_are_the_dice_of_scikit_learn(images, masks, predicted):
    display = SegmentationDisplay.from_predictions(images, masks, predicted)
    for k, (outlines, differences) in enumerate(display.axes_):
        expected = f1_score(masks[k].ravel(), predicted[k].ravel(), pos_label=255)
        assert display.scores[k] == pytest.approx(expected)
        assert outlines.get_title() == f"Dice {expected:.3f}"
        assert differences.get_title() == ""


def test_dice_of_several_labels_is_their_mean(images):
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 4, (2, 5, *SIZE))
    display = SegmentationDisplay.from_predictions(images, y_true, y_pred)
    for k in range(5):
        true, pred = y_true[k].ravel(), y_pred[k].ravel()
        expected = f1_score(true, pred, labels=[1, 2, 3], average="macro")
        assert display.axes_[k, 0].get_title() == f"Dice {expected:.3f}"


def test_differences_of_a_mask_made_by_hand():
    image = np.full((2, 4, 3), (200, 100, 0), dtype=np.uint8)
    y_true = np.array([[0, 1, 1, 0], [2, 2, 0, 9]])
    y_pred = np.array([[0, 1, 0, 1], [2, 1, 2, 0]])
    display = SegmentationDisplay.from_predictions(
        [image], [y_true], [y_pred], labels=[1, 2], alpha=0.6
    )
    grey, tints = display.axes_[0, 1].get_images()
    assert display.differences_ == [tints]
    # Rec. 601: 0.299 * 200 + 0.587 * 100 = 118.5
    np.testing.assert_allclose(grey.get_array(), np.full((2, 4), 118.5), atol=0.5)
    kinds = [[None, AGREEMENT, MISSED, FOUND], [AGREEMENT, CONFUSED, FOUND, None]]
    for i, j in itertools.product(range(2), range(4)):
        pixel = tints.get_array()[i, j] / 255
        if kinds[i][j] is None:
            assert pixel[3] == 0
        else:
            np.testing.assert_allclose(pixel, to_rgba(kinds[i][j], 0.6), atol=0.003)


def test_missed_has_the_colour_of_truth_and_wrongly_found_that_of_prediction(images):
    assert (MISSED, FOUND) == (TRUE, PRED)
    full, empty = np.ones((1, *SIZE), dtype=int), np.zeros((1, *SIZE), dtype=int)
    for y_true, y_pred, color in [(full, empty, TRUE), (empty, full, PRED)]:
        display = SegmentationDisplay.from_predictions(images[:1], y_true, y_pred)
        tints = display.differences_[0].get_array() / 255
        np.testing.assert_allclose(
            tints[..., :3], [[to_rgb(color)] * 40] * 30, atol=0.003
        )


def test_differences_can_be_left_out(images, masks, predicted):
    display = SegmentationDisplay.from_predictions(
        images, masks, predicted, differences=False
    )
    assert display.axes_.shape == (5, 1)
    assert display.differences_ == []
    assert legend(display) == ["True", "Predicted"]
    assert display.axes_[0, 0].get_title().startswith("Dice")


def test_without_truth_there_is_the_prediction_only(images, predicted):
    display = SegmentationDisplay.from_predictions(images, None, predicted)
    assert display.axes_.shape == (5, 1)
    assert display.y_true is None
    assert display.scores is None
    assert all(line is None for line in display.outlines_[:, 0, 0])
    for (ax,), (line,) in zip(display.axes_, display.outlines_[:, :, 1], strict=True):
        assert ax.lines[:] == [line]
        assert to_hex(line.get_color()) == PRED
        assert ax.get_title() == ""
    assert legend(display) == ["Predicted"]


def test_several_labels_have_a_colour_each_and_a_name(images):
    y_true = np.zeros((2, *SIZE), dtype=np.uint8)
    y_true[:, 2:8, 2:8], y_true[:, 10:20, 5:30], y_true[0, 25:28, 3:9] = 1, 2, 7
    y_pred = np.roll(y_true, 2, axis=2)
    names = ["lesion", "globules", "streaks"]
    display = SegmentationDisplay.from_predictions(
        images[:2], y_true, y_pred, target_names=names
    )
    assert display.labels == [1, 2, 7]
    colors = np.vectorize(lambda line: to_hex(line.get_color()))(display.outlines_)
    assert len(set(colors[0, :, 0])) == 3
    assert (colors == colors[:1, :, :1]).all()
    styles = [line.get_linestyle() for line in display.outlines_.ravel()]
    assert styles[::2] == ["-"] * 6
    assert "-" not in styles[1::2]
    entries = dict(zip(legend(display), display.legend_.legend_handles, strict=True))
    assert set(entries) == {*names, "True", "Predicted", *KINDS}
    for name, color in zip(names, colors[0, :, 0], strict=True):
        assert to_hex(entries[name].get_color()) == color
    assert len(lines_on(display.axes_[1, 0])) == 4  # no 7 in the second image


def test_legend_is_read_by_rows_and_names_one_label_twice(images, masks, predicted):
    display = SegmentationDisplay.from_predictions(
        images[:1], masks[:1], predicted[:1], target_names=["lesion"]
    )
    kinds = ["Agreement", "Missed", "Wrongly found"]
    expected = ["True lesion", "Predicted lesion", *kinds]
    assert sorted(legend(display)) == sorted(expected)
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.legend_.get_texts()]
    rows = sorted(zip(boxes, legend(display), strict=True), key=place)
    assert [text for _, text in rows] == expected


def test_empty_masks(images):
    empty = np.zeros((2, *SIZE), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y_true in (empty, None):
            display = SegmentationDisplay.from_predictions(images[:2], y_true, empty)
            display.figure_.canvas.draw()
            assert display.labels == []
            assert display.outlines_.shape == (2, 0, 2)
        display = SegmentationDisplay.from_predictions(
            images[:2], empty, empty, labels=[1], target_names=["lesion"]
        )
        display.figure_.canvas.draw()
    assert [ax.get_title() for ax in display.axes_[:, 0]] == ["Dice 1.000"] * 2
    assert not lines_on(display.axes_[0, 0])
    assert not display.differences_[0].get_array()[..., 3].any()


def test_labels_that_are_not_named_are_background(images):
    y = np.zeros((1, *SIZE), dtype=int)
    y[0, :5], y[0, 10:15] = 1, 2
    display = SegmentationDisplay.from_predictions(images[:1], y, 0 * y, labels=[2])
    assert box(display.outlines_[0, 0, 0])[2:] == [9.5, 14.5]
    assert display.differences_[0].get_array()[:5, :, 3].max() == 0
    assert display.scores == [0]


def test_images_of_different_sizes():
    sizes = [(20, 30), (40, 10), (25, 25), (8, 64)]
    images = [np.full((*size, 3), 99, dtype=np.uint8) for size in sizes]
    masks = [np.ones(size, dtype=bool) for size in sizes]
    display = SegmentationDisplay.from_predictions(images, masks, masks)
    display.figure_.canvas.draw()
    for (height, width), line in zip(sizes, display.outlines_[:, 0, 0], strict=True):
        assert box(line) == [-0.5, width - 0.5, -0.5, height - 0.5]


def test_panels_of_an_image_stay_together(images, masks, predicted):
    for max_cols, geometry in [(4, (3, 4)), (5, (3, 4)), (2, (5, 2)), (1, (5, 2))]:
        display = SegmentationDisplay.from_predictions(
            images, masks, predicted, max_cols=max_cols
        )
        grid = {ax.get_gridspec().get_geometry() for ax in display.axes_.ravel()}
        assert grid == {geometry}
        specs = [[ax.get_subplotspec() for ax in row] for row in display.axes_]
        assert all(left.rowspan == right.rowspan for left, right in specs)


def test_given_axes_are_drawn_on(images, masks, predicted):
    figure, axes = plt.subplots(2, 2)
    display = SegmentationDisplay.from_predictions(
        images[:2], masks[:2], predicted[:2], ax=axes
    )
    assert display.figure_ is figure
    assert display.axes_.tolist() == axes.tolist()
    assert len(figure.axes) == 4
    assert display.plot(ax=display.axes_) is display
    with pytest.raises(ValueError, match="4 axes, but 6"):
        SegmentationDisplay.from_predictions(
            images[:3], masks[:3], predicted[:3], ax=axes
        )


def test_one_given_axes_is_divided(images, masks, predicted):
    figure, ax = plt.subplots()
    display = SegmentationDisplay.from_estimator(
        Darkness().fit(), images[:2], masks[:2], ax=ax
    )
    assert display.figure_ is figure
    assert len(figure.axes) == 1 + 4
    assert not ax.axison
    with pytest.raises(ValueError, match="divided before"):
        display.plot(ax=ax)


def test_one_panel_goes_into_the_given_axes_even_of_a_subfigure(images, predicted):
    figure = plt.figure().subfigures(1, 2)[0]
    ax = figure.subplots()
    display = SegmentationDisplay.from_predictions(
        images[:1], None, predicted[:1], ax=ax
    )
    assert display.axes_.tolist() == [[ax]]
    assert display.figure_ is figure
    assert legend(display) == ["Predicted"]


def test_style_of_the_outlines(images, masks, predicted):
    display = SegmentationDisplay.from_predictions(
        images, masks, predicted, true_kw={"c": "black"}, pred_kw={"ls": ":", "lw": 3}
    )
    true, pred = display.outlines_[0, 0]
    assert true.get_color() == "black"
    assert true.get_linestyle() == "-"
    assert pred.get_linestyle() == ":"
    assert pred.get_linewidth() == 3
    assert to_hex(pred.get_color()) == PRED
    in_legend = display.legend_.legend_handles
    assert [line.get_color() for line in in_legend[:2]] == ["black", PRED]


def test_display_made_of_masks_is_plotted(images, masks, predicted):
    display = SegmentationDisplay(
        list(images), list(masks), list(predicted), labels=[255]
    )
    assert display.plot(alpha=1) is display
    assert display.axes_[0, 0].get_title() == ""
    assert display.differences_[0].get_array()[..., 3].max() == 255


@pytest.mark.parametrize("n_images", [1, 3])
def test_legend_is_not_cut_and_covers_no_image(n_images):
    images = [np.zeros((48, 64, 3), dtype=np.uint8)] * n_images
    masks = [np.arange(48 * 64).reshape(48, 64) % 5] * n_images
    names = ["pigment network", "negative network", "streaks", "milia-like cysts"]
    display = SegmentationDisplay.from_predictions(
        images, masks, masks, target_names=names
    )
    display.figure_.canvas.draw()
    frame = display.legend_.get_window_extent()
    width, _ = display.figure_.bbox.size
    assert 0 <= frame.x0 < frame.x1 <= width
    assert 0 <= frame.y0
    assert all(ax.get_window_extent().y0 >= frame.y1 for ax in display.axes_.ravel())


def place(entry):
    """Return where a text is, from above and the left."""
    return -round(entry[0].y0), entry[0].x0
