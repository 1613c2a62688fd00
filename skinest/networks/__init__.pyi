from ._transfer_network import build_transfer_network
from ._unet_network import build_unet

__all__ = ["build_transfer_network", "build_unet"]
