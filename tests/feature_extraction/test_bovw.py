"""BoVWSIFTTransformer: what it learns, what it refuses, what it computes once."""

import pickle
import weakref

import cv2
import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import DBSCAN, BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics import pairwise_distances_argmin
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from threadpoolctl import threadpool_info, threadpool_limits

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, SIFTDescriptor

# A sample is random: only many of them, without images, show that it is uniform.
from skinest.feature_extraction._vocabulary import DescriptorSample
from tests.callbacks import SilentCallback, needs_callbacks

from .conftest import LoggingDescriptor, make_textured, n_lines

ENCODINGS = ["histogram", "soft", "tfidf", "vlad", "fisher"]


def mean_colour(image):
    """A descriptor of one row: a callable, as a user would write it."""
    return image.reshape(-1, 3).mean(axis=0, keepdims=True)


# What is learned.


@pytest.mark.parametrize(
    "encoding",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each in ("tfidf", "vlad")))
        for each in ENCODINGS
    ],
)
def test_fit_transform_equals_fit_then_transform(encoding, textured):
    bovw = BoVWSIFTTransformer(6, encoding=encoding, random_state=0)
    at_once = bovw.fit_transform(textured)
    np.testing.assert_array_equal(at_once, bovw.transform(textured))
    np.testing.assert_array_equal(
        at_once, clone(bovw).fit(textured).transform(textured)
    )
    assert at_once.dtype == np.float32
    assert at_once.shape == (12, bovw.n_features_out_)


def test_auto_is_300_words_or_32_for_compact_encodings():
    images = make_textured(20)
    for encoding, n_words in [("histogram", 300), ("vlad", 32), ("fisher", 32)]:
        bovw = BoVWSIFTTransformer(encoding=encoding, random_state=0).fit(images)
        found = bovw.vocabulary_.means_ if encoding == "fisher" else bovw.vocabulary_
        assert len(found) == n_words


def test_n_words_is_positional_as_in_kmeans():
    assert BoVWSIFTTransformer(50).n_words == 50
    with pytest.raises(TypeError):
        BoVWSIFTTransformer(50, SIFTDescriptor())


def test_the_vocabulary_is_the_clusterers_on_all_descriptors(textured):
    all_descriptors = np.vstack([SIFTDescriptor()(image) for image in textured])
    clusterer = KMeans(8, n_init=1, random_state=3)
    bovw = BoVWSIFTTransformer(5, clusterer=clusterer).fit(textured)
    expected = KMeans(5, n_init=1, random_state=3).fit(all_descriptors)
    np.testing.assert_allclose(bovw.vocabulary_, expected.cluster_centers_, rtol=1e-5)
    assert clusterer.n_clusters == 8 and not hasattr(clusterer, "cluster_centers_")


def test_pca_comes_before_the_vocabulary(textured):
    bovw = BoVWSIFTTransformer(5, n_components=9, random_state=0).fit(textured)
    descriptors = np.vstack([SIFTDescriptor()(image) for image in textured])
    expected = PCA(9).fit(descriptors)
    np.testing.assert_allclose(
        bovw.pca_.explained_variance_, expected.explained_variance_, rtol=1e-3
    )
    assert bovw.vocabulary_.shape == (5, 9)
    words = pairwise_distances_argmin(
        bovw.pca_.transform(SIFTDescriptor()(textured[0])), bovw.vocabulary_
    )
    np.testing.assert_allclose(
        bovw.transform(textured[:1])[0], np.bincount(words, minlength=5) / len(words)
    )


def test_auto_components_are_64_for_fisher_alone(textured):
    for encoding in ENCODINGS:
        bovw = BoVWSIFTTransformer(4, encoding=encoding, random_state=0).fit(textured)
        assert (bovw.pca_ is not None) == (encoding == "fisher")
    assert bovw.vocabulary_.means_.shape == (4, 64)
    colours = BoVWSIFTTransformer(
        4, encoding="fisher", descriptor=ColorPatchDescriptor(), random_state=0
    ).fit(textured)
    assert colours.vocabulary_.means_.shape == (4, 30)


