"""imbalanced-learn's samplers over images of every form."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
from collections import Counter

import cv2
import imblearn.combine
import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.base import is_sampler
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import NearMiss, RandomUnderSampler
from imblearn.utils.estimator_checks import estimator_checks_generator
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC
from sklearn.utils import get_tags

from skinest import BoVWSIFTTransformer, SIFTDescriptor
from skinest.masks import check_masks
from skinest.sampling import ImageResampler, has_foreground
from tests.private_names import select_rows
from tests.segmentation.conftest import make_small
from tests.utils.sound_estimators import MeanColor

N_IMAGES = 18
Y = np.where(np.arange(N_IMAGES) % 3 == 0, "malignant", "benign")
OVER = ImageResampler(RandomOverSampler(random_state=0))
UNDER = ImageResampler(RandomUnderSampler(random_state=0))
# Each is (labels, what the two samplers leave of them), by arithmetic.
COUNTS = {
    "over": (OVER, {"benign": 12, "malignant": 12}),
    "under": (UNDER, {"benign": 6, "malignant": 6}),
}


@pytest.fixture(scope="module")
def images():
    """Draw stripes if malignant, squares if benign."""
    blocks = np.random.RandomState(0).uniform(size=(N_IMAGES, 8, 8, 3))
    blocks[::3] = 0.9 * blocks[::3, :1] + 0.1 * blocks[::3]
    return (255 * blocks.repeat(6, axis=1).repeat(6, axis=2)).astype(np.uint8)


@pytest.fixture(scope="module")
def masks():
    """Return masks, one in six with a foreground."""
    masks = np.zeros((N_IMAGES, 48, 48), dtype=np.uint8)
    masks[::6, 8:20, 8:20] = 255
    return masks


@pytest.fixture(scope="module")
def files(images, masks, tmp_path_factory):
    """Return paths of the images and of the masks."""
    folder = tmp_path_factory.mktemp("files")
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        cv2.imwrite(str(folder / f"{i}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / f"mask{i}.png"), mask)
    return [
        [folder / f"{name}{i}.png" for i in range(N_IMAGES)] for name in ("", "mask")
    ]


def bovw():
    grid = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
    return BoVWSIFTTransformer(4, descriptor=grid, random_state=0)


class OnTables(ImageResampler):
    """The same selection from tables, which imbalanced-learn's checks pass."""

    def fit_resample(self, X, y):
        _, y = super().fit_resample(np.zeros((len(X), 4, 8), dtype=np.uint8), y)
        return select_rows(X, self.sample_indices_), y


IMBLEARN_CHECKS = [
    pytest.param(estimator, check, id=f"{estimator.sampler}-{check.func.__name__}")
    for sampler in (
        RandomOverSampler(random_state=0),
        RandomUnderSampler(random_state=0),
    )
    for estimator, check in estimator_checks_generator(OnTables(sampler))
]


@pytest.mark.parametrize(("estimator", "check"), IMBLEARN_CHECKS)
def test_checks_of_imbalanced_learn(estimator, check):
    assert check(estimator) is None  # or it raises


def test_is_a_sampler():
    assert is_sampler(OVER)
    assert get_tags(OVER).sampler_tags.sample_indices


@pytest.mark.parametrize(("resampler", "expected"), COUNTS.values(), ids=COUNTS)
def test_classes_are_balanced(resampler, expected, images):
    X, y = resampler.fit_resample(images, Y)
    assert Counter(y) == expected
    np.testing.assert_array_equal(X, images[resampler.sample_indices_])
    np.testing.assert_array_equal(y, Y[resampler.sample_indices_])
    assert isinstance(resampler.sampler_, type(resampler.sampler))
    assert resampler.sampling_strategy_ == resampler.sampler_.sampling_strategy_
    assert not hasattr(resampler.sampler, "sampler_")


def test_selected_images_keep_their_order(images):
    for resampler, _ in COUNTS.values():
        resampler.fit_resample(images, Y)
        assert np.all(np.diff(resampler.sample_indices_) >= 0)


