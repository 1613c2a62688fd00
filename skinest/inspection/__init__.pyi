from ._decision_curve import DecisionCurveDisplay
from ._gradcam import GradCAMDisplay
from ._history import TrainingHistoryDisplay
from ._near_duplicates_display import NearDuplicatesDisplay
from ._occlusion import OcclusionDisplay
from ._segmentation import SegmentationDisplay
from ._visual_words import VisualWordsDisplay

__all__ = [
    "DecisionCurveDisplay",
    "GradCAMDisplay",
    "NearDuplicatesDisplay",
    "OcclusionDisplay",
    "SegmentationDisplay",
    "TrainingHistoryDisplay",
    "VisualWordsDisplay",
]
