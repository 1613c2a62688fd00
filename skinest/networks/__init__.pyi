from ._transfer import build_transfer_network
from ._unet import build_unet

__all__ = ["build_transfer_network", "build_unet"]
