"""Panels of images and masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

# People with any common kind of colour vision can distinguish blue and yellow, and skin
# and lesions have neither colour. A dark rim makes them visible on bright areas.
TRUE, PRED = "#00c8ff", "#ffe119"
_LABEL_COLORS = (TRUE, PRED, "#ffffff", "#ff5ccd", "#69f0ae", "#3d5afe", "#ff6d00")
_RIM = (0, 0, 0, 0.6)
# Kinds of pixels in the panel of differences.
AGREEMENT, MISSED, FOUND, CONFUSED = 1, 2, 3, 4
KINDS = {
    AGREEMENT: ("Agreement", "#0b9142"),
    MISSED: ("Missed", TRUE),
    FOUND: ("Wrongly found", PRED),
    CONFUSED: ("Wrong label", "#8e24aa"),
}
# Sizes in the legend in inches: a line or patch, a letter, and the height of a row.
_HANDLE, _LETTER, _ROW = 0.5, 0.068, 0.2


def check_known(held, classes):
    """Raise ValueError if masks have a label that the estimator does not know."""
    classes = np.asarray(classes).tolist()
    for name, labels in held.items():
        if unknown := sorted(labels.difference(classes)):
            raise ValueError(
                f"{name} has {unknown}, but the estimator knows {classes}. If they "
                "are the same labels, use those of its training masks; if not, pass "
                "labels."
            )


def draw_outlines(ax, image, y_true, y_pred, labels, styles):
    """Plot an image with the outlines of its true and predicted masks.

    Parameters
    ----------
    ax : matplotlib Axes

    image : ndarray of shape (height, width, 3)

    y_true, y_pred : ndarray of shape (height, width)
        The masks. `y_true` is None if unknown.

    labels : list of int
        The labels to outline.

    styles : tuple of (dict or None, dict or None)
        Keywords of the lines of truth and prediction.

    Returns
    -------
    lines : ndarray of shape (n_labels, 2), dtype object
        The lines, or None if there is no true mask.
    """
    ax.imshow(image)
    ax.set_axis_off()
    lines, masks = np.full((len(labels), 2), None, dtype=object), (y_true, y_pred)
    for which, (mask, user_kw) in enumerate(zip(masks, styles, strict=True)):
        for k, label in enumerate(labels if mask is not None else ()):
            x, y = _outline(mask == label).T
            style = _line_style(k, which, len(labels), user_kw)
            lines[k, which] = ax.plot(x, y, scalex=False, scaley=False, **style)[0]
    return lines


def _outline(is_inside):
    """Return points along the edges of pixels, with NaN between closed lines."""
    from contourpy import contour_generator

    padded = np.pad(is_inside.astype(np.float32), 1)  # closes lines at the border
    generator = contour_generator(z=padded, line_type="ChunkCombinedNan")
    ((points,),) = generator.lines(0.5)
    return np.empty((0, 2)) if points is None else points - 1


def _line_style(k, which, n_labels, user_kw):
    """Return keywords of the line of label k, for truth (0) or prediction (1)."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    is_alone, colors = n_labels <= 1, _LABEL_COLORS
    style = {
        "color": (TRUE, PRED)[which] if is_alone else colors[k % len(colors)],
        "linestyle": ("-", (0, (4, 1.5)))[which],
        "linewidth": 1.3,
    }
    style |= normalize_kwargs(user_kw, Line2D)
    rim = withStroke(linewidth=style["linewidth"] + 1.2, foreground=_RIM)
    return {"path_effects": [rim], **style}


def compare_pixels(y_true, y_pred, labels, ignore_label=None):
    """Return the kind of each pixel of a prediction.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (height, width)
        The masks.

    labels : list of int
        The foreground.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled.

    Returns
    -------
    kinds : ndarray of shape (height, width), dtype uint8
        0 if both are background or the pixel is not labelled, 1 if both have the same
        label, 2 for missed foreground, 3 for wrongly found foreground, 4 for a wrong
        label.
    """
    in_true, in_pred = np.isin(y_true, labels), np.isin(y_pred, labels)
    kinds = np.zeros(y_true.shape, dtype=np.uint8)
    kinds[in_true & ~in_pred] = MISSED
    kinds[in_pred & ~in_true] = FOUND
    both = in_true & in_pred
    kinds[both] = np.where((y_true == y_pred)[both], AGREEMENT, CONFUSED)
    if ignore_label is not None:
        kinds[y_true == ignore_label] = 0
    return kinds


