"""Examples run alone, and print and draw what they say."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import pytest

from skinest.datasets import make_dermoscopy

ROOT = Path(__file__).parents[1]
FIGURES = ("words", "kernels", "confusion", "curves")


def run(script, *arguments, cwd, **environment):
    kept = {key: value for key, value in os.environ.items() if key != "SKINEST_DATA"}
    return subprocess.run(
        [sys.executable, ROOT / script, *map(str, arguments)],
        cwd=cwd,
        env=kept | environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.slow
def test_task1_bovw_on_synthetic_images_then_from_the_kept_pipeline(tmp_path):
    script = "examples/plot_task1_bovw.py"
    printed = run(script, "--save", "fitted.joblib", cwd=tmp_path)
    for part in ("synthetic images", "All benign", "Chosen by", "By kernel", "study"):
        assert part in printed
    for n_words in ("30", "100", "200", "300", "400", "500"):
        by_kernel, by_metric = rows(printed, n_words)
        assert (len(by_kernel), len(by_metric)) == (1 + 4, 1 + 6)
    for kernel in ("linear", "rbf", "intersection", "chi2"):
        assert len(rows(printed, kernel)[0]) == 1 + 6
    assert rows(printed, "accuracy")[0][3:] == ["0.802", "0.776"]
    report, ours, study = rows(printed, "malignant")
    assert report[5:] == ["0.42", "0.33", "0.37", "75"]
    assert sum(map(int, ours[1:])) == 36
    assert study[1:] == ["50", "25"]
    check_figures(printed, tmp_path, "task1_bovw", FIGURES)
    again = run(script, "--load", "fitted.joblib", cwd=tmp_path)
    assert "Loaded fitted.joblib" in again
    assert tables(again) == tables(printed)


def tables(printed):
    """What is printed about the test images."""
    return printed[printed.index("test images, ") :].split("Saved ")[0]


def check_figures(printed, folder, prefix, names):
    for name in names:
        assert f"{prefix}_{name}.png" in printed
        assert (folder / "figures" / f"{prefix}_{name}.png").stat().st_size > 10_000


def rows(printed, name):
    """The cells of the rows that begin so, of all tables."""
    lines = (line.strip("│ ").split("│") for line in printed.splitlines())
    return [[cell.strip() for cell in row] for row in lines if row[0].strip() == name]


@pytest.mark.slow
def test_task1_vgg_on_synthetic_images(tmp_path):
    printed = run("examples/plot_task1_vgg.py", cwd=tmp_path)
    for part in (
        "synthetic images: 350 training and 150 test images",
        "random, not pretrained",
        "48 x 48 pixels; 224 x 224 in the study",
        "learning rates: 10 times the study's",
    ):
        assert part in printed
    (accuracy,) = rows(printed, "accuracy")
    assert accuracy[1] == "0.800"  # all benign
    assert accuracy[-1] == "0.823"  # the study
    # Precision, recall, F1 and images of the study's own report.
    assert rows(printed, "malignant")[0][5:] == ["0.56", "0.52", "0.54", "75"]
    check_figures(printed, tmp_path, "task1_vgg", ("history", "confusion", "curves"))


@pytest.mark.slow
def test_task2_vgg_on_synthetic_images(tmp_path):
    printed = run("examples/plot_task2_vgg.py", cwd=tmp_path)
    assert "Split by lesion: 0.0% of the test images" in printed
    shown = float(printed.split("Split by image: ")[1].split("%")[0])
    assert shown > 20
    schedules = [row[1:] for row in rows(printed, "block5, then all")]
    assert [row[0] for row in schedules] == [
        "by image",
        "by lesion",
        "study, by image",
    ]
    assert schedules[-1][1:] == ["0.78", "0.81"]
    assert rows(printed, "head, then all")[-1][2:] == ["0.71", "0.75"]
    assert "Always NV: accuracy 0.670; study 0.669" in printed
    # Counts, the reports of both splits, and three matrices.
    counts, by_image, ours, by_lesion, ours_by_lesion, study = rows(printed, "MEL")
    assert counts[1:3] == ["55", "40"]
    for report, matrix in ((by_image, ours), (by_lesion, ours_by_lesion)):
        assert report[5:] == ["0.48", "0.71", "0.57", "223"]
        assert sum(map(int, matrix[1:])) == int(report[4])
    assert study[1:] == ["2", "2", "20", "0", "159", "38", "2"]
    gains = [float(row[-1].split()[0]) for row in rows(printed, "accuracy")]
    assert len(gains) == 3
    assert gains[-1] > 0  # where there are other pictures of the lesion, they flatter
    check_figures(printed, tmp_path, "task2_vgg", ("history", "confusion", "leak"))


@pytest.mark.slow
def test_task3_unet_on_synthetic_images(tmp_path):
    printed = run("examples/plot_task3_unet.py", cwd=tmp_path)
    for part in ("8 filters at the first level; 64 in the study", "one output channel"):
        assert part in printed
    dice = {}
    for loss in ("empty prediction", "dice", "jaccard", "binary_crossentropy", "ours"):
        both = rows(printed, loss)
        assert len(both) == 2  # globules, streaks
        dice[loss] = [float(row[5]) for row in both]
    assert dice["empty prediction"] == [0, 0]
    # By the study's own "Dice", an empty prediction is best.
    for column, feature in enumerate(("globules", "streaks")):
        own = {loss: float(rows(printed, loss)[column][-1]) for loss in dice}
        assert max(own, key=own.get) == "empty prediction"
        assert max(dice[loss][column] for loss in dice) > 0.1
        names = ("losses", "history_dice", "history_ours", "masks")
        check_figures(printed, tmp_path, f"task3_unet_{feature}", names)
    assert rows(printed, "study: jaccard")[0][1:4] == ["0.881", "0.016", "0.101"]
    assert [row[1] for row in rows(printed, "study: empty prediction")] == ["0.980"] * 2


@pytest.mark.slow
def test_task3_unet_on_archives_of_isic_2016(tmp_path):
    """Images of other sizes than the network's, as the challenge gives them out."""
    X, y = make_dermoscopy(
        30, task="streaks", image_size=(60, 80), random_state=0, return_X_y=True
    )
    for subset, numbers in {"Training": range(20), "Test": range(20, 30)}.items():
        stem = tmp_path / f"ISBI2016_ISIC_Part2B_{subset}"
        names = [f"ISIC_{i:07d}" for i in numbers]
        write_archive(f"{stem}_Data", [f"{name}.jpg" for name in names], X[numbers])
        masks = [f"{name}_streaks.png" for name in names]
        write_archive(f"{stem}_GroundTruth", masks, y[numbers])
    printed = run(
        "examples/plot_task3_unet.py",
        *("--data-home", tmp_path, "--features", "streaks", "--losses", "dice"),
        *("--side", 32, "--filters", 2, "--epochs", 0.1),
        cwd=tmp_path,
    )
    assert "ISIC 2016 part 2B: 20 training images" in printed
    assert "and 10 test images" in printed
    check_figures(printed, tmp_path, "task3_unet_streaks", ("losses", "masks"))


