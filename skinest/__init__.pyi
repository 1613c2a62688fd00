from . import (
    augmentation,
    classification,
    datasets,
    feature_extraction,
    images,
    inspection,
    kernels,
    networks,
    utils,
)
from .classification import TransferClassifier, VGGTransferClassifier
from .feature_extraction import (
    BottleneckFeatureExtractor,
    BoVWSIFTTransformer,
    ColorPatchDescriptor,
    SIFTDescriptor,
)

__all__ = [
    "BoVWSIFTTransformer",
    "BottleneckFeatureExtractor",
    "ColorPatchDescriptor",
    "SIFTDescriptor",
    "TransferClassifier",
    "VGGTransferClassifier",
    "augmentation",
    "classification",
    "datasets",
    "feature_extraction",
    "images",
    "inspection",
    "kernels",
    "networks",
    "utils",
]
__version__: str
