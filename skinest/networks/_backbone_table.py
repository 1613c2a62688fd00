"""The table of backbones: networks of :mod:`keras.applications`.

Stages have the same names in all rows. A stage begins with the block that halves the
resolution, or after the pooling that halves it, where one small tensor crosses.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from ._backbones import Backbone


def _stages(*layers):
    """Name the first layers of five stages, which are given from the top down."""
    return {f"stage{5 - i}": layer for i, layer in enumerate(layers)}


def _vgg(application):
    return Backbone(
        application,
        "caffe",
        {f"stage{i}": f"block{i}_conv1" for i in range(5, 0, -1)},
        r"(block\d)_",
        compute_dtype="bfloat16",
    )


def _resnet(application):
    firsts = (f"conv{i}_block1_1_conv" for i in (5, 4, 3, 2))
    return Backbone(
        application, "caffe", _stages(*firsts, "conv1_pad"), r"(conv\d_block\d+|conv1)_"
    )


def _resnet_v2(application):
    firsts = (f"conv{i}_block1_preact_bn" for i in (5, 4, 3, 2))
    return Backbone(
        application, "tf", _stages(*firsts, "conv1_pad"), r"(conv\d_block\d+|conv1)_"
    )


def _densenet(application):
    firsts = (f"conv{i}_block1_0_bn" for i in (5, 4, 3, 2))
    return Backbone(
        application,
        "torch",
        _stages(*firsts, "zero_padding2d"),
        r"(conv\d_block\d+|conv1|pool\d)_",
    )


def _mobilenet_v3(application, *firsts):
    return Backbone(
        application,
        "inside",
        _stages(*firsts, "conv"),
        r"(expanded_conv_\d+|expanded_conv|conv_1|conv)(?:_|$)",
    )


def _efficientnet(application, stem="stem_conv_pad"):
    firsts = (f"block{i}a_expand_conv" for i in (6, 4, 3, 2))
    return Backbone(
        application, "inside", _stages(*firsts, stem), r"(block\d[a-z]|stem|top)_"
    )


def _efficientnet_v2(application):
    return _efficientnet(application, stem="stem_conv")


def _convnext(application):
    name = application.lower().replace("convnext", "convnext_")  # in those of layers
    return Backbone(
        application,
        "inside",
        _stages(
            *(f"{name}_downsampling_layernorm_{i}" for i in (2, 1, 0)),
            f"{name}_stage_0_block_0_depthwise_conv",
            f"{name}_stem_conv",
        ),
        rf"{name}_(?:(stem)|(downsampling)_\w+(_\d)|(stage_\d_block_\d+))",
    )


def _nasnet(application, n_cells):
    """Return a row, of which each resolution has this number of normal cells."""
    reductions = [f"reduce_{2 * n_cells}", f"reduce_{n_cells}", "stem_2", "stem_1"]
    firsts = (f"reduction_conv_1_{name}" for name in reductions)
    return Backbone(
        application,
        "tf",
        _stages(*firsts, "stem_conv1"),
        r"((?:normal|reduction)_concat_\w+)",
        has_named_ends=True,
    )


_ROWS = [
    _vgg("VGG16"),
    _vgg("VGG19"),
    _resnet("ResNet50"),
    _resnet("ResNet101"),
    _resnet("ResNet152"),
    _resnet_v2("ResNet50V2"),
    _resnet_v2("ResNet101V2"),
    _resnet_v2("ResNet152V2"),
    _densenet("DenseNet121"),
    _densenet("DenseNet169"),
    _densenet("DenseNet201"),
    Backbone(
        "InceptionV3",
        "tf",
        _stages("conv2d_72", "conv2d_27", "conv2d_8", "conv2d_3", "conv2d"),
        r"(mixed\d+)$",
        has_named_ends=True,
        min_side=75,
    ),
    Backbone(
        "InceptionResNetV2",
        "tf",
        _stages("conv2d_160", "conv2d_73", "conv2d_8", "conv2d_3", "conv2d"),
        r"(mixed_\w+)$|(block\d+_\d+)_(?:conv|ac)$",
        has_named_ends=True,
        min_side=75,
    ),
    Backbone(
        "Xception",
        "tf",
        _stages(
            *(f"block{i}_sepconv1_act" for i in (13, 4, 3)),
            "block2_sepconv1",
            "block1_conv1",
        ),
        r"(block\d+)_",
        min_side=71,
    ),
    Backbone(
        "MobileNet",
        "tf",
        _stages(*(f"conv_pad_{i}" for i in (12, 6, 4, 2)), "conv1"),
        r"(conv)_(?:pad|dw|pw)(_\d+)|(conv1)",
    ),
    # bfloat16 is slower here, and probabilities change by up to .24.
    Backbone(
        "MobileNetV2",
        "tf",
        _stages(*(f"block_{i}_expand" for i in (13, 6, 3, 1)), "Conv1"),
        r"(block_\d+|expanded_conv|Conv_1|Conv1)(?:_|$)",
    ),
    _mobilenet_v3(
        "MobileNetV3Small",
        *(f"expanded_conv_{i}_expand" for i in (8, 3, 1)),
        "expanded_conv_depthwise_pad",
    ),
    _mobilenet_v3(
        "MobileNetV3Large", *(f"expanded_conv_{i}_expand" for i in (12, 6, 3, 1))
    ),
    *(_efficientnet(f"EfficientNetB{i}") for i in range(8)),
    *(_efficientnet_v2(f"EfficientNetV2B{i}") for i in range(4)),
    *(_efficientnet_v2(f"EfficientNetV2{size}") for size in "SML"),
    _convnext("ConvNeXtTiny"),
    _convnext("ConvNeXtSmall"),
    _convnext("ConvNeXtBase"),
    _convnext("ConvNeXtLarge"),
    _convnext("ConvNeXtXLarge"),
    _nasnet("NASNetMobile", n_cells=4),
    _nasnet("NASNetLarge", n_cells=6),
]
BACKBONES = {row.application.lower(): row for row in _ROWS}
