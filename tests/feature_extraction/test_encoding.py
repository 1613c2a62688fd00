"""Encodings against independent references.

The equations are tested on their own, because a transformer shows their results
only after sums over cells, power normalisation and scaling.
"""

import cv2
import numpy as np
import pytest
from skimage.feature import fisher_vector as skimage_fisher_vector
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import normalize

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, SIFTDescriptor
from skinest.feature_extraction._encoding import (
    assign_softly,
    compute_fisher_vector,
    compute_vlad,
    find_cell_members,
    measure_word_spacing,
    normalize_power,
)

N_WORDS, N_DIMENSIONS = 7, 5
BLACK = np.zeros((1, 8, 8), dtype=np.uint8)
WHITE = BLACK + 255


@pytest.fixture
def descriptors():
    return np.random.default_rng(0).normal(size=(40, N_DIMENSIONS)).astype(np.float32)


@pytest.fixture
def centers():
    generator = np.random.default_rng(1)
    return generator.normal(size=(N_WORDS, N_DIMENSIONS)).astype(np.float32)


@pytest.fixture
def mixture():
    values = np.random.default_rng(2).normal(size=(500, N_DIMENSIONS))
    return GaussianMixture(N_WORDS, covariance_type="diag", random_state=0).fit(values)


def opencv_bag_of_words(images, vocabulary):
    """Histograms by OpenCV's own extractor, the image described by SIFT."""
    bow = cv2.xfeatures2d if hasattr(cv2.xfeatures2d, "BOWKMeansTrainer") else cv2
    sift = cv2.SIFT_create()
    extractor = bow.BOWImgDescriptorExtractor(sift, cv2.BFMatcher(cv2.NORM_L2))
    extractor.setVocabulary(vocabulary)
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    return np.vstack([extractor.compute(grey, sift.detect(grey)) for grey in greys])


def test_histogram_equals_opencv_on_the_same_vocabulary(textured):
    descriptor = SIFTDescriptor(contrast_threshold=0.04, root=False)
    bovw = BoVWSIFTTransformer(40, descriptor=descriptor, random_state=0)
    vectors = bovw.fit_transform(textured)
    expected = opencv_bag_of_words(textured, bovw.vocabulary_.astype(np.float32))
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_soft_assignment_follows_its_equation(descriptors, centers):
    bandwidth = 0.7
    expected = np.empty((len(descriptors), N_WORDS))
    for i, x in enumerate(descriptors.astype(float)):
        kernel = [np.exp(-np.sum((x - c) ** 2) / (2 * bandwidth**2)) for c in centers]
        expected[i] = np.array(kernel) / np.sum(kernel)
    weights = assign_softly(descriptors, centers, bandwidth)
    np.testing.assert_allclose(weights, expected, atol=1e-5)


def test_soft_assignment_far_from_all_words_is_finite(centers):
    far = np.full((1, N_DIMENSIONS), 1e4, dtype=np.float32)
    np.testing.assert_allclose(assign_softly(far, centers, 0.1).sum(), 1, rtol=1e-6)


def test_vlad_follows_its_equation(descriptors, centers):
    words = np.array([np.argmin(((x - centers) ** 2).sum(axis=1)) for x in descriptors])
    expected = np.zeros((N_WORDS, N_DIMENSIONS))
    for word in range(N_WORDS):
        for x in descriptors[words == word]:
            expected[word] += x.astype(float) - centers[word]
    actual = compute_vlad(descriptors, words, centers)
    np.testing.assert_allclose(actual, expected.ravel(), atol=1e-5)


def test_fisher_vector_equals_scikit_image(descriptors, mixture):
    """skimage has the weights' gradients first and deviations of opposite sign."""
    reference = skimage_fisher_vector(descriptors, mixture, improved=False)
    size = N_WORDS * N_DIMENSIONS
    by_mean = reference[N_WORDS : N_WORDS + size]
    by_deviation = -reference[N_WORDS + size :]
    posteriors = mixture.predict_proba(descriptors)
    actual = compute_fisher_vector(descriptors, posteriors, mixture)
    np.testing.assert_allclose(actual[:size], by_mean, atol=1e-6)
    np.testing.assert_allclose(actual[size:], by_deviation, atol=1e-6)


