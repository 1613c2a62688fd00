from ._decision_curve import DecisionCurveDisplay
from ._gradcam import GradCAMDisplay
from ._history import TrainingHistoryDisplay
from ._near_duplicates_display import NearDuplicatesDisplay
from ._segmentation import SegmentationDisplay

__all__ = [
    "DecisionCurveDisplay",
    "GradCAMDisplay",
    "NearDuplicatesDisplay",
    "SegmentationDisplay",
    "TrainingHistoryDisplay",
]
