from ._gradcam import GradCAMDisplay
from ._history import TrainingHistoryDisplay
from ._segmentation import SegmentationDisplay

__all__ = ["GradCAMDisplay", "SegmentationDisplay", "TrainingHistoryDisplay"]
