"""SIFT and colour patches."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab
from sklearn.base import clone
from sklearn.preprocessing import normalize

from skinest.datasets import make_dermoscopy
from skinest.feature_extraction import ColorPatchDescriptor, SIFTDescriptor


def grey(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize(
    ("settings", "opencv"),
    [
        ({"contrast_threshold": 0.04}, {}),
        ({"contrast_threshold": 0.01}, {"contrastThreshold": 0.01}),
        ({"edge_threshold": 3.0}, {"edgeThreshold": 3.0}),
        ({"sigma": 2.5}, {"sigma": 2.5}),
        ({"n_octave_layers": 5}, {"nOctaveLayers": 5}),
        ({"max_keypoints": 6}, {"nfeatures": 6}),
    ],
)
def test_keypoints_and_settings_are_opencvs(settings, opencv, textured):
    opencv = {"contrastThreshold": 0.04, **opencv}
    keypoints, expected = cv2.SIFT_create(**opencv).detectAndCompute(
        grey(textured[0]), None
    )
    settings = {"contrast_threshold": 0.04, "root": False, **settings}
    descriptor = SIFTDescriptor(**settings)
    values, points = descriptor.describe(textured[0])
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(descriptor(textured[0]), expected)
    np.testing.assert_allclose(points * (80, 96), [k.pt for k in keypoints], rtol=1e-5)
    assert descriptor(textured[0]).dtype == np.float32


@pytest.mark.parametrize("detector", ["keypoints", "grid"])
def test_gray_is_grey(detector, textured):
    described = [
        SIFTDescriptor(detector=detector, color=color)(textured[0])
        for color in ("grey", "gray")
    ]
    assert described[0].shape[1] == 128
    np.testing.assert_array_equal(*described)


def test_stored_descriptors_lose_nothing(textured):
    values, _ = SIFTDescriptor().describe(textured[0])
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, SIFTDescriptor(root=False)(textured[0]))


@pytest.mark.parametrize("color", ["grey", "lab"])
def test_root_sift_makes_dot_products_hellinger_kernels(color, textured):
    plain = SIFTDescriptor(color=color, root=False)(textured[0]).astype(float)
    rooted = SIFTDescriptor(color=color, root=True)(textured[0])
    for start in range(0, plain.shape[1], 128):
        p = plain[:, start : start + 128]
        p = p / p.sum(axis=1, keepdims=True)
        hellinger = np.sqrt(p[:5, np.newaxis] * p[:5]).sum(axis=-1)
        r = rooted[:, start : start + 128]
        np.testing.assert_allclose(r[:5] @ r[:5].T, hellinger, atol=1e-5)


def test_grid_describes_every_size_at_every_point(textured):
    descriptor = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(12, 30))
    values, points = descriptor.describe(textured[0])
    assert values.shape == (2 * 6 * 5, 128)
    np.testing.assert_allclose(points[0] * (80, 96), [8, 8])
    np.testing.assert_allclose(points[1] * (80, 96), [24, 8])
    np.testing.assert_allclose(points[:30], points[30:])
    assert not np.array_equal(values[:30], values[30:])


def test_grid_sizes_are_sides_of_patches_in_pixels(textured):
    """Cells reach an eighth of the side beyond the patch, and smoothing some pixels."""
    image = cv2.resize(textured[0], (161, 161))
    side, blur = 64, 13
    settings = {"detector": "grid", "grid_step": 161, "grid_sizes": (side,)}
    center = SIFTDescriptor(**settings)(image)
    assert len(center) == 1
    for distance, changes in ((0.45 * side, True), (0.625 * side + blur, False)):
        edge = int(80 + distance)
        changed = image.copy()
        changed[:, edge:] = 255 - changed[:, edge:]
        assert np.array_equal(SIFTDescriptor(**settings)(changed), center) != changes


def direct_dense_sift(plane, x, y, side):
    """Lowe's section 6 for one upright square, pixel by pixel."""
    cell = side / 4
    smooth = gaussian_filter(plane.astype(float), max(cell / 6, 0.5), mode="nearest")
    by_y, by_x = np.gradient(smooth)
    magnitude = np.hypot(by_x, by_y)
    angle = np.arctan2(-by_y, by_x) % (2 * np.pi) * 8 / (2 * np.pi)
    found = np.zeros((4, 4, 8))
    for row, column in np.ndindex(4, 4):
        # The centre of a cell, to the nearest pixel.
        center_y = round(y + (row - 1.5) * cell)
        center_x = round(x + (column - 1.5) * cell)
        for i, j in np.ndindex(plane.shape):
            near_y = max(0, 1 - abs(i - center_y) / cell)
            near_x = max(0, 1 - abs(j - center_x) / cell)
            for orientation in range(8):
                distance = abs(angle[i, j] - orientation)
                near = max(0, 1 - min(distance, 8 - distance))
                found[row, column, orientation] += (
                    near_y * near_x * near * magnitude[i, j] / cell**2
                )
        offsets = np.array([row - 1.5, column - 1.5]) * cell
        found[row, column] *= np.exp(-(offsets**2).sum() / (2 * (side / 2) ** 2))
    found = found.ravel() / np.linalg.norm(found)
    found = np.minimum(found, 0.2)
    return 512 * found / np.linalg.norm(found)


