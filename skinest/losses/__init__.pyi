from ._classes import (
    Crossentropy,
    Dice,
    DiceCrossentropy,
    Focal,
    Jaccard,
    Tversky,
    WeightedCrossentropy,
)
from ._functional import (
    crossentropy,
    dice,
    dice_crossentropy,
    focal,
    jaccard,
    tversky,
)

__all__ = [
    "Crossentropy",
    "Dice",
    "DiceCrossentropy",
    "Focal",
    "Jaccard",
    "Tversky",
    "WeightedCrossentropy",
    "crossentropy",
    "dice",
    "dice_crossentropy",
    "focal",
    "jaccard",
    "tversky",
]