def test_tfidf_is_scikit_learns_on_the_histograms(textured):
    settings = {"n_words": 100, "random_state": 0}
    histograms = BoVWSIFTTransformer(**settings).fit_transform(textured)
    bovw = BoVWSIFTTransformer(**settings, encoding="tfidf").fit(textured[:])
    tfidf = TfidfTransformer().fit(histograms)
    assert len(np.unique(tfidf.idf_)) > 5, "all words are as rare"
    expected = tfidf.transform(histograms).toarray()
    np.testing.assert_allclose(bovw.transform(textured), expected, rtol=1e-5)
    # Words are as rare in a few images as they were in the training images.
    np.testing.assert_allclose(bovw.transform(textured[:3]), expected[:3], rtol=1e-5)
    others = make_textured(4, seed=1)
    histograms = BoVWSIFTTransformer(**settings).fit(textured).transform(others)
    expected = tfidf.transform(histograms).toarray()
    np.testing.assert_allclose(bovw.transform(others), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("encoding", "clusterer"),
    [
        ("histogram", BisectingKMeans()),
        ("vlad", MiniBatchKMeans()),
        ("fisher", BayesianGaussianMixture(covariance_type="diag")),
    ],
)
def test_other_clusterers_are_told_the_words_and_the_seed(
    encoding, clusterer, textured
):
    bovw = BoVWSIFTTransformer(
        4, encoding=encoding, clusterer=clusterer, random_state=0
    ).fit(textured)
    assert bovw.clusterer_.random_state is not None
    assert len(bovw.get_feature_names_out()) == bovw.n_features_out_


def test_feature_names_say_cell_word_and_dimension(textured):
    def names(**settings):
        bovw = BoVWSIFTTransformer(3, random_state=0, **settings).fit(textured)
        return list(bovw.get_feature_names_out())

    assert names() == ["word0", "word1", "word2"]
    assert names(pyramid=(1, 2))[-1] == "cell3of2x2_word2"
    assert names(encoding="vlad", n_components=2)[3] == "word1_dim1"
    assert names(encoding="fisher", n_components=2)[6] == "word0_deviation0"


# The sample of descriptors.


def test_sample_keeps_all_where_there_are_few():
    sample = DescriptorSample(100, 0)
    values = np.arange(90).reshape(30, 3)
    for part in np.split(values, 3):
        sample.add(part)
    np.testing.assert_array_equal(sample.get(), values)


def test_sample_has_its_size_and_does_not_depend_on_the_batches():
    values = np.arange(1000)[:, np.newaxis]
    samples = []
    for n_parts in (1, 10, 250):
        sample = DescriptorSample(64, 0)
        for part in np.split(values, n_parts):
            sample.add(part)
            assert sample.n_held <= 2 * 64 or n_parts == 1
        samples.append(sample.get())
    assert samples[0].shape == (64, 1)
    assert len(np.unique(samples[0])) == 64
    np.testing.assert_array_equal(samples[0], samples[1])
    np.testing.assert_array_equal(samples[0], samples[2])


def test_sample_is_uniform():
    counts = np.zeros(100)
    for seed in range(2000):
        sample = DescriptorSample(10, seed)
        for part in np.split(np.arange(100)[:, np.newaxis], 20):
            sample.add(part)
        counts[sample.get().ravel()] += 1
    # Each of 100 counts is binomial(2000, .1): mean 200, deviation 13.4.
    assert np.abs(counts - 200).max() < 5 * 13.4


def test_max_descriptors_bounds_what_the_clusterer_sees(textured):
    bovw = BoVWSIFTTransformer(4, max_descriptors=50, clusterer=KMeans()).fit(textured)
    assert len(bovw.clusterer_.labels_) == 50


