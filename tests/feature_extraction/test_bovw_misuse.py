"""What goes wrong when BoVWSIFTTransformer is used in ways that look right."""

import os
import signal
import subprocess
import sys
import textwrap
import warnings

import cv2
import joblib
import numpy as np
import pytest
import tifffile
from sklearn.base import clone
from sklearn.cluster import Birch
from sklearn.exceptions import NotFittedError

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, SIFTDescriptor
from skinest.images import read_image


def pixels(image, power=1):
    return (image[::9, ::9].reshape(-1, 3) / 255.0) ** power


def fit_transform(descriptor, images, **settings):
    bovw = BoVWSIFTTransformer(3, descriptor=descriptor, random_state=0, **settings)
    return bovw.fit_transform(images)


@pytest.mark.parametrize("form", [np.asarray, list])
def test_a_descriptor_that_writes_into_its_image_does_not_change_X(form, textured):
    def shade(image):
        image[:10] = 0
        return pixels(image)

    X = form(textured.copy())
    fit_transform(shade, X)
    np.testing.assert_array_equal(np.stack(list(X)), textured)


def test_float_files_are_checked_as_arrays_are(textured, tmp_path):
    path = tmp_path / "float.tif"
    tifffile.imwrite(path, textured[0].astype(np.float32), photometric="rgb")
    with pytest.raises(ValueError, match=r"float\.tif.*values from .* to 255"):
        read_image(path)
    unit = textured[0].astype(np.float32) / 255
    tifffile.imwrite(path, unit, photometric="rgb")
    np.testing.assert_array_equal(read_image(path), textured[0])


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [(np.int16, -7, "int16"), (np.float32, np.nan, "NaN"), (np.float32, np.inf, "NaN")],
)
def test_files_of_what_no_image_holds_are_refused(dtype, value, message, tmp_path):
    path = tmp_path / "odd.tif"
    image = np.full((9, 9, 3), value, dtype=dtype)
    tifffile.imwrite(path, image, photometric="rgb")
    with pytest.raises(ValueError, match=rf"odd\.tif.*{message}"):
        read_image(path)


def test_soft_vectors_are_finite_where_all_words_are_the_same(textured):
    grid = SIFTDescriptor(detector="grid")
    vectors = fit_transform(grid, np.full_like(textured, 200), encoding="soft")
    np.testing.assert_allclose(vectors.sum(axis=1), 1, rtol=1e-5)


def test_what_is_set_after_fit_waits_for_the_next_fit(textured):
    bovw = BoVWSIFTTransformer(3, random_state=0).fit(textured)
    before = bovw.transform(textured)
    bovw.set_params(encoding="tfidf", pyramid=(1, 2), n_words=5)
    np.testing.assert_array_equal(bovw.transform(textured), before)
    assert len(bovw.get_feature_names_out()) == bovw.n_features_out_ == 3
    with pytest.raises(ValueError, match=r"pyramid was \(1,\) and is \(1, 2\) now"):
        bovw.set_params(encoding="histogram").partial_fit(textured)
    again = bovw.set_params(encoding="tfidf").fit(textured).transform(textured)
    np.testing.assert_array_equal(again, clone(bovw).fit_transform(textured))


def test_another_descriptor_after_fit_is_for_the_next_fit(textured):
    bovw = BoVWSIFTTransformer(3, random_state=0).partial_fit(textured)
    expected = bovw.transform(textured)
    bovw.set_params(descriptor=ColorPatchDescriptor())
    np.testing.assert_array_equal(bovw.transform(textured), expected)
    assert bovw.fit(textured).vocabulary_.shape == (3, 30)


def test_a_clusterer_without_centers_is_named_and_nothing_is_half_fitted(textured):
    bovw = BoVWSIFTTransformer(3, clusterer=Birch(), random_state=0)
    for fit in (bovw.fit, bovw.partial_fit):
        with pytest.raises(ValueError, match=r"clusterer=Birch.*cluster_centers_"):
            fit(textured)
    with pytest.raises(NotFittedError):
        bovw.transform(textured)
    bovw.set_params(clusterer=None).fit(textured)
    before = bovw.transform(textured)
    with pytest.raises(ValueError, match="Birch"):
        bovw.set_params(clusterer=Birch()).fit(textured)
    np.testing.assert_array_equal(bovw.transform(textured), before)


class Describes:
    """A descriptor object that returns what it is told to."""

    def __init__(self, returned):
        self.returned = returned

    def describe(self, image):
        return self.returned


