import cv2
import numpy as np
import pytest

from skinest import SIFTDescriptor

from ..classification.conftest import make_images

N_IMAGES = 12


def make_textured(n_images, seed=0, shape=(96, 80)):
    """Blurred noise, in which SIFT's defaults find some 30 keypoints an image."""
    noise = np.random.default_rng(seed).normal(size=(n_images, *shape, 3))
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in noise])
    return np.uint8(np.clip(128 + 400 * blurred, 0, 255))


@pytest.fixture(scope="session")
def textured():
    """Twelve colour images with many keypoints."""
    return make_textured(12)


@pytest.fixture(scope="module")
def images():
    return make_images(N_IMAGES)


@pytest.fixture
def paths(images, tmp_path):
    # BMP files of one shape have one size: only the time tells a replaced one.
    names = [str(tmp_path / f"{i}.bmp") for i in range(N_IMAGES)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(name, image[..., ::-1])
    return names


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "memory"


class LoggingDescriptor(SIFTDescriptor):
    """SIFT that writes a line for every image it describes."""

    version = 1

    def __init__(self, log=None, *, root=True, contrast_threshold=0.01):
        super().__init__(root=root, contrast_threshold=contrast_threshold)
        self.log = log

    def describe(self, image):
        append_line(self.log, "described")
        return super().describe(image)


def append_line(log, line):
    with open(log, "a") as file:
        file.write(f"{line}\n")


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log").touch()
    return tmp_path / "log"


def n_lines(log):
    return len(log.read_text().splitlines())
