from ._transfer import build_transfer_network

__all__ = ["build_transfer_network"]
