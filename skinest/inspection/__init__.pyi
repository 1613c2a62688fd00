from ._gradcam import GradCAMDisplay
from ._history import TrainingHistoryDisplay

__all__ = ["GradCAMDisplay", "TrainingHistoryDisplay"]
