"""What the scripts of the study's tasks share."""

import ast
import importlib
import json
import re
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    precision_score,
)
from sklearn.neighbors import KNeighborsClassifier

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    for file in EXAMPLES.glob("_*.py"):
        sys.modules.pop(file.stem, None)


@pytest.fixture
def lesions():
    """Labels and lesions of 900 images: two of three lesions have several images."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 4, size=600)
    groups = np.repeat(np.arange(600), sizes)[:900]
    of_lesion = rng.choice(3, size=600, p=[0.7, 0.2, 0.1])
    return of_lesion[groups], groups


def shares(y, part=slice(None)):
    return np.bincount(y[part], minlength=3) / len(y[part])


def test_a_split_by_image_has_the_study_s_shares_of_images_and_of_classes(lesions):
    from _splits import split_by_image

    y, _ = lesions
    parts = split_by_image(y)
    assert_allclose(
        [len(part) / len(y) for part in parts], [0.65, 0.15, 0.2], atol=0.01
    )
    assert_allclose([shares(y, part) for part in parts], [shares(y)] * 3, atol=0.01)
    assert sorted(np.concatenate(parts)) == list(range(900))


def test_a_split_by_lesion_keeps_lesions_apart_and_about_the_shares(lesions):
    from _splits import seen, split_by_image, split_by_lesion

    y, groups = lesions
    train, validation, test = parts = split_by_lesion(y, groups)
    for one, other in ((train, validation), (train, test), (validation, test)):
        assert not seen(groups, one, other).any()
    assert_allclose([len(p) / len(y) for p in parts], [0.64, 0.16, 0.2], atol=0.01)
    assert_allclose([shares(y, part) for part in parts], [shares(y)] * 3, atol=0.02)
    assert sorted(np.concatenate(parts)) == list(range(900))
    train, _, test = split_by_image(y)
    assert seen(groups, train, test).mean() > 0.3


def test_twin_training_sets_differ_only_in_pictures_of_the_tested_lesions(lesions):
    from _splits import seen, split_by_image, twin_training_sets

    y, groups = lesions
    *_, test = split_by_image(y)
    with_them, without = twin_training_sets(y, groups, test, np.random.default_rng(0))
    assert not np.isin(with_them, test).any()
    assert not seen(groups, test, without).any()
    rest = np.setdiff1d(np.arange(len(y)), test)
    siblings = rest[seen(groups, test, rest)]
    assert np.isin(siblings, with_them).all()
    assert (np.bincount(y[with_them]) == np.bincount(y[without])).all()


def test_the_leak_is_what_a_classifier_that_remembers_lesions_gains(lesions):
    """Features that name the lesion and say nothing of its class."""
    from _splits import mean_interval, measure_leak

    y, groups = lesions
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 8))[groups]
    nearest = KNeighborsClassifier(1)
    figures = measure_leak(nearest, features, y, groups, n_repeats=3)
    assert (figures["seen with"]["accuracy"] == 1).all()
    chance = (shares(y) ** 2).sum()
    for honest in ("by lesion", "without", "seen without"):
        assert abs(figures[honest]["accuracy"].mean() - chance) < 0.08
    gain = figures["by image"]["accuracy"] - figures["by lesion"]["accuracy"]
    mean, low, high = mean_interval(gain)
    assert 0 < low < mean < high
    same = measure_leak(DummyClassifier(), features, y, groups, n_repeats=2)
    assert (same["with"]["accuracy"] == same["without"]["accuracy"]).all()


def test_the_interval_of_a_mean_is_student_s():
    """Of 1 to 5: mean 3, standard error sqrt(.5), t(.975, 4) = 2.776."""
    from _splits import mean_interval

    assert_allclose(
        mean_interval([1, 2, 3, 4, 5]),
        [3, 3 - 2.776 * 0.5**0.5, 3 + 2.776 * 0.5**0.5],
        atol=1e-3,
    )


def test_so_many_images_have_the_shares_of_all(lesions):
    from _script import take

    y, _ = lesions
    assert_allclose(shares(y, take(90, y)), shares(y), atol=0.012)
    assert len(set(take(90, y))) == 90
    assert (take(None, y) == np.arange(900)).all()
    assert (take(5000, y) == np.arange(900)).all()


def test_lesions_are_taken_whole_and_with_the_shares_of_all(lesions):
    from _splits import take_lesions

    y, groups = lesions
    taken = take_lesions(300, y, groups)
    left = np.setdiff1d(np.arange(900), taken)
    assert not np.isin(groups[taken], groups[left]).any()
    assert len(taken) == pytest.approx(300, abs=15)
    assert_allclose(shares(y, taken), shares(y), atol=0.05)
    assert (take_lesions(None, y, groups) == np.arange(900)).all()


def test_weights_that_are_not_there_are_refused_before_any_work(tmp_path):
    from _script import existing_weights, weights_of

    with pytest.raises(ArgumentTypeError, match="nowhere is not a file"):
        existing_weights("nowhere")
    file = tmp_path / "some.weights.h5"
    file.touch()
    assert existing_weights(str(file)) == str(file)
    assert weights_of(str(file), is_real=False) == str(file)
    assert weights_of(None, is_real=False) is weights_of("none", is_real=True) is None
    assert weights_of(None, is_real=True) == "imagenet"


def test_labels_of_a_matrix_have_that_matrix():
    from _script import labels_of

    matrix = [[3, 1, 0], [0, 0, 2], [5, 0, 4]]
    assert confusion_matrix(*labels_of(matrix)).tolist() == matrix


def test_figures_of_task_1_are_scikit_learn_s_and_lie_in_their_intervals():
    from _task1 import evaluate, intervals

    rng = np.random.default_rng(0)
    y = (rng.random(200) < 0.3).astype(int)
    decision = y + rng.normal(size=200)
    predicted = (decision > 0.5).astype(int)
    figures = evaluate(y, predicted, decision)
    precision, recall, f1, _ = precision_recall_fscore_support(y, predicted)
    assert figures["accuracy"] == accuracy_score(y, predicted)
    assert figures["precision"] == pytest.approx(precision[1])
    assert (figures["specificity"], figures["sensitivity"]) == pytest.approx(recall)
    assert figures["f1"] == pytest.approx(f1[1])
    bounds = intervals(y, predicted, decision, n_resamples=100)
    assert bounds.keys() == figures.keys()
    for name, (low, high) in bounds.items():
        assert low < figures[name] < high
    # 1.96 standard errors of a binomial share, about.
    low, high = bounds["accuracy"]
    share = figures["accuracy"]
    width = 2 * 1.96 * np.sqrt(share * (1 - share) / 200)
    assert high - low == pytest.approx(width, rel=0.25)


@pytest.mark.parametrize("name", ["TASK1_BOVW", "TASK1_VGG"])
def test_the_study_s_figures_of_task_1_follow_from_its_matrices(name):
    import _study
    from _task1 import evaluate

    study = getattr(_study, name)
    from _script import labels_of

    y, predicted = labels_of(study["matrix"])
    figures = evaluate(y, predicted, predicted)
    # The study gives two decimals of some.
    for metric in ("accuracy", "precision", "sensitivity", "specificity", "f1"):
        assert figures[metric] == pytest.approx(study[metric], abs=3e-3)
    assert len(y) == study["n_test"]
    assert np.mean(y == 0) == pytest.approx(_study.TASK1_BASELINE["accuracy"], abs=1e-3)


def test_the_report_of_task_2_is_the_one_that_the_study_printed():
    from _script import accuracy_of, labels_of, report_of
    from _study import (
        TASK2_BASELINE,
        TASK2_BEST,
        TASK2_MATRIX,
        TASK2_NAMES,
        TASK2_SCHEDULES,
    )

    report = report_of(*labels_of(TASK2_MATRIX), TASK2_NAMES)
    printed = {  # precision, recall, F1, support
        "AKIEC": (0.73, 0.55, 0.63, 66),
        "BCC": (0.79, 0.82, 0.80, 103),
        "BKL": (0.64, 0.75, 0.69, 220),
        "DF": (0.67, 0.61, 0.64, 23),
        "MEL": (0.48, 0.71, 0.57, 223),
        "NV": (0.94, 0.84, 0.89, 1341),
        "VASC": (0.82, 0.93, 0.87, 29),
        "macro avg": (0.72, 0.74, 0.73, 2005),
        "weighted avg": (0.84, 0.81, 0.82, 2005),
    }
    for name, row in printed.items():
        assert_allclose(list(report[name].values()), row, atol=0.0051)
    _, after = TASK2_SCHEDULES[TASK2_BEST]["accuracy"]
    assert accuracy_of(report) == pytest.approx(after, abs=0.005)
    majority = report["NV"]["support"] / 2005
    assert majority == pytest.approx(TASK2_BASELINE["accuracy"], abs=1e-3)


def test_the_study_s_iou_with_background_is_near_that_of_finding_nothing():
    """Half of the accuracy of finding nothing: what the foreground adds is nothing."""
    from _study import TASK3, TASK3_BASELINE

    for rows in TASK3.values():
        for row in rows.values():
            nothing = TASK3_BASELINE["accuracy"] / 2
            assert row["mean IoU with background"] == pytest.approx(nothing, abs=0.02)


def test_dice_along_equal_channels_measures_the_background():
    from _task3 import channel_dice, with_overlaps

    truth = np.zeros((1, 10, 10))
    truth[0, 0] = 1  # a tenth
    assert channel_dice(truth, truth) == 1
    assert channel_dice(truth, 0 * truth) == pytest.approx(0.9 + 0.1 / 4)
    assert channel_dice(truth, 1 - truth) == pytest.approx(1 / 4)
    # 10 found of 20 that are there, 30 more found: Dice 2 * 10 / (40 + 20).
    row = with_overlaps({"precision": 10 / 40, "recall": 10 / 20})
    assert row["Dice"] == pytest.approx(20 / 60)
    assert row["IoU"] == pytest.approx(10 / 50)


@pytest.mark.parametrize(
    "script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name
)
def test_what_a_script_takes_from_others_is_there(script):
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("_"):
            helper = importlib.import_module(node.module)
            assert all(hasattr(helper, name.name) for name in node.names)


PAGES = pytest.mark.parametrize(
    "page", sorted(EXAMPLES.glob("plot_*.py")), ids=lambda path: path.name
)


@PAGES
def test_an_example_has_no_arguments_in_a_notebook(page):
    calls = re.findall(r"\bparse_args\(.*", page.read_text())
    assert set(calls) <= {'parse_args([] if "ipykernel" in sys.modules else None)'}


@PAGES
def test_the_blocks_of_an_example_have_texts(page):
    _, *blocks = page.read_text().split("\n# %%\n")
    assert blocks
    assert all(block.startswith("# ") for block in blocks)
    if "\ndef main():" in page.read_text():
        assert re.match(r"(#.*\n)+\nif __name__ ", blocks[-1])


@pytest.fixture
def stages():
    """Return a classifier of noise, two stages, and how to fit and to test it."""
    from skinest import TransferClassifier

    from .classification.conftest import SMALL, make_images

    X, y = make_images(24), np.array([0, 0, 1] * 8)
    clf = TransferClassifier("tiny", **SMALL, warm_start=True)
    parts = [
        {"trainable": "head", "epochs": 6, "learning_rate": 0.1},
        {"trainable": "Conv_1", "epochs": 2},
    ]
    n_fits = []

    def fit(clf):
        n_fits.append(clf.trainable)
        clf.fit(X[:12], y[:12], X_val=X[12:], y_val=y[12:])

    return SimpleNamespace(clf=clf, parts=parts, fit=fit, X=X[12:], y=y[12:], n=n_fits)


@pytest.mark.slow
def test_the_best_epoch_of_each_stage_is_restored(stages, tmp_path):
    from _stages import KeepBest, train_stages

    stages.clf.set_params(keras_callbacks=[KeepBest("val_precision")])
    trained = train_stages(stages.clf, stages.parts, stages.fit, stages.X, tmp_path)
    for n_epochs, stage in zip((6, 2), trained, strict=True):
        history = stage.classifier.history_["val_precision"][-n_epochs:]
        predicted = stage.probabilities.argmax(axis=1)
        precision = precision_score(stages.y, predicted, zero_division=0)
        assert precision == pytest.approx(max(history), abs=1e-6)
    assert not list(tmp_path.iterdir())


def test_a_stage_that_is_finished_is_read_when_the_run_continues(stages, tmp_path):
    from _stages import stop_as_the_study, train_stages

    stages.clf.set_params(keras_callbacks=stop_as_the_study(1, "val_accuracy"))
    arguments = stages.parts, stages.fit, stages.X, tmp_path
    first = next(train_stages(stages.clf, *arguments, keeps_state=True))
    again = list(train_stages(clone(stages.clf), *arguments, keeps_state=True))
    assert stages.n == ["head", "Conv_1"]
    assert_allclose(again[0].probabilities, first.probabilities)
    assert again[1].classifier.n_iter_ > first.classifier.n_iter_


def test_class_weights_go_from_none_to_balanced():
    from _task2 import weigh_classes

    y = np.array([0] * 6 + [1] * 2)
    assert weigh_classes(y, 1.0) == pytest.approx({0: 8 / 12, 1: 8 / 4})
    assert weigh_classes(y, 0.0) == {0: 1, 1: 1}
    assert weigh_classes(y, 0.5)[1] == pytest.approx(2**0.5)


def test_scores_are_written_as_json(tmp_path):
    from _script import write_scores

    file = tmp_path / "folder" / "scores.json"
    scores = {"a": [np.float64(1 / 3), np.nan], "b": np.arange(2), "c": {1: "text"}}
    write_scores(file, scores)
    found = json.loads(file.read_text())
    assert found == {"a": [0.33333, None], "b": [0, 1], "c": {"1": "text"}}
    write_scores(None, scores)
