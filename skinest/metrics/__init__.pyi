from ._isic_submission import write_isic_submission
from ._mask_metrics import (
    dice_score,
    dice_scorer,
    iou_score,
    iou_scorer,
    segmentation_report,
)
from ._net_benefit import net_benefit
from ._operating_points import (
    find_threshold,
    partial_auc_score,
    partial_auc_scorer,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)
from ._threshold_jaccard import threshold_jaccard_score, threshold_jaccard_scorer

__all__ = [
    "dice_score",
    "dice_scorer",
    "find_threshold",
    "iou_score",
    "iou_scorer",
    "net_benefit",
    "partial_auc_score",
    "partial_auc_scorer",
    "segmentation_report",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "threshold_jaccard_score",
    "threshold_jaccard_scorer",
    "write_isic_submission",
]
