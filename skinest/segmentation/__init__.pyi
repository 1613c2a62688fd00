from ._unet_segmenter import UNetSegmenter

__all__ = ["UNetSegmenter"]