def write_archive(folder, names, images):
    """A zip of a folder of images, beside where the folder would be."""
    with zipfile.ZipFile(f"{folder}.zip", "w") as archive:
        for name, image in zip(names, images, strict=True):
            _, encoded = cv2.imencode(Path(name).suffix, image)
            archive.writestr(f"{Path(folder).name}/{name}", encoded.tobytes())


@pytest.mark.slow
def test_segment_crop_classify_on_synthetic_images(tmp_path):
    printed = run("examples/plot_segment_crop_classify.py", cwd=tmp_path)
    for part in ("synthetic images", "whole image", "cropped", "folds won", "word0"):
        assert part in printed
    (row,) = (line.split() for line in printed.splitlines() if "  lesion " in line)
    accuracy, dice = float(row[1]), float(row[5])
    assert accuracy > 0.9
    assert dice > 0.85
    check_figures(printed, tmp_path, "segment_crop", ("masks", "crops"))


@pytest.mark.slow
def test_skewed_classes_on_synthetic_images(tmp_path):
    printed = run("examples/plot_skewed_classes.py", cwd=tmp_path)
    for part in ("synthetic images", "visual words", "MobileNetV2", "SMOTE", "Best"):
        assert part in printed
    changes = [line for line in printed.splitlines() if "  threshold: " in line]
    assert len(changes) == 2
    assert float(changes[0].split("geometric mean ")[1].split()[0]) > 0.3
    assert all("average precision +0.000 [+0.000, +0.000]" in line for line in changes)
    path = tmp_path / "figures" / "skewed_classes.png"
    assert path.stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.skipif("SKINEST_DATA" not in os.environ, reason="needs the real images")
