from . import datasets, feature_extraction, images, kernels, utils
from .feature_extraction import (
    BoVWSIFTTransformer,
    ColorPatchDescriptor,
    SIFTDescriptor,
)

__all__ = [
    "BoVWSIFTTransformer",
    "ColorPatchDescriptor",
    "SIFTDescriptor",
    "datasets",
    "feature_extraction",
    "images",
    "kernels",
    "utils",
]
__version__: str