@pytest.mark.parametrize("side", [12, 16])
def test_grid_follows_its_definition(side, textured):
    image = textured[0][:60, :60]
    plane = grey(image).astype(np.float32)
    expected = direct_dense_sift(plane, 30, 30, side)
    settings = {"detector": "grid", "grid_step": 60, "grid_sizes": (side,)}
    values, points = SIFTDescriptor(**settings).describe(image)
    np.testing.assert_allclose(points * 60, [[30, 30]])
    assert expected.max() > 60
    np.testing.assert_allclose(values[0], np.minimum(expected, 255), atol=1.5)  # uint8


@pytest.mark.parametrize("side", [12, 24])
def test_grid_is_near_opencv_at_upright_keypoints(side, textured):
    """OpenCV weighs by a Gaussian pixel by pixel, not cell by cell."""
    image = cv2.resize(textured[0], None, fx=2, fy=2)
    descriptor = SIFTDescriptor(detector="grid", grid_sizes=(side,))
    values, points = descriptor.describe(image)
    places = points * image.shape[1::-1]
    inside = (np.abs(places - np.array([80, 96])) < np.array([80, 96]) - side).all(
        axis=1
    )
    keypoints = [cv2.KeyPoint(float(x), float(y), side / 6, 0) for x, y in places]
    _, expected = cv2.SIFT_create(sigma=0.8).compute(grey(image), keypoints)
    cosines = np.sum(
        normalize(values[inside].astype(float)) * normalize(expected[inside]), 1
    )
    assert inside.sum() > 100
    assert np.median(cosines) > 0.95


def test_grid_of_one_colour_is_zero():
    flat = np.full((40, 40, 3), 99, dtype=np.uint8)
    values, _ = SIFTDescriptor(detector="grid", color="lab").describe(flat)
    assert len(values) == 3 * 25 and not values.any()


def test_colour_sift_of_a_grey_image_is_the_grey_sift_three_times(textured):
    image = np.repeat(grey(textured[0])[..., np.newaxis], 3, axis=-1)
    once = SIFTDescriptor()(image)
    np.testing.assert_array_equal(SIFTDescriptor(color="rgb")(image), np.tile(once, 3))


@pytest.mark.parametrize("color", ["rgb", "lab", "opponent"])
@pytest.mark.parametrize("detector", ["keypoints", "grid"])
def test_colour_sift_describes_each_channel_at_the_grey_points(
    color, detector, textured
):
    values, points = SIFTDescriptor(color=color, detector=detector).describe(
        textured[0]
    )
    _, expected = SIFTDescriptor(detector=detector).describe(textured[0])
    np.testing.assert_array_equal(points, expected)
    assert values.shape == (len(points), 384)
    thirds = np.split(values, 3, axis=1)
    assert not np.array_equal(thirds[0], thirds[1])


