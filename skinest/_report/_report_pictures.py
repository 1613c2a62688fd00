"""Plots and images as parts of a page, without what the files of images know."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import base64
import io
from contextlib import contextmanager

import numpy as np

from ..images import limit_side
from ._report_blocks import Picture

_PLOT_SIZE = 4.2, 3.4  # inches
_DOTS_PER_INCH = 96  # of a screen
_IMAGE_SIDE = 320  # pixels
_JPEG = {"quality": 85}


def make_plot(plot, alt) -> Picture:
    """Create a plot.

    Parameters
    ----------
    plot : callable
        Function that plots on a matplotlib Axes.

    alt : str
        What the plot shows.

    Returns
    -------
    picture : Picture
    """
    with _plain_style():
        figure = _new_figure(_PLOT_SIZE)
        plot(figure.add_subplot())
        stream = io.BytesIO()
        # No date, and no name of the program.
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=nothing)
    width = round(_PLOT_SIZE[0] * _DOTS_PER_INCH)
    return Picture(_to_uri("image/svg+xml", stream.getvalue()), alt, width)


def encode_image(image, alt) -> Picture:
    """Encode the pixels of an image, reduced to the size of a card."""
    from PIL import Image

    image = limit_side(np.ascontiguousarray(image), _IMAGE_SIDE)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "jpeg", **_JPEG)
    return Picture(_to_uri("image/jpeg", stream.getvalue()), alt, image.shape[1])


def render_panel(plot, image, alt) -> Picture:
    """Create a picture of the size of a card from what is plotted on an image.

    Parameters
    ----------
    plot : callable
        Function that plots the image, and more, on a matplotlib Axes.

    image : ndarray of shape (height, width, 3), dtype uint8
        The image, for its proportions.

    alt : str
        What the picture shows.

    Returns
    -------
    picture : Picture
    """
    height, width = limit_side(image, _IMAGE_SIDE).shape[:2]
    with _plain_style():
        figure = _new_figure((width / _DOTS_PER_INCH, height / _DOTS_PER_INCH), None)
        axes = figure.add_axes((0, 0, 1, 1))
        plot(axes)
        axes.set_title("")
        axes.set_axis_off()
        stream = io.BytesIO()
        # Twice as many pixels, because outlines are thin.
        figure.savefig(
            stream, format="jpeg", dpi=2 * _DOTS_PER_INCH, pil_kwargs=dict(_JPEG)
        )
    return Picture(_to_uri("image/jpeg", stream.getvalue()), alt, width)


@contextmanager
def _plain_style():
    """Use the default style of matplotlib, not that of the user."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {"svg.hashsalt": "skinest", "font.size": 10, "legend.edgecolor": "0.5"}
        )
        yield


def _new_figure(size, layout="constrained"):
    """Return a figure that pyplot does not know, so that nothing stays open."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout=layout)


def _to_uri(kind, content) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