VALUES = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        (Describes(VALUES), r"describe must return \(values, points\)"),
        (Describes((VALUES.tolist(), np.zeros((4, 2)))), "returned a list"),
        (Describes((VALUES, None)), "points of describe"),
        (Describes((VALUES, np.zeros((3, 2)))), "each of 4 descriptors"),
        (Describes((VALUES, np.full((4, 2), 50))), "fractions of the width"),
        (lambda image: cv2.SIFT_create().detectAndCompute(image, None), "a tuple"),
        (lambda image: None, "a NoneType"),
        (lambda image: np.zeros(4), r"shape \(4,\)"),
        (lambda image: np.array([["a"]]), "dtype <U1"),
        (lambda image: np.empty((5, 0)), r"shape \(5, 0\)"),
        (lambda image: VALUES * 1e300, "beyond float32"),
        (lambda image: VALUES * np.nan, "returned NaN"),
        (SIFTDescriptor, "is a class"),
    ],
)
def test_descriptors_that_return_something_else_are_named(
    descriptor, message, textured
):
    with pytest.raises(ValueError, match=rf"descriptor=.*{message}"):
        fit_transform(descriptor, textured)


def test_descriptors_of_another_width_name_the_image(textured):
    def describe(image):
        return np.ones((4, 3 + (image[0, 0, 0] == 7)))

    images = textured.copy()
    images[:, 0, 0, 0] = 0
    images[5, 0, 0, 0] = 7
    with pytest.raises(ValueError, match=r"4 dimensions for X\[5\], but gave 3 before"):
        fit_transform(describe, images)


def test_a_descriptor_that_cannot_be_pickled_works_without_memory(textured, tmp_path):
    sift = cv2.SIFT_create()

    def describe(image):
        return sift.detectAndCompute(image, None)[1]

    assert fit_transform(describe, textured).shape == (12, 3)
    describe.version = 1
    with pytest.warns(UserWarning, match="describe are not .* inside a function"):
        fit_transform(describe, textured, memory=tmp_path)


def test_memory_that_is_a_file_is_named(textured, tmp_path):
    (tmp_path / "file").touch()
    for memory in (tmp_path / "file", str(tmp_path / "file"), ""):
        with pytest.raises(ValueError, match="memory="):
            fit_transform(pixels, textured, memory=memory)


