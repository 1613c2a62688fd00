from ._bottleneck import BottleneckFeatureExtractor
from ._bovw import BoVWSIFTTransformer
from ._descriptors import ColorPatchDescriptor, SIFTDescriptor

__all__ = [
    "BoVWSIFTTransformer",
    "BottleneckFeatureExtractor",
    "ColorPatchDescriptor",
    "SIFTDescriptor",
]