def test_weights_are_those_of_their_images_if_all_are_kept(images):
    """A sampler of balanced classes keeps all, but sorts them by class."""
    y, weights = np.arange(N_IMAGES) % 2, np.arange(N_IMAGES) + 1.0
    sampler = ImageResampler(RandomUnderSampler(random_state=0))
    pipeline = make_pipeline(sampler, bovw(), LogisticRegression())
    pipeline.fit(images, y, logisticregression__sample_weight=weights)
    alone = make_pipeline(bovw(), LogisticRegression())
    alone.fit(images, y, logisticregression__sample_weight=weights)
    np.testing.assert_array_equal(pipeline[-1].coef_, alone[-1].coef_)


def test_sampling_strategy_of_the_sampler_counts(images):
    sampler = RandomUnderSampler(sampling_strategy={"benign": 8}, random_state=0)
    _, y = ImageResampler(sampler).fit_resample(images, Y)
    assert Counter(y) == {"benign": 8, "malignant": 6}


def test_draws_follow_the_seed_of_the_sampler(images):
    def drawn(seed):
        resampler = ImageResampler(RandomOverSampler(random_state=seed))
        resampler.fit_resample(images, Y)
        return list(resampler.sample_indices_)

    expected = RandomOverSampler(random_state=3)
    expected.fit_resample(np.arange(N_IMAGES)[:, np.newaxis], Y)
    assert drawn(3) == drawn(3) == sorted(expected.sample_indices_)
    assert len({tuple(drawn(seed)) for seed in range(4)}) == 4
    assert len({tuple(drawn(None)) for _ in range(4)}) > 1


def test_rows_of_pandas_keep_their_index(files):
    index = [f"lesion{i}" for i in range(N_IMAGES)]
    table = pd.DataFrame({"path": files[0], "label": Y}, index=index)
    table = table.astype({"path": str})
    for X in (table["path"], table[["path"]]):
        resampled, y = OVER.fit_resample(X, table["label"])
        expected = [index[i] for i in OVER.sample_indices_]
        assert list(resampled.index) == list(y.index) == expected
        assert type(resampled) is type(X)
        assert y.name == "label"


def test_no_file_is_decoded(files, masks, tmp_path):
    broken = [tmp_path / f"{i}.png" for i in range(N_IMAGES)]
    for path in broken:
        path.write_text("not an image")
    X, _ = OVER.fit_resample(broken, Y)
    assert X == [broken[i] for i in OVER.sample_indices_]


def test_lists_are_repeated_without_a_copy(images):
    X = list(images)
    resampled, _ = OVER.fit_resample(X, Y)
    assert all(
        row is X[i] for row, i in zip(resampled, OVER.sample_indices_, strict=True)
    )


def mask_forms(masks, paths):
    objects = np.empty(len(masks), dtype=object)
    objects[:] = list(masks)
    names = [str(path) for path in paths]
    return {
        "array": masks,
        "list": list(masks),
        "object array": objects,
        "list of Path": paths,
        "list of str": names,
        "Series": pd.Series(names),
        "column": np.array(names, dtype=object)[:, np.newaxis],
    }


def test_masks_are_balanced_by_their_foreground(images, masks, files):
    resampler = ImageResampler(
        RandomOverSampler(random_state=0), balance_by=has_foreground
    )
    for name, y in mask_forms(masks, files[1]).items():
        X_new, y_new = resampler.fit_resample(images, y)
        assert type(y_new) is type(y), name
        assert Counter(has_foreground(X_new, y_new)) == {True: 15, False: 15}, name
        pairs = resampler.sample_indices_
        np.testing.assert_array_equal(X_new, images[pairs])
        for mask, expected in zip(check_masks(y_new), masks[pairs], strict=True):
            np.testing.assert_array_equal(mask, expected)


