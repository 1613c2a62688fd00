from ._blobs import blob_f1_score, blob_f1_scorer
from ._boundary_distances import (
    average_surface_distance,
    hausdorff_distance,
    neg_average_surface_distance_scorer,
    neg_hausdorff_scorer,
)
from ._isic_submission import write_isic_submission
from ._mask_metrics import (
    dice_score,
    dice_scorer,
    iou_score,
    iou_scorer,
)
from ._net_benefit import net_benefit
from ._operating_points import (
    find_threshold,
    partial_auc_score,
    partial_auc_scorer,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)
from ._segmentation_report import segmentation_report
from ._threshold_jaccard import threshold_jaccard_score, threshold_jaccard_scorer

__all__ = [
    "average_surface_distance",
    "blob_f1_score",
    "blob_f1_scorer",
    "dice_score",
    "dice_scorer",
    "find_threshold",
    "hausdorff_distance",
    "iou_score",
    "iou_scorer",
    "neg_average_surface_distance_scorer",
    "neg_hausdorff_scorer",
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