def draw_differences(ax, image, y_true, y_pred, labels, alpha, ignore_label=None):
    """Plot an image in grey with colours by :func:`compare_pixels`, and return them."""
    import cv2
    from matplotlib.colors import to_rgba

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255)
    ax.set_axis_off()
    # RGBA values can be averaged if the panel is smaller than the image.
    tints = [(1, 1, 1, 0), *(to_rgba(color, alpha) for _, color in KINDS.values())]
    tints = np.round(255 * np.array(tints)).astype(np.uint8)
    return ax.imshow(tints[compare_pixels(y_true, y_pred, labels, ignore_label)])


def draw_legend(display, ax, styles, alpha):
    """Plot the legend below the axes of a display.

    Parameters
    ----------
    display : SegmentationDisplay
        The display, complete except for the legend.

    ax : matplotlib Axes, array-like of Axes or None
        The axes that the user passed.

    styles : tuple of (dict or None, dict or None)
        Keywords of the lines of truth and prediction.

    alpha : float
        Opacity of the tints.

    Returns
    -------
    legend : matplotlib Legend
    """
    from matplotlib.axes import Axes

    has_truth, labels = display.y_true is not None, display.labels
    handles = _make_line_handles(labels, display.target_names, styles, has_truth)
    if display.differences_:
        handles += _make_tint_handles(len(labels), alpha)
    figure, axes = display.figure_, display.axes_
    width, height = figure.bbox.size / figure.dpi
    if ax is None:  # enlarge a new figure for its legend
        host, available = figure, width
    else:
        host = ax if isinstance(ax, Axes) else axes[-1, 0]
        n_across = 1 if host is ax else axes.shape[1]
        available = n_across * width * host.get_position().width
    n_letters = max(len(handle.get_label()) for handle in handles)
    n_cols = int(available / (_HANDLE + _LETTER * n_letters))
    n_rows = -(-len(handles) // max(1, n_cols))
    n_cols = -(-len(handles) // n_rows)
    # matplotlib fills legends by columns, but people read them by rows.
    handles = [handle for k in range(n_cols) for handle in handles[k::n_cols]]
    options = {"handles": handles, "ncols": n_cols, "fontsize": "small"}
    if ax is None:
        figure.set_size_inches(width, height + _ROW * n_rows + 0.1)
        return figure.legend(loc="outside lower center", **options)
    anchor = (n_across / 2, 0)
    return host.legend(loc="upper center", bbox_to_anchor=anchor, **options)


def _make_line_handles(labels, names, styles, has_truth):
    from matplotlib.lines import Line2D

    handles, ending, several = [], "", len(labels) > 1
    if several:
        for k, label in enumerate(labels):
            style = {**_line_style(k, 0, len(labels), styles[0]), "linestyle": "-"}
            handles.append(Line2D([], [], label=names[k] if names else label, **style))
    elif names:
        ending = f" {names[0]}"
    for which, word in enumerate(("True", "Predicted")):
        if which or has_truth:
            style = _line_style(0, which, len(labels), styles[which])
            if several:  # colours are those of labels
                style["color"] = "0.8"
            handles.append(Line2D([], [], label=word + ending, **style))
    return handles


def _make_tint_handles(n_labels, alpha):
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    handles = []
    for kind, (word, color) in KINDS.items():
        if kind != CONFUSED or n_labels > 1:
            face = alpha * np.array(to_rgb(color)) + (1 - alpha) * 0.6
            handles.append(Patch(facecolor=face, edgecolor="0.3", label=word))
    return handles