def test_labels_is_the_old_name_of_balance_by(images, masks):
    old = clone(ImageResampler(RandomOverSampler(random_state=0), labels=diagnosis))
    assert old.get_params()["labels"] is diagnosis
    old.set_params(labels=has_foreground)
    with pytest.warns(FutureWarning, match="Pass balance_by=<function has_foreground"):
        X, y = old.fit_resample(images, masks)
    new = ImageResampler(RandomOverSampler(random_state=0), balance_by=has_foreground)
    for ours, expected in zip((X, y), new.fit_resample(images, masks), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_masks_are_decoded_once_to_be_balanced_by(files, decoded):
    resampler = ImageResampler(RandomOverSampler(), balance_by=has_foreground)
    resampler.fit_resample(*files)
    assert len(decoded.contents) == N_IMAGES  # of masks alone
    assert decoded.counts(files[0]) == [0] * N_IMAGES


def test_masks_without_labels_are_refused(images, masks, files):
    for y in mask_forms(masks, files[1]).values():
        with pytest.raises(ValueError, match="balance_by=has_foreground"):
            OVER.fit_resample(images, y)


def test_masks_that_share_a_file_or_have_channels_are_refused_too(images, masks, files):
    shared = [str(files[1][0])] + [str(files[1][1])] * (N_IMAGES - 1)
    colours = [np.dstack([mask] * 3) for mask in masks]
    ragged = [mask[: 40 + number] for number, mask in enumerate(masks)]
    for y in (shared, masks[..., np.newaxis], colours, ragged, tuple(ragged)):
        with pytest.raises(ValueError, match="balance_by=has_foreground"):
            OVER.fit_resample(images, y)


def diagnosis(X, y):
    """Diagnose by the number in the name of each file."""
    return ["MEL" if int(path.stem) % 9 == 0 else "NV" for path in X]


def test_masks_are_balanced_by_what_is_known_of_their_images(files):
    resampler = ImageResampler(RandomUnderSampler(random_state=0), balance_by=diagnosis)
    X, y = resampler.fit_resample(*files)
    assert Counter(diagnosis(X, y)) == {"MEL": 2, "NV": 2}
    assert [path.stem for path in y] == [f"mask{path.stem}" for path in X]


def test_wrong_labels_are_refused(images, masks):
    def few(X, y):
        return np.arange(len(X) - 1) % 2

    resampler = ImageResampler(RandomOverSampler(), balance_by=few)
    with pytest.raises(ValueError, match="17 entries, but there are 18 images"):
        resampler.fit_resample(images, masks)
    for values in (None, masks[:, 0], (value for value in Y)):
        resampler = ImageResampler(
            RandomOverSampler(), balance_by=lambda X, y, v=values: v
        )
        with pytest.raises(
            ValueError, match=r"balance_by\(X, y\) should be a 1d array"
        ):
            resampler.fit_resample(images, masks)
    with pytest.raises(ValueError, match="y is of type dict"):
        OVER.fit_resample(images, dict(enumerate(Y)))
    with pytest.raises(ValueError, match="y has numbers that are not classes"):
        OVER.fit_resample(images, np.linspace(0, 1, N_IMAGES))
    with pytest.raises(ValueError, match="y contains infinity, at position 0"):
        OVER.fit_resample(images, np.where(np.arange(N_IMAGES), 1.0, np.inf))


def samplers_of_imbalanced_learn():
    for module in (imblearn.over_sampling, imblearn.under_sampling, imblearn.combine):
        for name in module.__all__:
            cls = getattr(module, name)
            needs = "categorical_features" in inspect.signature(cls).parameters
            yield cls(categorical_features=[]) if needs and name == "SMOTENC" else cls()


SAMPLERS = list(samplers_of_imbalanced_learn())


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: type(s).__name__)
def test_samplers_of_rows_are_taken_and_others_sent_behind_the_features(
    sampler, images
):
    if isinstance(sampler, RandomOverSampler | RandomUnderSampler):
        _, y = ImageResampler(sampler).fit_resample(images, Y)
        assert len(set(Counter(y).values())) == 1
        return
    with pytest.raises(ValueError, match=r"Put it after the features") as raised:
        ImageResampler(sampler).fit_resample(images, Y)
    assert f"(BoVWSIFTTransformer(), {type(sampler).__name__}(...)" in str(raised.value)
    with pytest.raises(ValueError, match="Put it after the features"):
        ImageResampler(sampler).fit(images, Y)


class EveryOther(RandomUnderSampler):
    """A sampler of one's own, which selects rows by their place."""

    def _fit_resample(self, X, y):
        self.sample_indices_ = np.arange(0, len(y), 2)
        return X[::2], y[::2]


def test_a_sampler_of_one_s_own_that_selects_rows_is_taken(images):
    X, y = ImageResampler(EveryOther()).fit_resample(images, Y)
    np.testing.assert_array_equal(X, images[::2])
    np.testing.assert_array_equal(y, Y[::2])


