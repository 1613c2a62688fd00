from . import (
    augmentation,
    classification,
    datasets,
    feature_extraction,
    images,
    inspection,
    kernels,
    losses,
    masks,
    metrics,
    networks,
    sampling,
    segmentation,
    utils,
)
from .classification import TransferClassifier, VGGTransferClassifier
from .feature_extraction import (
    BottleneckFeatureExtractor,
    BoVWSIFTTransformer,
    ColorPatchDescriptor,
    SIFTDescriptor,
)
from .segmentation import UNetSegmenter

__all__ = [
    "BoVWSIFTTransformer",
    "BottleneckFeatureExtractor",
    "ColorPatchDescriptor",
    "SIFTDescriptor",
    "TransferClassifier",
    "UNetSegmenter",
    "VGGTransferClassifier",
    "augmentation",
    "classification",
    "datasets",
    "feature_extraction",
    "images",
    "inspection",
    "kernels",
    "losses",
    "masks",
    "metrics",
    "networks",
    "sampling",
    "segmentation",
    "utils",
]
__version__: str