def test_the_best_recipe_beats_a_hand_made_fisher_vector(tmp_path):
    """AUC .779 and average precision .475 are what others got by cross-validation."""
    printed = run(
        "benchmarks/accuracy_bovw.py",
        *("cv", "--recipes", "best", "--repeats", 1),
        cwd=tmp_path,
        SKINEST_DATA=os.environ["SKINEST_DATA"],
    )
    lines = (line.rsplit(maxsplit=2) for line in printed.splitlines())
    figures = {line[0].strip(): line[1] for line in lines if len(line) == 3}
    assert float(figures["AUC"]) > 0.779
    assert float(figures["average precision"]) > 0.475


@pytest.mark.slow
def test_other_clinics(tmp_path):
    printed = run("examples/plot_other_clinics.py", cwd=tmp_path)
    assert "south: 200 images, 100 other and 100 melanoma" in printed
    for words in ("colours", "texture"):
        assert sum(f"│ {words}" in line for line in printed.splitlines()) == 3
    (plain,), (weighed,) = rows(printed, "no weights"), rows(printed, "weighed sources")
    assert float(plain[3]) > 0.15 > 0.1 > abs(float(weighed[3]))
    before, after = (
        float(re.search(rf"{name}: .*log loss ([.\d]+)", printed)[1])
        for name in ("weighed", "corrected")
    )
    assert after < before
    for name in ("images", "table"):
        picture = tmp_path / "figures" / f"other_clinics_{name}.png"
        assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_publish_finds_the_planted_leak_and_shows_what_it_does(tmp_path):
    printed = run("examples/plot_publish.py", cwd=tmp_path)
    assert "100 pairs found; 100 of 100 copies are among them" in printed
    before, after = re.findall(r"near-duplicates \(training, test\): (\w+)", printed)
    assert int(before) > 20
    assert after == "none"
    chosen = re.search(r"Chosen: (.+)", printed)[1]
    ((_, *cells),) = rows(printed, chosen)
    leaky, honest, leak = ([float(x) for x in re.findall(r"[-.\d]+", c)] for c in cells)
    assert leak[0] == pytest.approx(leaky[0] - honest[0], abs=0.011)
    assert leak[1] > 0, "the interval of the leak"
    leaks = {
        name: float(rows(printed, f"colour, {name}")[0][3].split()[0])
        for name in ("regression", "forest")
    }
    assert leaks["forest"] > leaks["regression"] > 0
    tested = float(re.match(r"[.\d]+", rows(printed, "AUC")[0][1])[0])
    assert abs(tested - honest[0]) < abs(tested - leaky[0])
    for name in ("pairs", "calibration", "occlusion"):
        picture = tmp_path / "figures" / f"publish_{name}.png"
        assert picture.stat().st_size > 10_000
    page = (tmp_path / "figures" / "publish_report.html").read_text(encoding="utf-8")
    assert f"Malignant or not: {chosen}" in page
    assert "Look-alikes in training and test" in printed