def test_fisher_vectors_of_images_equal_scikit_image(textured):
    """Also where the mixture was learned in float32 and means exceed deviations."""
    descriptor = ColorPatchDescriptor()
    settings = {"encoding": "fisher", "n_components": None, "random_state": 0}
    bovw = BoVWSIFTTransformer(4, descriptor=descriptor, **settings).fit(textured)
    vectors = bovw.transform(textured)
    for image, vector in zip(textured, vectors, strict=True):
        values = descriptor(image).astype(np.float64)
        reference = skimage_fisher_vector(values, bovw.vocabulary_, improved=False)[4:]
        reference[len(reference) // 2 :] *= -1
        expected = normalize(np.sqrt(np.abs(reference[None])) * np.sign(reference))[0]
        np.testing.assert_allclose(vector, expected, atol=1e-6)


def test_fisher_vector_is_the_gradient_of_the_log_likelihood(descriptors, mixture):
    """Equations 17 and 18 scale the gradient by the deviation and the weight."""
    posteriors = mixture.predict_proba(descriptors)
    vector = compute_fisher_vector(descriptors, posteriors, mixture)
    by_mean, by_deviation = vector.reshape(2, N_WORDS, N_DIMENSIONS)
    step, word, dimension = 1e-5, 3, 2
    deviation = np.sqrt(mixture.covariances_[word, dimension])
    weight = mixture.weights_[word]

    def log_likelihood(mean_step, deviation_step):
        moved = GaussianMixture(N_WORDS, covariance_type="diag")
        moved.weights_, moved.means_ = mixture.weights_, mixture.means_.copy()
        moved.covariances_ = mixture.covariances_.copy()
        moved.means_[word, dimension] += mean_step
        moved.covariances_[word, dimension] = (deviation + deviation_step) ** 2
        moved.precisions_cholesky_ = 1 / np.sqrt(moved.covariances_)
        return moved.score(descriptors.astype(float))

    slope = (log_likelihood(step, 0) - log_likelihood(-step, 0)) / (2 * step)
    np.testing.assert_allclose(
        by_mean[word, dimension], slope * deviation / np.sqrt(weight), rtol=1e-4
    )
    slope = (log_likelihood(0, step) - log_likelihood(0, -step)) / (2 * step)
    np.testing.assert_allclose(
        by_deviation[word, dimension],
        slope * deviation / np.sqrt(2 * weight),
        rtol=1e-4,
    )


def test_power_normalize():
    vectors = np.array([[4.0, -9.0, 0.0], [0.0, 0.0, 0.0]])
    expected = np.array([[2, -3, 0], [0, 0, 0]]) / np.sqrt(13)
    np.testing.assert_allclose(normalize_power(vectors), expected)


def test_cells_of_a_pyramid_are_level_by_level_and_row_by_row():
    points = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [1.0, 1.0]])
    members = find_cell_members(points, (1, 2))
    assert members[0].all()
    np.testing.assert_array_equal(members[1:], np.eye(4, dtype=bool))


def test_word_spacing_is_the_mean_distance_to_the_nearest_other_word():
    assert measure_word_spacing(np.array([[0.0], [1.0], [5.0]])) == pytest.approx(
        (1 + 1 + 4) / 3
    )


class GivenDescriptors:
    """A descriptor object that knows the descriptors of all but black images."""

    def __init__(self, values, points):
        self.values = values
        self.points = points

    def describe(self, image):
        n = len(self.values) if image.any() else 0
        return self.values[:n], self.points[:n]


class GivenWords(KMeans):
    """A clusterer that knows the visual words."""

    def __init__(self, n_clusters=8, words=None):
        super().__init__(n_clusters)
        self.words = words

    def fit(self, X, y=None, sample_weight=None):
        self.cluster_centers_ = self.words
        return self


class GivenMixture(GaussianMixture):
    """A mixture that was fitted before."""

    def __init__(self, n_components=1, covariance_type="diag", learned=None):
        super().__init__(n_components, covariance_type=covariance_type)
        self.learned = learned

    def fit(self, X, y=None):
        vars(self).update(self.learned)
        return self


def fit_given(vocabulary, values, points, **settings):
    """Return a transformer with a given vocabulary, for images of given descriptors."""
    if isinstance(vocabulary, GaussianMixture):
        clusterer = GivenMixture(learned=vars(vocabulary))
    else:
        clusterer = GivenWords(words=vocabulary)
    descriptor = GivenDescriptors(values, points)
    bovw = BoVWSIFTTransformer(
        N_WORDS,
        descriptor=descriptor,
        clusterer=clusterer,
        n_components=None,
        **settings,
    )
    return bovw.fit(WHITE)


def encode(encoding, vocabulary, values, points, pyramid=(1,)):
    bovw = fit_given(vocabulary, values, points, encoding=encoding, pyramid=pyramid)
    return bovw.transform(WHITE)[0]


@pytest.mark.parametrize("encoding", ["histogram", "soft"])
def test_a_pyramid_of_histograms_gives_each_level_the_same_share(
    encoding, descriptors, centers
):
    points = np.random.default_rng(3).random((len(descriptors), 2))
    vector = encode(encoding, centers, descriptors, points, (1, 3))
    levels = vector[:N_WORDS], vector[N_WORDS:]
    for level in levels:
        np.testing.assert_allclose(level.sum(), 0.5, rtol=1e-5)
    by_word = vector[N_WORDS:].reshape(9, N_WORDS).sum(axis=0)
    np.testing.assert_allclose(by_word, levels[0], atol=1e-6)


@pytest.mark.parametrize("encoding", ["vlad", "fisher"])
def test_each_cell_is_normalised_and_then_the_whole(
    encoding, descriptors, centers, mixture
):
    vocabulary = mixture if encoding == "fisher" else centers
    points = np.random.default_rng(3).random((len(descriptors), 2))
    vector = encode(encoding, vocabulary, descriptors, points, (1, 2))
    alone = encode(encoding, vocabulary, descriptors, points)
    np.testing.assert_allclose(np.linalg.norm(alone), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-6)
    np.testing.assert_allclose(
        normalize(vector[None, : alone.size])[0], alone, atol=1e-6
    )


@pytest.mark.parametrize("encoding", ["histogram", "soft", "tfidf", "vlad", "fisher"])
def test_no_descriptor_is_a_zero_row_and_so_is_an_empty_cell(
    encoding, descriptors, centers, mixture
):
    vocabulary = mixture if encoding == "fisher" else centers
    corner = np.zeros((len(descriptors), 2))
    bovw = fit_given(vocabulary, descriptors, corner, encoding=encoding, pyramid=(2,))
    with pytest.warns(UserWarning, match="1 of 2 images have no descriptor"):
        vectors = bovw.transform(np.concatenate([BLACK, WHITE]))
    assert not vectors[0].any()
    cells = vectors[1].reshape(4, -1)
    assert cells[0].any() and not cells[1:].any()
    names = bovw.get_feature_names_out()
    assert len(set(names)) == len(names) == bovw.n_features_out_ == vectors.shape[1]
