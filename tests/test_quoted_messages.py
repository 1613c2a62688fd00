"""Messages that the page of troubleshooting quotes, as the library prints them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import os
import re
import struct
import threading
import warnings
import zipfile
from pathlib import Path

import cv2
import keras
import numpy as np
import pooch
import pytest
from filelock import FileLock
from sklearn.pipeline import make_pipeline

from skinest import BoVWSIFTTransformer, TransferClassifier, UNetSegmenter
from skinest.datasets import fetch_isic2018_task3
from skinest.images import check_images
from skinest.inspection import TrainingHistoryDisplay
from skinest.kernels import histogram_intersection_kernel
from skinest.masks import check_masks
from skinest.metrics import dice_score
from skinest.networks import build_transfer_network

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "troubleshooting.rst"
QUOTED = re.findall(r"^\.\. message:: (.+)$", PAGE.read_text(), re.MULTILINE)
# In the quotes, for what differs from run to run.
HOME = "/home/me"
ADDRESS = "0x7f0123456789"

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
TASK3 = "ISIC2018_Task3_Training"


def ramp(low, high):
    """Make an image of floats between, and with, two values."""
    return np.linspace(low, high, 48).reshape(4, 4, 3)


def write(name, pixels):
    """Write a file in the format PNG, whatever its name."""
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return name


def write_mask(values):
    """Write the fourth of four masks, of these values."""
    pixels = np.resize(np.asarray(values, dtype=np.uint8), (16, 16))
    plain = write("masks/0.png", np.zeros((16, 16), np.uint8))
    return [plain, plain, plain, write("masks/3.jpg", pixels)]


def classify(y, **parameters):
    images = np.zeros((len(y), 8, 8, 3), dtype=np.uint8)
    TransferClassifier(weights=None, **parameters).fit(images, y)


def segment(masks, **parameters):
    parameters = {
        "depth": 1,
        "base_filters": 1,
        "image_size": (16, 16),
        "epochs": 1,
        "random_state": 0,
        **parameters,
    }
    images = [cv2.resize(IMAGE, (len(mask[0]), len(mask))) for mask in masks]
    return UNetSegmenter(**parameters).fit(images, masks)


def raise_error(*arguments):
    """Return a function that raises an error, for what the machine may lack."""

    def fail(*args, **options):
        raise OSError(*arguments)

    return fail


# What provokes each message, in the order of the page ---------------------------


def missing_paths():
    Path("images/old").mkdir(parents=True)
    there = write("images/0.jpg", IMAGE)
    missing = ["images/1.jpg", there, there, "images/old"]
    check_images([*missing, *[there] * 896])


def interrupted_download():
    write("images/0.jpg", IMAGE)
    Path("images/41.jpg").write_bytes(Path("images/0.jpg").read_bytes()[:3])
    images = check_images(["images/0.jpg"] * 41 + ["images/41.jpg"])
    images[41]


def enormous_image():
    png = bytearray(cv2.imencode(".png", IMAGE)[1].tobytes())
    png[16:24] = struct.pack(">II", 30_000, 30_000)
    Path("images").mkdir()
    Path("images/0.png").write_bytes(png)
    check_images(["images/0.png"])[0]


def blank_images():
    images = [np.tile(IMAGE, (2, 2, 1))] * 196 + [np.zeros((32, 32, 3), np.uint8)] * 4
    BoVWSIFTTransformer(n_words=2, random_state=0).fit(images)


def forbidden_memory():
    denied = raise_error(errno.EACCES, os.strerror(errno.EACCES), "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "makedirs", denied)
        BoVWSIFTTransformer(memory="cache").fit([IMAGE] * 4)


def full_memory():
    full = raise_error(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", full)
        BoVWSIFTTransformer(n_words=2, memory="cache").fit([IMAGE] * 4)


def damaged_memory():
    bovw = BoVWSIFTTransformer(n_words=2, memory="cache", random_state=0)
    bovw.fit([IMAGE] * 4)
    for file in Path("cache").rglob("*.pkl"):
        file.write_bytes(b"")
    bovw.fit([IMAGE] * 4)


def descriptor_without_version():
    def describe(image):
        return image.reshape(-1, 3) / 255

    describe.__qualname__ = "describe"
    BoVWSIFTTransformer(2, descriptor=describe, memory="cache").fit([IMAGE] * 4)


def no_weights():
    failed = raise_error("URL fetch failure: Network is unreachable")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "VGG16", failed)
        TransferClassifier().fit([IMAGE] * 4, [0, 1, 0, 1])


def weights_of_another_network():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    model.save_weights("small.weights.h5")
    build_transfer_network("vgg16", weights="small.weights.h5")


def diverging_loss():
    def steep(y_true, y_pred):
        return 1e30 * keras.ops.mean(y_pred)

    masks = np.resize(np.arange(2, dtype=np.uint8), (4, 16, 16))
    segment(masks, loss=steep, optimizer="sgd", learning_rate=1e30, epochs=2)


def checkpoint_in_use():
    Path("state").mkdir()
    with FileLock("state/lock"):
        classify([0, 1] * 5, checkpoint="state")


def callback_with_a_lock():
    kind = type("Logger", (keras.callbacks.Callback,), {"__module__": "mine"})
    callback = kind()
    callback.lock = threading.Lock()
    classify([0, 1] * 5, keras_callbacks=[callback])


def several_channels():
    structures = np.eye(3, dtype=np.uint8)[[[0, 1], [2, 2]]]
    structures[0, 0] = 0  # background
    check_masks([write("masks/0.png", structures)])[0]


def masks_of_another_size():
    small, large = np.zeros((225, 300), np.uint8), np.zeros((450, 600), np.uint8)
    images = [cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)] * 4
    UNetSegmenter().fit(images, [small, small, small, large])


def history_of_a_pipeline():
    pipeline = make_pipeline(BoVWSIFTTransformer(n_words=2)).fit([IMAGE] * 4)
    TrainingHistoryDisplay.from_estimator(pipeline)


def damaged_archive():
    folder = Path("data")
    folder.mkdir()
    lines = {
        "GroundTruth": "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_0024306,0,1,0,0,0,0,0",
        "LesionGroupings": "image,lesion_id,diagnosis_confirm_type\nISIC_0024306,1,a",
    }
    table = f"{TASK3}_GroundTruth"
    with zipfile.ZipFile(folder / f"{table}.zip", "w") as archive:
        archive.writestr(f"{table}/{table}.csv", lines["GroundTruth"])
    (folder / f"{TASK3}_LesionGroupings.csv").write_text(lines["LesionGroupings"])
    (folder / f"{TASK3}_Input.zip").write_text("<html>")
    fetch_isic2018_task3("data")


def failed_download():
    full = raise_error(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooch.HTTPDownloader, "__call__", full)
        Path("data").mkdir()
        for name in ("GroundTruth.zip", "LesionGroupings.csv"):
            Path(f"data/{TASK3}_{name}").touch()
        fetch_isic2018_task3("data")


PROVOKED = [
    lambda: check_images([ramp(0, 255)]),
    lambda: check_images([ramp(-2.1, 2.6).astype(np.float32)]),
    lambda: check_images([np.full((4, 4, 3), np.nan)]),
    lambda: check_images(np.zeros((128, 128, 3), np.uint8)),
    lambda: check_images(np.zeros((60, 512), np.uint8)),
    lambda: check_images("images/1.jpg"),
    lambda: check_images([]),
    missing_paths,
    interrupted_download,
    enormous_image,
    lambda: check_images(np.zeros((900, 4, 4, 3), np.uint8), np.zeros(899)),
    blank_images,
    forbidden_memory,
    full_memory,
    damaged_memory,
    descriptor_without_version,
    lambda: histogram_intersection_kernel([[-1.0]]),
    lambda: BoVWSIFTTransformer(n_words=300_000).fit([IMAGE] * 4),
    no_weights,
    weights_of_another_network,
    lambda: classify(["benign"] * 12),
    lambda: classify([0, 1] * 10 + [6], validation_fraction=0.15),
    diverging_loss,
    lambda: classify([0, 1] * 5, trainable="block6"),
    lambda: classify([0, 1] * 5, keras_callbacks=[progress_bar()]),
    callback_with_a_lock,
    lambda: classify([0, 1] * 5, optimizer="adamm"),
    checkpoint_in_use,
    lambda: list(check_masks(write_mask([*range(210), 255]))),
    lambda: list(check_masks(write_mask([*range(8), *range(249, 256)]))),
    masks_of_another_size,
    several_channels,
    lambda: check_masks([np.array([[0, 1, -1]])])[0],
    lambda: segment(np.zeros((4, 128, 128), np.uint8), depth=4, image_size=(100, 100)),
    lambda: segment(np.zeros((4, 16, 16), np.uint8)),
    lambda: dice_score([np.eye(4, dtype=int)], [np.eye(4, dtype=int) * 255]),
    history_of_a_pipeline,
    damaged_archive,
    failed_download,
]


def progress_bar():
    """Return a callback of scikit-learn."""
    try:
        from sklearn.callback import ProgressBar
    except ImportError:
        pytest.skip("callbacks need scikit-learn 1.9")
    return ProgressBar()


@pytest.mark.parametrize(
    "quoted, provoke",
    list(zip(QUOTED, PROVOKED, strict=True)),
    ids=range(len(QUOTED)),
)
def test_the_library_prints_what_is_quoted(quoted, provoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(), pytest.raises(Exception) as raised:
        warnings.simplefilter("error", UserWarning)
        provoke()
    printed = str(raised.value).replace(str(tmp_path), HOME)
    printed = re.sub(r"skinest/\w{2}/\w{30}\.pkl", "skinest/0a/1b.pkl", printed)
    assert re.sub("0x[0-9a-f]+", ADDRESS, printed) == quoted
