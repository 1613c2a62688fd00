"""Files of many formats hold the pixels that were written."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest

from skinest.images import check_images, read_image

from .image_files import CASES


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_read_as_it_was_written(name, tmp_path):
    write, rgb, tolerance = CASES[name]
    write(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.shape == rgb.shape
    assert np.abs(image.astype(int) - rgb).max() <= tolerance
    np.testing.assert_array_equal(check_images([tmp_path / name])[0], image)
