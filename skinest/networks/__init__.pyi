from ._build_transfer_network import build_transfer_network
from ._build_unet import build_unet
from ._keras_backbone import KerasBackbone

__all__ = ["KerasBackbone", "build_transfer_network", "build_unet"]
