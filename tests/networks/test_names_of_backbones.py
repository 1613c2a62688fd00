"""Names of backbones that do not exist."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re

import pytest

from skinest.networks import build_transfer_network, build_unet


@pytest.mark.parametrize(
    ("given", "similar"),
    [
        ("MobileNetV2", "'mobilenetv2'"),
        ("ResNet-50", "'resnet50'"),
        ("mobilnetv2", "'mobilenetv2' or 'mobilenet.*"),
    ],
)
def test_the_error_for_a_name_suggests_similar_ones(given, similar):
    says = f"parameter is '{given}', which is not the name of a backbone"
    says = rf"{says}\. Did you mean {similar}\?$"
    with pytest.raises(ValueError, match=f"^The 'backbone' {says}"):
        build_transfer_network(given, weights=None)
    with pytest.raises(ValueError, match=f"^The 'encoder' {says}"):
        build_unet(encoder=given, weights=None)


def test_the_error_for_another_name_lists_all_by_alphabet():
    with pytest.raises(ValueError, match="Got 'unknown' instead") as raised:
        build_transfer_network("unknown", weights=None)
    listed = re.search("{(.*)}", str(raised.value))[1].split(", ")
    assert listed == sorted(listed)
    assert "'vgg16'" in listed
