from ._transfer import TransferClassifier, VGGTransferClassifier

__all__ = ["TransferClassifier", "VGGTransferClassifier"]
