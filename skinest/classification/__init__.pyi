from ._transfer_classifier import TransferClassifier
from ._vgg_classifier import VGGTransferClassifier

__all__ = ["TransferClassifier", "VGGTransferClassifier"]
