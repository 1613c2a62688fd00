from . import (
    augmentation,
    classification,
    datasets,
    export,
    feature_extraction,
    images,
    inspection,
    kernels,
    losses,
    masks,
    metrics,
    model_selection,
    networks,
    preprocessing,
    sampling,
    segmentation,
    utils,
)
from ._report._write_report import report
from ._training._models import clear_models
from .augmentation import Augmentation
from .classification import TransferClassifier, VGGTransferClassifier
from .feature_extraction import (
    BottleneckFeatureExtractor,
    BoVWSIFTTransformer,
    ColorPatchDescriptor,
    SIFTDescriptor,
)
from .sampling import ImageResampler
from .segmentation import UNetSegmenter
from .utils._show_versions import show_versions

__all__ = [
    "Augmentation",
    "BoVWSIFTTransformer",
    "BottleneckFeatureExtractor",
    "ColorPatchDescriptor",
    "ImageResampler",
    "SIFTDescriptor",
    "TransferClassifier",
    "UNetSegmenter",
    "VGGTransferClassifier",
    "augmentation",
    "classification",
    "clear_models",
    "datasets",
    "export",
    "feature_extraction",
    "images",
    "inspection",
    "kernels",
    "losses",
    "masks",
    "metrics",
    "model_selection",
    "networks",
    "preprocessing",
    "report",
    "sampling",
    "segmentation",
    "show_versions",
    "utils",
]
__version__: str
