from ._gradcam import GradCAMDisplay
from ._history import TrainingHistoryDisplay
from ._near_duplicates_display import NearDuplicatesDisplay
from ._segmentation import SegmentationDisplay

__all__ = [
    "GradCAMDisplay",
    "NearDuplicatesDisplay",
    "SegmentationDisplay",
    "TrainingHistoryDisplay",
]
