from ._decision_curve import DecisionCurveDisplay
from ._gradcam import GradCAMDisplay
from ._history import TrainingHistoryDisplay
from ._segmentation import SegmentationDisplay

__all__ = [
    "DecisionCurveDisplay",
    "GradCAMDisplay",
    "SegmentationDisplay",
    "TrainingHistoryDisplay",
]
