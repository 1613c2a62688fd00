"""The table of backbones: networks of :mod:`keras.applications`.

Stages have the same names in all rows. A stage begins with the block that halves the
resolution, or after the pooling that halves it, where one small tensor crosses.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

from ._backbones import Backbone


def _stages(*layers):
    """Name the first layers of five stages, which are given from the top down."""
    return {f"stage{5 - i}": layer for i, layer in enumerate(layers)}


def _vgg(application, n_parameters):
    return Backbone(
        application,
        "caffe",
        {f"stage{i}": f"block{i}_conv1" for i in range(5, 0, -1)},
        r"(block\d)_",
        compute_dtype="bfloat16",
        n_parameters=n_parameters,
    )


def _resnet(application, n_parameters):
    firsts = (f"conv{i}_block1_1_conv" for i in (5, 4, 3, 2))
    return Backbone(
        application,
        "caffe",
        _stages(*firsts, "conv1_pad"),
        r"(conv\d_block\d+|conv1)_",
        n_parameters=n_parameters,
    )


def _resnet_v2(application, n_parameters):
    firsts = (f"conv{i}_block1_preact_bn" for i in (5, 4, 3, 2))
    return Backbone(
        application,
        "tf",
        _stages(*firsts, "conv1_pad"),
        r"(conv\d_block\d+|conv1)_",
        n_parameters=n_parameters,
    )


def _densenet(application, n_parameters):
    firsts = (f"conv{i}_block1_0_bn" for i in (5, 4, 3, 2))
    return Backbone(
        application,
        "torch",
        _stages(*firsts, "zero_padding2d"),
        r"(conv\d_block\d+|conv1|pool\d)_",
        n_parameters=n_parameters,
    )


def _mobilenet_v3(application, n_parameters, *firsts):
    return Backbone(
        application,
        "inside",
        _stages(*firsts, "conv"),
        r"(expanded_conv_\d+|expanded_conv|conv_1|conv)(?:_|$)",
        n_parameters=n_parameters,
    )


def _efficientnet(application, n_parameters, stem="stem_conv_pad"):
    firsts = (f"block{i}a_expand_conv" for i in (6, 4, 3, 2))
    return Backbone(
        application,
        "inside",
        _stages(*firsts, stem),
        r"(block\d[a-z]|stem|top)_",
        n_parameters=n_parameters,
    )


def _efficientnet_v2(application, n_parameters):
    return _efficientnet(application, n_parameters, stem="stem_conv")


def _convnext(application, n_parameters):
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
        n_parameters=n_parameters,
    )


def _nasnet(application, n_parameters, *firsts):
    return Backbone(
        application,
        "tf",
        _stages(*(f"activation_{i}" for i in firsts), "activation", "stem_conv1"),
        r"((?:normal|reduction)_concat_\w+)",
        has_named_ends=True,
        n_parameters=n_parameters,
    )


_ROWS = [
    _vgg("VGG16", 14_714_688),
    _vgg("VGG19", 20_024_384),
    _resnet("ResNet50", 23_587_712),
    _resnet("ResNet101", 42_658_176),
    _resnet("ResNet152", 58_370_944),
    _resnet_v2("ResNet50V2", 23_564_800),
    _resnet_v2("ResNet101V2", 42_626_560),
    _resnet_v2("ResNet152V2", 58_331_648),
    _densenet("DenseNet121", 7_037_504),
    _densenet("DenseNet169", 12_642_880),
    _densenet("DenseNet201", 18_321_984),
    Backbone(
        "InceptionV3",
        "tf",
        _stages("conv2d_72", "conv2d_27", "conv2d_8", "conv2d_3", "conv2d"),
        r"(mixed\d+)$",
        has_named_ends=True,
        min_side=75,
        n_parameters=21_802_784,
    ),
    Backbone(
        "InceptionResNetV2",
        "tf",
        _stages("conv2d_160", "conv2d_73", "conv2d_8", "conv2d_3", "conv2d"),
        r"(mixed_\w+)$|(block\d+_\d+)_(?:conv|ac)$",
        has_named_ends=True,
        min_side=75,
        n_parameters=54_336_736,
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
        n_parameters=20_861_480,
    ),
    Backbone(
        "MobileNet",
        "tf",
        _stages(*(f"conv_pad_{i}" for i in (12, 6, 4, 2)), "conv1"),
        r"(conv)_(?:pad|dw|pw)(_\d+)|(conv1)",
        n_parameters=3_228_864,
    ),
    # bfloat16 is slower here, and probabilities change by up to .24.
    Backbone(
        "MobileNetV2",
        "tf",
        _stages(*(f"block_{i}_expand" for i in (13, 6, 3, 1)), "Conv1"),
        r"(block_\d+|expanded_conv|Conv_1|Conv1)(?:_|$)",
        n_parameters=2_257_984,
    ),
    _mobilenet_v3(
        "MobileNetV3Small",
        939_120,
        *(f"expanded_conv_{i}_expand" for i in (8, 3, 1)),
        "expanded_conv_depthwise_pad",
    ),
    _mobilenet_v3(
        "MobileNetV3Large",
        2_996_352,
        *(f"expanded_conv_{i}_expand" for i in (12, 6, 3, 1)),
    ),
    _efficientnet("EfficientNetB0", 4_049_571),
    _efficientnet("EfficientNetB1", 6_575_239),
    _efficientnet("EfficientNetB2", 7_768_569),
    _efficientnet("EfficientNetB3", 10_783_535),
    _efficientnet("EfficientNetB4", 17_673_823),
    _efficientnet("EfficientNetB5", 28_513_527),
    _efficientnet("EfficientNetB6", 40_960_143),
    _efficientnet("EfficientNetB7", 64_097_687),
    _efficientnet_v2("EfficientNetV2B0", 5_919_312),
    _efficientnet_v2("EfficientNetV2B1", 6_931_124),
    _efficientnet_v2("EfficientNetV2B2", 8_769_374),
    _efficientnet_v2("EfficientNetV2B3", 12_930_622),
    _efficientnet_v2("EfficientNetV2S", 20_331_360),
    _efficientnet_v2("EfficientNetV2M", 53_150_388),
    _efficientnet_v2("EfficientNetV2L", 117_746_848),
    _convnext("ConvNeXtTiny", 27_820_128),
    _convnext("ConvNeXtSmall", 49_454_688),
    _convnext("ConvNeXtBase", 87_566_464),
    _convnext("ConvNeXtLarge", 196_230_336),
    _convnext("ConvNeXtXLarge", 348_147_968),
    _nasnet("NASNetMobile", 4_269_716, 129, 70, 11),
    _nasnet("NASNetLarge", 84_916_818, 177, 94, 11),
]
# The precisions in which OpenVINO is faster than Keras: see bench_backbones.py. For VGG
# both take equally long. float32 is left out where features differ by more than 1e-5,
# which random weights of deep EfficientNets do even if only the rounding differs, and
# where it is not faster. compute_dtype="auto" chooses float32 for all of them: with
# trained weights, bfloat16 changes features of MobileNetV2 by up to 25 %.
_IN_BOTH = (
    *("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2"),
    *("DenseNet121", "DenseNet169", "DenseNet201"),
    *("InceptionV3", "InceptionResNetV2", "Xception"),
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"),
    *("EfficientNetB0", "EfficientNetB2", "EfficientNetV2B1"),
    *("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge"),
    *("ConvNeXtXLarge", "NASNetMobile"),
)
_IN_BFLOAT16 = (
    "ResNet152V2",
    *("EfficientNetB1", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5"),
    *("EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B2"),
    *("EfficientNetV2B3", "EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L"),
    "NASNetLarge",
)
_OPENVINO = {
    **dict.fromkeys(_IN_BOTH, ("float32", "bfloat16")),
    **dict.fromkeys(_IN_BFLOAT16, ("bfloat16",)),
}
BACKBONES = {
    row.application.lower(): replace(row, openvino=_OPENVINO.get(row.application, ()))
    for row in _ROWS
}
