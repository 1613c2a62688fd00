"""BoVWSIFTTransformer beside global settings, other folders and fits that fail."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import cv2
import joblib
import numpy as np
import pytest
import sklearn
from joblib.parallel import ThreadingBackend
from PIL import Image

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor
from skinest.feature_extraction._describing import DescribedImages
from skinest.images import check_images, read_image
from tests.callbacks import SilentCallback, needs_callbacks

from .conftest import make_textured


@pytest.mark.parametrize("encoding", ["soft", "tfidf", "vlad", "fisher"])
def test_a_global_output_is_that_of_set_output(encoding, textured):
    pd = pytest.importorskip("pandas")
    words = BoVWSIFTTransformer(4, encoding=encoding, n_components=8, random_state=0)
    expected = words.fit_transform(textured)
    with sklearn.config_context(transform_output="pandas"):
        for frame in (words.fit_transform(textured), words.transform(textured)):
            assert isinstance(frame, pd.DataFrame)
            np.testing.assert_array_equal(frame.to_numpy(), expected)
            assert list(frame.columns) == list(words.get_feature_names_out())
    if encoding in ("soft", "vlad"):  # others cannot learn in batches
        with sklearn.config_context(transform_output="pandas"):
            words.partial_fit(textured).partial_fit(textured)


def test_workers_read_relative_paths_in_the_folder_of_the_caller(tmp_path, monkeypatch):
    names = [f"{number}.png" for number in range(20)]  # more than one task
    for folder, seed in (("first", 0), ("second", 1)):
        (tmp_path / folder).mkdir()
        for name, image in zip(names, make_textured(20, seed=seed), strict=True):
            cv2.imwrite(str(tmp_path / folder / name), image)
    words = BoVWSIFTTransformer(
        5, descriptor=ColorPatchDescriptor(grid_step=16), random_state=0
    )
    found = {}
    with joblib.parallel_config("loky"):
        for folder in ("first", "second"):
            monkeypatch.chdir(tmp_path / folder)
            words.set_params(n_jobs=2, memory=tmp_path / "memory")
            found[folder] = words.fit_transform(names)
    words.set_params(n_jobs=None)
    cached = words.fit_transform(names)
    alone = words.set_params(memory=None).fit_transform(names)
    assert not np.array_equal(found["first"], alone)
    np.testing.assert_array_equal(found["second"], alone)
    np.testing.assert_array_equal(cached, alone)


class StopsWhileEncoding(SilentCallback):
    """A callback of scikit-learn that is interrupted after the second task."""

    def __init__(self):
        self.n_tasks = 0

    def on_fit_task_end(self, estimator, context, **details):
        self.n_tasks += 1
        if self.n_tasks == 2:  # after the descriptors of the only batch
            raise KeyboardInterrupt


@needs_callbacks
def test_a_fit_that_is_stopped_leaves_the_state_of_the_one_before(textured):
    words = BoVWSIFTTransformer(4, encoding="tfidf", random_state=0).fit(textured)
    expected = words.transform(textured)
    words.set_callbacks(StopsWhileEncoding())
    with pytest.raises(KeyboardInterrupt):
        words.fit(make_textured(6, seed=3))
    np.testing.assert_array_equal(words.transform(textured), expected)


def test_filters_of_warnings_are_put_back_by_a_pass_that_stops_while_files_are_read(
    tmp_path, monkeypatch
):
    is_closing, is_decoding, is_closed = (threading.Event() for _ in range(3))
    open_image = Image.open

    class SlowToStop(ThreadingBackend):
        def abort_everything(self, ensure_ready=True):
            is_closing.set()
            is_decoding.wait(0.5)
            super().abort_everything(ensure_ready)

    def open_slowly(file):
        is_decoding.set()
        assert is_closed.wait(60)
        return open_image(file)

    def read(path):
        assert is_closing.wait(60)
        read_image(path)

    images = make_textured(80)  # five tasks
    path = str(tmp_path / "image.bmp")
    cv2.imwrite(path, images[0])
    monkeypatch.setattr(Image, "open", open_slowly)
    before = list(warnings.filters)
    described = DescribedImages(check_images(images), ColorPatchDescriptor(), None, 2)
    with ThreadPoolExecutor(1) as pool, joblib.parallel_config(SlowToStop()):
        job = pool.submit(read, path)
        tasks = described.map()
        next(tasks)
        tasks.close()
        is_closed.set()
        job.result(60)
    assert warnings.filters == before


class Lazy:
    """Descriptor that computes a table when it is needed."""

    version = 1
    n_calls = 0

    @functools.cached_property
    def weights(self):
        return np.ones(3)

    def __call__(self, image):
        type(self).n_calls += 1
        return image[::8, ::8].reshape(-1, 3) * self.weights


def test_images_are_described_once_by_a_descriptor_with_a_cached_property(
    textured, tmp_path
):
    words = BoVWSIFTTransformer(
        4, descriptor=Lazy(), memory=tmp_path, n_jobs=1, random_state=0
    )
    words.fit(textured).transform(textured)
    words.fit_transform(textured)
    assert Lazy.n_calls == len(textured)
