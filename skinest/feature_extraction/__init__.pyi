from ._bottleneck import BottleneckFeatureExtractor
from ._bovw import BoVWSIFTTransformer
from ._descriptors import ColorPatchDescriptor, SIFTDescriptor
from ._skin_tone import individual_typology_angle

__all__ = [
    "BoVWSIFTTransformer",
    "BottleneckFeatureExtractor",
    "ColorPatchDescriptor",
    "SIFTDescriptor",
    "individual_typology_angle",
]