# Clear errors.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_words": 100_000}, r"n_words=100000.*descriptors in all.*fewer words"),
        ({"n_words": 9, "max_descriptors": 5}, "Raise max_descriptors"),
        ({"pyramid": ()}, "pyramid"),
        ({"pyramid": (0,)}, "pyramid"),
        ({"pyramid": (2, 2)}, "a level twice"),
        ({"pyramid": (1, 2), "descriptor": mean_colour}, "that returns places"),
        ({"clusterer": DBSCAN()}, r"DBSCAN.*n_clusters"),
        ({"clusterer": KMeans(), "encoding": "fisher"}, r"KMeans.*mixture"),
        ({"clusterer": GaussianMixture(), "encoding": "fisher"}, "covariance_type"),
        ({"n_components": 200}, "n_components=200.*128 dimensions"),
        ({"descriptor": SIFTDescriptor(contrast_threshold=9)}, "None of the 12 images"),
    ],
)
def test_settings_that_cannot_work_say_what_to_do(settings, message, textured):
    with pytest.raises(ValueError, match=message):
        BoVWSIFTTransformer(**{"n_words": 5, "max_descriptors": 10**6, **settings}).fit(
            textured
        )


@pytest.mark.parametrize(
    "settings",
    [
        {"n_words": 9, "max_descriptors": 5},
        {"pyramid": (0,)},
        {"clusterer": DBSCAN()},
        {"encoding": "unknown"},
    ],
)
def test_bad_settings_are_found_before_any_image_is_described(settings, textured, log):
    bovw = BoVWSIFTTransformer(descriptor=LoggingDescriptor(log), **settings)
    with pytest.raises(ValueError):
        bovw.fit(textured)
    assert n_lines(log) == 0


def test_not_fitted(textured):
    with pytest.raises(NotFittedError):
        BoVWSIFTTransformer().transform(textured)
    with pytest.raises(NotFittedError):
        BoVWSIFTTransformer().get_feature_names_out()


def test_images_without_keypoints_are_zero_rows_and_warned_of_once(textured):
    images = textured.copy()
    images[[2, 5]] = 77
    bovw = BoVWSIFTTransformer(6, random_state=0)
    with pytest.warns(UserWarning, match="2 of 12 images have no descriptor") as caught:
        vectors = bovw.fit_transform(images)
    assert len(caught) == 1
    assert not vectors[[2, 5]].any()
    assert vectors[[0, 1, 3, 4]].any(axis=1).all()
    with pytest.warns(UserWarning, match="1 of 3 images") as caught:
        bovw.transform(images[:3])
    assert len(caught) == 1


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_broken_file_is_named_and_what_was_described_is_kept(
    n_jobs, textured, log, tmp_path
):
    paths = [str(tmp_path / f"{i}.png") for i in range(12)]
    for path, image in zip(paths, textured, strict=True):
        cv2.imwrite(path, image)
    good = (tmp_path / "11.png").read_bytes()
    (tmp_path / "11.png").write_bytes(good[:100])
    bovw = BoVWSIFTTransformer(
        4, descriptor=LoggingDescriptor(log), memory=tmp_path / "memory", n_jobs=n_jobs
    )
    with pytest.raises(ValueError, match=r"X\[11\].*11\.png"):
        bovw.fit(paths)
    assert n_lines(log) == 11
    (tmp_path / "11.png").write_bytes(good)
    bovw.fit(paths)
    assert n_lines(log) == 12


# Parallel work.


@pytest.mark.parametrize(
    ("encoding", "backend"),
    [
        ("histogram", "loky"),
        pytest.param("fisher", "threading", marks=pytest.mark.slow),
        pytest.param("histogram", "threading", marks=pytest.mark.slow),
        pytest.param("fisher", "loky", marks=pytest.mark.slow),
    ],
)
def test_parallel_work_gives_the_same_bits(backend, encoding):
    images = make_textured(40)
    bovw = BoVWSIFTTransformer(4, encoding=encoding, random_state=0)
    alone = bovw.fit_transform(images)
    with joblib.parallel_config(backend):
        together = clone(bovw).set_params(n_jobs=2).fit_transform(images)
    np.testing.assert_array_equal(alone, together)


