from ._unet import UNetSegmenter

__all__ = ["UNetSegmenter"]