def test_there_are_samplers_of_each_kind():
    names = {type(sampler).__name__ for sampler in SAMPLERS}
    assert {"SMOTE", "ADASYN", "NearMiss", "SMOTEENN", "RandomOverSampler"} <= names


def test_rows_that_are_smoothed_are_no_images(images):
    smooth = ImageResampler(RandomOverSampler(shrinkage=1.0, random_state=0))
    with pytest.raises(ValueError, match="changes the rows"):
        smooth.fit_resample(images, Y)


@pytest.mark.parametrize(
    "sampler",
    [
        SMOTE(k_neighbors=2, random_state=0),
        ADASYN(n_neighbors=2),
        NearMiss(n_neighbors=2),
    ],
    ids=lambda s: type(s).__name__,
)
def test_other_samplers_work_behind_the_features(sampler, images):
    fitted = make_pipeline(bovw(), sampler, SVC(C=100)).fit(images, Y)
    assert fitted.score(images, Y) > 0.75  # one label for all is right for 0.67


def test_what_is_no_sampler_is_refused(images):
    for wrong in (SVC(), None, "over"):
        with pytest.raises(ValueError, match="'sampler'"):
            ImageResampler(wrong).fit_resample(images, Y)
    assert "ImageResampler" in ImageResampler(None)._repr_html_()


def test_a_pipeline_trains_on_the_selection_and_predicts_all(images, files):
    pipeline = make_pipeline(UNDER, bovw(), SVC(C=100)).fit(files[0], Y)
    assert len(pipeline.predict(files[0])) == N_IMAGES
    X, y = UNDER.fit_resample(images, Y)
    apart = SVC(C=100).fit(bovw().fit_transform(X), y)
    vectors = bovw().fit(X).transform(images)
    np.testing.assert_array_equal(
        pipeline.decision_function(files[0]), apart.decision_function(vectors)
    )


def test_grid_search_of_sampler_and_strategy(files):
    pipeline = Pipeline(
        [("sample", UNDER), ("colour", MeanColor(random_state=0)), ("svc", SVC())]
    )
    grid = [
        {"sample": ["passthrough", OVER]},
        {
            "sample__sampler": [RandomOverSampler(random_state=0)],
            "sample__sampler__sampling_strategy": [0.75, 1.0],
        },
    ]
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(files[0], Y)
    assert len(search.cv_results_["params"]) == 4
    scores = search.cv_results_["mean_test_score"]
    assert scores[1] == scores[3]  # the same sampler, given in two ways
    assert search.predict(files[0]).shape == (N_IMAGES,)


@pytest.mark.slow
def test_segmentation_in_cross_validation(files):
    resampler = ImageResampler(
        RandomOverSampler(random_state=0), balance_by=has_foreground
    )
    pipeline = make_pipeline(resampler, make_small(epochs=1))
    scores = cross_val_score(pipeline, *files, cv=2, error_score="raise")
    assert scores.shape == (2,)


def test_weights_do_not_follow_in_a_pipeline(images):
    weights = np.arange(N_IMAGES)
    pipeline = make_pipeline(OVER, MeanColor(random_state=0), SVC())
    with pytest.raises(ValueError, match="sample_weight and X have incompatible"):
        pipeline.fit(images, Y, svc__sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.set_params(svc=SVC().set_fit_request(sample_weight=True))
        with pytest.raises(ValueError, match="sample_weight and X have incompatible"):
            pipeline.fit(images, Y, sample_weight=weights)


def test_weights_follow_by_the_indices(images):
    """An SVM with whole weights is one with repeated rows."""
    every = ImageResampler(RandomOverSampler(random_state=0))
    X, y = every.fit_resample(images, Y)
    times = np.bincount(every.sample_indices_, minlength=N_IMAGES)
    vectors = MeanColor(random_state=0).fit(images)
    weighted = SVC(gamma=1).fit(vectors.transform(images), Y, sample_weight=times)
    repeated = SVC(gamma=1).fit(vectors.transform(X), y)
    np.testing.assert_allclose(
        weighted.decision_function(vectors.transform(images)),
        repeated.decision_function(vectors.transform(images)),
        atol=1e-3,
    )
