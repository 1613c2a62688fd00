"""Scores of masks that task 3 of the study prints."""

import numpy as np

from skinest.metrics import segmentation_report


def channel_dice(truth, probabilities):
    """Compute the study's "Dice" of each pixel along three equal channels, plus 1.

    It is 1 where both truth and prediction are background, so it measures the
    background.
    """
    overlap, total = truth * probabilities, truth + probabilities
    return float(np.mean((6 * overlap + 1) / (3 * total + 1)))


def measure(y_true, y_pred, probabilities):
    """Return pooled scores of the foreground, and two that the background dominates."""
    report = segmentation_report(
        y_true,
        y_pred,
        labels=[255],
        average="pooled",
        zero_division=np.nan,
        output_dict=True,
    )
    names = "accuracy", "precision", "recall", "IoU", "Dice"
    return {
        **{name: report["255"][name] for name in names},
        "mean IoU with background": report["mean IoU with background"],
        "channel Dice": channel_dice(y_true > 0, probabilities),
    }


def with_overlaps(study):
    """Add Dice and IoU of the foreground, computed from precision and recall."""
    precision, recall = study["precision"], study["recall"]
    dice = 2 * precision * recall / (precision + recall)
    return study | {"Dice": dice, "IoU": dice / (2 - dice)}
