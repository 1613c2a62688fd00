from ._build_transfer_network import build_transfer_network
from ._keras_backbone import KerasBackbone
from ._unet_network import build_unet

__all__ = ["KerasBackbone", "build_transfer_network", "build_unet"]
