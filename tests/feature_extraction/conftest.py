import cv2
import numpy as np
import pytest


def make_textured(n_images, seed=0, shape=(96, 80)):
    """Blurred noise, in which SIFT's defaults find some 30 keypoints an image."""
    noise = np.random.default_rng(seed).normal(size=(n_images, *shape, 3))
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in noise])
    return np.uint8(np.clip(128 + 400 * blurred, 0, 255))


@pytest.fixture(scope="session")
def textured():
    """Twelve colour images with many keypoints."""
    return make_textured(12)