def opencv_threads(image):
    return np.full((1, 2), cv2.getNumThreads(), dtype=float)


def failing(image):
    raise RuntimeError("no descriptor today")


def test_opencv_is_held_to_one_thread_and_put_back(textured):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        seen = BoVWSIFTTransformer(1, descriptor=opencv_threads, n_jobs=2).fit(textured)
        np.testing.assert_allclose(seen.vocabulary_, [[1, 1]], rtol=1e-6)
        assert cv2.getNumThreads() == 3
        with pytest.raises(ValueError, match="RuntimeError: no descriptor today"):
            BoVWSIFTTransformer(1, descriptor=failing, n_jobs=2).fit(textured)
        assert cv2.getNumThreads() == 3
        alone = BoVWSIFTTransformer(1, descriptor=opencv_threads).fit(textured)
        np.testing.assert_allclose(alone.vocabulary_, [[3, 3]], rtol=1e-6)
    finally:
        cv2.setNumThreads(before)


def blas_threads():
    return [
        pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
    ]


def seen_blas_threads(image):
    return np.full((1, 2), max(blas_threads()), dtype=float)


def test_blas_is_held_to_one_thread_and_put_back(textured):
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        bovw = BoVWSIFTTransformer(1, descriptor=seen_blas_threads, n_jobs=2)
        np.testing.assert_allclose(bovw.fit(textured).vocabulary_, [[1, 1]], rtol=1e-6)
        assert blas_threads() == before


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_many_paths_never_hold_more_than_a_batch(n_jobs, tmp_path):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.arange(64, dtype=np.uint8).reshape(8, 8))
    seen, most = [], 0

    def watch(image):
        nonlocal most
        seen[:] = [weak for weak in seen if weak() is not None]
        seen.append(weakref.ref(image))
        most = max(most, len(seen))
        return mean_colour(image)

    BoVWSIFTTransformer(1, descriptor=watch, n_jobs=n_jobs).fit([path] * 1_000)
    assert 1 <= most <= (n_jobs or 1)  # each worker holds the image it describes


# Learning in batches.


def test_partial_fit_learns_from_batches():
    images = make_textured(40)
    bovw = BoVWSIFTTransformer(6, random_state=0)
    for batch in np.split(images, 4):
        assert bovw.partial_fit(batch) is bovw
    n_descriptors = sum(len(SIFTDescriptor()(image)) for image in images)
    assert bovw.clusterer_.n_steps_ == 4
    assert bovw.clusterer_._counts.sum() == n_descriptors
    assert bovw.transform(images).shape == (40, 6)


def test_partial_fit_is_the_clusterers_own(textured):
    bovw = BoVWSIFTTransformer(4, clusterer=MiniBatchKMeans(random_state=5, n_init=1))
    expected = MiniBatchKMeans(4, random_state=5, n_init=1)
    for batch in (textured[:6], textured[6:]):
        bovw.partial_fit(batch)
        expected.partial_fit(np.vstack([SIFTDescriptor()(image) for image in batch]))
    np.testing.assert_array_equal(bovw.vocabulary_, expected.cluster_centers_)


def test_partial_fit_goes_on_after_fit_and_keeps_the_projection(textured):
    bovw = BoVWSIFTTransformer(4, n_components=8, random_state=0).fit(textured[:8])
    pca, before = bovw.pca_, bovw.vocabulary_.copy()
    bovw.partial_fit(textured[8:])
    assert bovw.pca_ is pca
    assert not np.array_equal(bovw.vocabulary_, before)


