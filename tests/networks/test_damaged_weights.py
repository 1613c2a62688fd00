"""HDF5 files of another structure than Keras' weights are damaged, by name."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import shutil

import h5py
import numpy as np
import pytest

from .conftest import error_of


def break_layers(file):
    del file["layers"]
    file["layers"] = np.zeros(3)


def break_array(file):
    del file["layers/conv2d/vars/0"]
    file.create_group("layers/conv2d/vars/0")


def break_extra_layer(file):
    file.create_group("layers/other/vars/0")


def break_variables(file):
    del file["layers/conv2d/vars"]
    file["layers/conv2d/vars"] = np.zeros(2)


def break_space(file):
    del file["layers/conv2d/vars/0"]
    file["layers/conv2d/vars/0"] = h5py.Empty("f4")


def break_link(file):
    del file["layers/conv2d/vars/0"]
    file["layers/conv2d/vars/0"] = h5py.SoftLink("/nowhere")


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        break_layers,
        break_array,
        break_extra_layer,
        break_variables,
        break_space,
        break_link,
    ],
)
def test_keras3_file_of_another_structure(damage, weights_file, tmp_path):
    path = tmp_path / "some.weights.h5"
    shutil.copy(weights_file("mobilenetv2"), path)
    with h5py.File(path, "r+") as file:
        damage(file)
    assert "is damaged: " in error_of("mobilenetv2", path)


@pytest.mark.parametrize(
    "names",
    [7, np.float32(0.5), [1, 2], b"\xff\xfe", ["absent"], h5py.Empty("S8")],
    ids=repr,
)
@pytest.mark.parametrize("attribute", ["layer_names", "weight_names"])
def test_keras2_file_of_another_structure(attribute, names, tmp_path):
    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        layer = file.create_group("Conv1")
        file.attrs["layer_names"] = ["Conv1"]
        layer.attrs["weight_names"] = ["kernel"]
        layer["kernel"] = np.zeros((3, 3, 3, 32), np.float32)
        (file if attribute == "layer_names" else layer).attrs[attribute] = names
    assert "is damaged: " in error_of("mobilenetv2", path)