def test_a_relative_memory_does_not_move_with_the_working_folder(
    textured, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    BoVWSIFTTransformer(3, memory="kept").fit(textured)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


INTERRUPTED = """
    import signal, sys, time
    import cv2, numpy as np
    from skinest import BoVWSIFTTransformer

    # What is started in the background may be told to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def slow(image):
        print("describing", flush=True)
        time.sleep(0.02)
        return np.random.rand(9, 3)

    before = cv2.getNumThreads()
    images = np.random.randint(0, 255, (400, 32, 32, 3)).astype(np.uint8)
    try:
        BoVWSIFTTransformer(3, descriptor=slow, n_jobs=2).fit_transform(images)
    except KeyboardInterrupt:
        sys.exit(7 if cv2.getNumThreads() == before else 8)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_an_interruption_is_one_and_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED)],
        stdout=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(tmp_path), "PATH": ""},
    )
    for _ in range(10):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 7
    assert not list(tmp_path.glob("skinest-*"))


class FewerKeypoints(SIFTDescriptor):
    """A subclass with parameters of its own."""

    version = 1

    def __init__(self, *, contrast_threshold=0.03):
        super().__init__(contrast_threshold=contrast_threshold)


def test_a_subclass_need_not_have_every_parameter(textured, tmp_path):
    kept = fit_transform(FewerKeypoints(), textured, memory=tmp_path)
    plain = fit_transform(SIFTDescriptor(contrast_threshold=0.03), textured)
    np.testing.assert_array_equal(kept, plain)


def test_threads_are_put_back_though_the_error_is_kept(textured):
    def uneven(image):
        return np.ones((1, 2 + int(image[0, 0, 0]) % 3))

    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        with pytest.raises(ValueError, match="dimensions") as kept:
            fit_transform(uneven, np.concatenate([textured] * 3), n_jobs=2)
        assert cv2.getNumThreads() == 3
        assert kept.value.__traceback__ is not None
    finally:
        cv2.setNumThreads(before)


def test_memory_maps_are_not_what_is_learned(textured, tmp_path):
    memory = joblib.Memory(tmp_path, mmap_mode="r", verbose=0)
    bovw = BoVWSIFTTransformer(3, memory=memory, random_state=0)
    for _ in range(2):
        vectors = bovw.fit_transform(textured)
        assert not isinstance(vectors, np.memmap)
    bovw.partial_fit(textured)


def opencv_threads(image):
    return np.full((1, 2), cv2.getNumThreads(), dtype=float)


def test_opencv_is_held_in_the_workers_of_a_search(textured):
    def fit():
        bovw = BoVWSIFTTransformer(1, descriptor=opencv_threads)
        return bovw.fit(textured).vocabulary_[0, 0]

    work = [joblib.delayed(fit)()] * 2
    seen = joblib.Parallel(n_jobs=2, backend="loky")(work)
    np.testing.assert_allclose(seen, 1, rtol=1e-6)


def test_numpy_numbers_share_what_is_kept(textured, tmp_path):
    BoVWSIFTTransformer(3, memory=tmp_path, random_state=0).fit(textured)
    kept = sorted(tmp_path.rglob("*.pkl"))
    assert len(kept) == 12 + 1  # descriptors of each image, and the vocabulary
    BoVWSIFTTransformer(np.int64(3), memory=tmp_path, random_state=0).fit(textured)
    assert sorted(tmp_path.rglob("*.pkl")) == kept


def test_zero_vectors_are_not_taken_for_missing_descriptors(textured):
    """VLAD of descriptors that are all the word itself is zero."""
    images = np.full_like(textured, 200)
    grid = SIFTDescriptor(detector="grid")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*no descriptor")
        fit_transform(grid, images, encoding="vlad")
        bovw = BoVWSIFTTransformer(1, descriptor=grid, encoding="vlad").fit(images)
        assert not bovw.transform(images).any()


def test_a_fitted_transformer_keeps_its_own_descriptor(textured):
    shared = SIFTDescriptor(detector="grid", grid_sizes=(16,))
    first = BoVWSIFTTransformer(4, descriptor=shared, random_state=0).fit(textured)
    second = BoVWSIFTTransformer(4, descriptor=shared, random_state=0).fit(textured)
    expected = first.transform(textured)
    second.set_params(descriptor__root=False, descriptor__grid_step=16)
    np.testing.assert_array_equal(first.transform(textured), expected)
    assert first.descriptor is shared and first.descriptor_ is not shared


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        (SIFTDescriptor(detector="dense"), "The 'detector' parameter of"),
        (ColorPatchDescriptor(color="lba"), "The 'color' parameter of"),
        (SIFTDescriptor(detector="grid", grid_sizes=(12, "24")), "grid_sizes="),
        (ColorPatchDescriptor(sigmas=(1, -2)), "sigmas="),
    ],
)
def test_a_wrong_parameter_of_a_descriptor_is_not_a_fault_of_an_image(
    descriptor, message, textured
):
    for method in ("fit", "fit_transform", "partial_fit"):
        bovw = BoVWSIFTTransformer(3, descriptor=descriptor)
        with pytest.raises(ValueError, match=f"^{message}"):
            getattr(bovw, method)(textured)


@pytest.mark.parametrize("fault", ["returns None", "raises"])
def test_an_image_that_a_descriptor_fails_on_is_named(fault, textured, tmp_path):
    paths = [str(tmp_path / f"{k}.png") for k in range(4)]
    for path, image in zip(paths, textured, strict=False):
        cv2.imwrite(path, image[..., ::-1])

    def describe(image):
        if np.array_equal(image, textured[2]):
            if fault == "raises":
                raise ZeroDivisionError("no contrast")
            return None
        return np.ones((4, 2)) * np.arange(4)[:, np.newaxis]

    says = "ZeroDivisionError: no contrast" if fault == "raises" else "NoneType"
    bovw = BoVWSIFTTransformer(2, descriptor=describe)
    with pytest.raises(ValueError, match=rf"X\[2\] cannot be described.*{says}"):
        bovw.fit(textured[:4])
    with pytest.raises(ValueError, match=rf"X\[2\]: '.*2\.png' cannot be.*{says}"):
        bovw.fit(paths)


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_a_backend_without_generators_is_served_by_threads(n_jobs, textured):
    bovw = BoVWSIFTTransformer(4, n_jobs=n_jobs, random_state=0)
    expected = bovw.fit(textured).transform(textured)
    with joblib.parallel_config("multiprocessing"):
        np.testing.assert_array_equal(bovw.fit(textured).transform(textured), expected)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_forked_copy_gives_an_error_and_does_not_wait_forever():
    code = """
        import warnings
        import joblib, numpy as np
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import cross_val_score
        from sklearn.pipeline import make_pipeline
        from skinest import BoVWSIFTTransformer

        images = np.random.default_rng(0).integers(0, 256, (24, 64, 64), np.uint8)
        y = [0, 1] * 12
        pipeline = make_pipeline(BoVWSIFTTransformer(2), LogisticRegression())
        pipeline.fit(images, y)
        warnings.simplefilter("ignore")
        with joblib.parallel_config("multiprocessing", n_jobs=2):
            cross_val_score(pipeline, images, y, cv=2, error_score="raise")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "RuntimeError: This process was forked" in run.stderr
    assert "loky" in run.stderr
