"""Examples of composing run alone, and show what their texts say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from skinest.datasets import make_dermoscopy

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.slow


def run(name, folder, *arguments):
    """What an example prints on synthetic images, once its figures are there."""
    kept = {key: value for key, value in os.environ.items() if key != "SKINEST_DATA"}
    alone = shutil.copy(EXAMPLES / f"plot_{name}.py", folder)
    done = subprocess.run(
        [sys.executable, alone, "--figures", folder, *arguments],
        cwd=folder,
        env=kept | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


def rows_of(printed):
    """Cells of all tables, row by row."""
    lines = (line for line in printed.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def number(cell):
    """The first number of a cell such as "0.750 [0.60, 0.86]"."""
    return float(re.match(r"[+-]?[\d.]+", cell)[0])


def numbers_by_name(printed, n_names=1):
    """{name: numbers} of the rows; later rows of a name count."""
    return {
        row[0] if n_names == 1 else tuple(row[:n_names]): [
            number(cell) for cell in row[n_names:] if cell
        ]
        for row in rows_of(printed)
    }


def assert_drawn(folder, *names):
    for name in names:
        assert (folder / f"{name}.png").stat().st_size > 10_000


def test_threshold(tmp_path):
    rows = numbers_by_name(run("threshold", tmp_path))
    half, seen, pooled, averaged, cautious = (
        rows[name]
        for name in (
            "one half",
            "training images",
            "folds, pooled",
            "folds, averaged",
            "cautious",
        )
    )
    threshold, sensitivity, specificity = range(3)
    assert half[sensitivity] < 0.5 < averaged[sensitivity]
    assert averaged[specificity] < half[specificity]
    assert seen[threshold] > pooled[threshold] > cautious[threshold]
    assert seen[sensitivity] < pooled[sensitivity] <= cautious[sensitivity]
    assert cautious[specificity] < pooled[specificity]
    assert_drawn(
        tmp_path, "threshold_roc", "threshold_matrices", "threshold_uncertainty"
    )


def test_calibration(tmp_path):
    rows = numbers_by_name(run("calibration", tmp_path), n_names=2)
    mean, brier, loss, auc = range(4)
    share = rows["none", "training prevalence"][mean]
    for classifier, raw in (
        ("visual words, SVC", "logistic of decision"),
        ("network, balanced", "uncalibrated"),
    ):
        before, after = rows[classifier, raw], rows[classifier, "sigmoid"]
        assert after[brier] < before[brier]
        assert after[loss] < before[loss]
        assert after[auc] == before[auc]
    network = "network, balanced"
    assert rows[network, "uncalibrated"][mean] > 1.5 * share
    assert abs(rows[network, "odds / weights"][mean] - share) < 0.1
    assert_drawn(tmp_path, "calibration_reliability")


def test_vote_and_stack(tmp_path):
    rows = numbers_by_name(run("vote_and_stack", tmp_path))
    assert list(rows) == ["visual words", "network", "soft vote", "stack"]
    assert all(values[0] > 0.6 for values in rows.values())
    assert len(rows["stack"]) == 2  # score and difference
    assert_drawn(tmp_path, "vote_and_stack_scores", "vote_and_stack_ranks")


def test_search_with_cached_features(tmp_path):
    printed = run("search_with_cached_features", tmp_path)
    n_images = int(re.search(r"(\d+) images, \d+ of them", printed)[1])
    words, network = printed.split("Network,")
    (first, kernel, size), (head, other) = (
        [[number(cell) for cell in row[1:-1]] for row in rows_of(part)]
        for part in (words, network)
    )
    assert first == [28, n_images, 10]  # 3 sizes in 3 folds, and the best for all
    assert kernel[:2] == [28, 0]
    assert kernel[2] <= 1
    assert size == [10, 0, 4]
    assert head == [10, n_images]
    assert other == [19, 0]
    assert_drawn(tmp_path, "search_words", "search_heads")


def test_grouped_cross_validation(tmp_path):
    printed = run("grouped_cross_validation", tmp_path)
    rows = numbers_by_name(printed)
    gaps = [rows[c][2] for c in ("0.001", "0.01", "0.1", "1")]
    assert min(gaps) == gaps[0]
    assert gaps[2] > 0.03
    leaked, honest = rows["lesion also in the training set"]
    by_images, by_lesions = rows["lesion not in the training set"]
    assert leaked - honest > 0.05
    assert abs(by_images - by_lesions) < 0.05
    by_name, routed = (
        re.search(rf"{way}: (.*)", printed)[1] for way in ("by name", "routed")
    )
    assert by_name == routed
    assert_drawn(tmp_path, "grouped_lesions", "grouped_scores")


def test_images_beside_metadata(tmp_path):
    printed = run("images_beside_metadata", tmp_path)
    rows = numbers_by_name(printed)
    assert rows["metadata"][0] > 0.6
    assert rows["both"][0] > rows["images"][0] > rows["metadata"][0]
    for name in ("both, weighted", "both, 20 components"):
        assert rows[name][0] > rows["both"][0] - 0.01
    assert re.search(r"weight of metadata: (1|3|10)\n", printed)
    losses = {
        name: float(re.search(rf"^{name} +(\S+) \(sd", printed, re.MULTILINE)[1])
        for name in ("image", "age", "sex", "site")
    }
    assert sorted(losses, key=losses.get)[-2:] == ["age", "image"]
    assert_drawn(tmp_path, "metadata_scores", "metadata_coefficients")


def test_other_cameras(tmp_path):
    rows = numbers_by_name(run("other_cameras", tmp_path))
    home, elsewhere = range(2)
    network, vote, recipe = (
        rows[name] for name in ("network", "vote", "colour constancy, vote")
    )
    assert network[elsewhere] < vote[elsewhere] < recipe[elsewhere]
    assert recipe[home] > 0.7
    assert_drawn(tmp_path, "other_cameras")


def test_third_clinic(tmp_path):
    saved = tmp_path / "models.joblib"
    rows = numbers_by_name(run("third_clinic", tmp_path, "--save", saved))
    sources = {"first source", "second source"}
    assert sources | {f"{name}, cropped" for name in sources} <= set(rows)
    assert {"fine-tuned", "second source: mean"} <= set(rows)
    assert_drawn(tmp_path, "third_clinic")
    # Loaded classifiers score the images that they are given, and no others.
    paths = [tmp_path / f"{name}.png" for name in ("a", "b")]
    for path, image in zip(
        paths, make_dermoscopy(2, random_state=0).images, strict=True
    ):
        assert cv2.imwrite(str(path), image)
    printed = run("third_clinic", tmp_path, "--load", saved, "--predict", "[ab].png")
    assert re.fullmatch(r"a\.png\t0\.\d{4}\nb\.png\t0\.\d{4}\n", printed)


def test_masks_in_folders(tmp_path):
    printed = run("masks_in_folders", tmp_path)
    assert "160 images with a mask, 0 without one" in printed
    scores = dict(re.findall(r"^ *(\S.*) (\d+\.\d{3})$", printed, re.MULTILINE))
    scores = {name: float(score) for name, score in scores.items()}
    assert scores["Dice"] > 0.85
    assert scores["threshold Jaccard"] <= scores["IoU"]
    assert scores["surface distance"] < scores["Hausdorff 95 %"]
    assert re.search(r"segmenter.joblib: \d", printed)
    assert_drawn(tmp_path, "folders_history", "folders_worst", "folders_reliability")