def test_opponent_colours_follow_their_definition():
    image = np.zeros((9, 9, 3), dtype=np.uint8)
    image[:] = 200, 100, 50
    descriptor = ColorPatchDescriptor(color="opponent", sigmas=(1,), grid_step=9)
    r, g, b = np.array([200, 100, 50]) / 255
    expected = [r - g, (r + g) / 2 - b, (r + g + b) / 3, 0, 0, 0]
    np.testing.assert_allclose(descriptor(image)[0], expected, atol=1e-3)


@pytest.mark.parametrize("descriptor", [SIFTDescriptor, ColorPatchDescriptor])
def test_max_side_shrinks_first_and_places_stay_fractions(descriptor, textured):
    large = cv2.resize(textured[0], (320, 384))
    small = cv2.resize(large, (80, 96), interpolation=cv2.INTER_AREA)
    values, points = descriptor(max_side=96).describe(large)
    expected_values, expected_points = descriptor().describe(small)
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(points, expected_points)


def test_an_image_without_keypoints_has_no_row():
    flat = np.full((40, 40, 3), 99, dtype=np.uint8)
    assert SIFTDescriptor()(flat).shape == (0, 128)
    assert SIFTDescriptor(color="lab")(flat).shape == (0, 384)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 50, 3), (5, 5, 3)])
@pytest.mark.parametrize(
    "descriptor",
    [SIFTDescriptor(), SIFTDescriptor(detector="grid"), ColorPatchDescriptor()],
)
def test_tiny_images_do_not_fail(shape, descriptor):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    values, points = descriptor.describe(image)
    assert len(values) == len(points)
    assert np.isfinite(values).all()
    assert ((points >= 0) & (points < 1)).all()


def test_colour_patches_are_means_and_deviations_of_lab(textured):
    descriptor = ColorPatchDescriptor(sigmas=(2, 3), grid_step=1)
    values = descriptor(textured[0]).reshape(96, 80, 2, 2, 3)
    lab = rgb2lab(textured[0])
    inside = slice(15, -15), slice(15, -15)  # the two treat edges differently
    for i, sigma in enumerate((2, 3)):
        mean = gaussian_filter(lab, (sigma, sigma, 0))
        square = gaussian_filter(lab**2, (sigma, sigma, 0))
        deviation = np.sqrt(square - mean**2)
        assert np.abs(values[:, :, i, 0] - mean)[inside].max() < 0.5
        assert np.abs(values[:, :, i, 1] - deviation)[inside].max() < 0.5
        assert deviation.std() > 1


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        (SIFTDescriptor(detector="random"), "detector"),
        (SIFTDescriptor(contrast_threshold=-1), "contrast_threshold"),
        (SIFTDescriptor(grid_step=0), "grid_step"),
        (SIFTDescriptor(detector="grid", grid_sizes=()), "grid_sizes"),
        (SIFTDescriptor(detector="grid", grid_sizes=(8, -2)), "grid_sizes"),
        (SIFTDescriptor(color="hsv"), "color"),
        (SIFTDescriptor(max_side=0), "max_side"),
        (ColorPatchDescriptor(sigmas=(0,)), "sigmas"),
        (ColorPatchDescriptor(sigmas=2), "sigmas"),
        (ColorPatchDescriptor(grid_step=1.5), "grid_step"),
    ],
)
def test_settings_out_of_range_are_named(descriptor, message, textured):
    with pytest.raises(ValueError, match=message):
        descriptor(textured[0])


def test_descriptors_are_pure_and_can_be_cloned(textured):
    descriptor = SIFTDescriptor(detector="grid", color="lab", root=True)
    image = textured[0].copy()
    first = descriptor(image)
    np.testing.assert_array_equal(image, textured[0])
    np.testing.assert_array_equal(clone(descriptor)(image), first)


@pytest.mark.parametrize("color", ["grey", "opponent"])
@pytest.mark.parametrize("n", [1, 10, 20])
def test_keypoints_are_at_most_those_asked_for(n, color):
    images = make_dermoscopy(8, random_state=0).images
    for image in images:
        every = SIFTDescriptor(color=color).describe(image)
        values, places = SIFTDescriptor(color=color, max_keypoints=n).describe(image)
        assert len(values) == len(places) == min(n, len(every[0]))