def test_partial_fit_takes_a_batch_without_keypoints(textured):
    bovw = BoVWSIFTTransformer(4, random_state=0).partial_fit(textured)
    before = bovw.vocabulary_.copy()
    with pytest.warns(UserWarning, match="2 of 2 images"):
        bovw.partial_fit(np.zeros((2, 40, 40, 3), dtype=np.uint8))
    np.testing.assert_array_equal(bovw.vocabulary_, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusterer": KMeans()}, "KMeans.*cannot learn in batches"),
        ({"encoding": "fisher"}, "GaussianMixture.*cannot learn in batches"),
        ({"encoding": "tfidf"}, "TfidfTransformer"),
        ({"n_words": 10_000}, "n_words=10000"),
        ({"n_words": 0}, "n_words"),
    ],
)
def test_partial_fit_says_where_it_cannot(settings, message, textured):
    with pytest.raises(ValueError, match=message):
        BoVWSIFTTransformer(**settings).partial_fit(textured)


# The rest.


def test_verbose_prints_a_line_for_each_pass(textured, capsys):
    BoVWSIFTTransformer(4, verbose=1).fit_transform(textured)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "vocabulary of 12 images" in lines[0] and "Encoding 12 images" in lines[1]
    BoVWSIFTTransformer(4, verbose=1).partial_fit(textured)
    (line,) = capsys.readouterr().out.splitlines()
    assert "Describing 12 images" in line
    BoVWSIFTTransformer(4).fit_transform(textured)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("encoding", ["fisher", "vlad", "soft"])
def test_a_pickle_has_the_same_vectors(encoding, textured):
    bovw = BoVWSIFTTransformer(6, encoding=encoding, n_components=20, random_state=0)
    bovw.fit(textured)
    loaded = pickle.loads(pickle.dumps(bovw))
    np.testing.assert_array_equal(loaded.transform(textured), bovw.transform(textured))


def test_a_pickle_is_small_and_holds_no_images(textured):
    bovw = BoVWSIFTTransformer(4, random_state=0).fit(textured)
    assert len(pickle.dumps(bovw)) < 20_000 < textured.nbytes


def test_words_are_the_nearest_ones_also_where_float32_cannot_tell():
    """Distances between descriptors far from 0 drown in the rounding of float32."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)

    def far(image):
        return image.reshape(-1, 3).astype(np.float32) / 255 + 1e4

    bovw = BoVWSIFTTransformer(20, descriptor=far, random_state=0).fit(images)
    for image, row in zip(images, bovw.transform(images), strict=True):
        words = pairwise_distances_argmin(far(image), bovw.vocabulary_)
        counts = np.bincount(words, minlength=20)
        np.testing.assert_allclose(row, counts / counts.sum(), atol=1e-6)


def test_threads_that_describe_images_change_nothing(textured):
    X = np.concatenate([textured] * 3)
    assert len(X) > 16
    described = []
    for n_jobs in (None, 1, 2):
        bovw = BoVWSIFTTransformer(5, n_jobs=n_jobs, random_state=0)
        described.append(bovw.fit_transform(X))
    np.testing.assert_array_equal(described[0], described[1])
    np.testing.assert_array_equal(described[0], described[2])


class StopAtOnce(SilentCallback):
    """A callback of scikit-learn that stops after the first task."""

    def on_fit_task_end(self, estimator, context, **details):
        return True


@needs_callbacks
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_pass_that_is_stopped_warns_of_nothing(n_jobs, textured):
    bovw = BoVWSIFTTransformer(5, n_jobs=n_jobs, random_state=0)
    bovw.set_callbacks(StopAtOnce()).fit(np.concatenate([textured] * 8))
    few = BoVWSIFTTransformer(5, random_state=0)
    few.fit(np.concatenate([textured] * 8)[:16])
    np.testing.assert_array_equal(bovw.vocabulary_, few.vocabulary_)
