"""Plot of the segmentation guide: scores with few masks, with and without encoder."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

DOCS = Path(__file__).parent if "__file__" in globals() else Path.cwd()
STORED = DOCS.parent / "benchmarks" / "results" / "unet_few.json"
LABELS = {"mobilenetv2": "MobileNetV2 from ImageNet", None: "no encoder"}


def draw():
    """Plot the scores of `benchmarks/encoder_unet.py few`, with their intervals."""
    cells = json.loads(STORED.read_text(encoding="utf-8"))["cells"]
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for ax, name in zip(axes, ("Dice", "below .7"), strict=True):
        for encoder, label in LABELS.items():
            found = [cell for cell in cells if cell["encoder"] == encoder]
            estimates, lows, highs = np.transpose([cell[name] for cell in found])
            ax.errorbar(
                [cell["images"] for cell in found],
                estimates,
                yerr=[estimates - lows, highs - estimates],
                marker="o",
                capsize=3,
                linestyle="-" if encoder else "--",
                label=label,
            )
        ax.set_xscale("log")
        numbers = sorted({cell["images"] for cell in cells})
        ax.set_xticks(numbers, numbers)
        ax.minorticks_off()
        ax.set_xlabel("training images")
    axes[0].set_ylabel("mean Dice score of test images")
    axes[1].set_ylabel("fraction with a Dice score below .7")
    axes[0].legend()
    return figure
