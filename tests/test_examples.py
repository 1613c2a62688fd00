"""Examples run alone, and print and draw what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    for part in ("synthetic images", "All benign", "Chosen by", "macro avg", "study"):
        assert part in printed
    for name in FIGURES:
        assert f"task1_bovw_{name}.png" in printed
        assert (tmp_path / "figures" / f"task1_bovw_{name}.png").stat().st_size > 10_000
    again = run(script, "--load", "fitted.joblib", cwd=tmp_path)
    assert "Loaded fitted.joblib" in again
    assert tables(again) == tables(printed)


def tables(printed):
    """What is printed about the test images."""
    return printed[printed.index("test images, ") :].split("Figure:")[0]


@pytest.mark.slow
def test_segment_crop_classify_on_synthetic_images(tmp_path):
    printed = run("examples/plot_segment_crop_classify.py", cwd=tmp_path)
    for part in ("synthetic images", "whole image", "cropped", "folds won", "word0"):
        assert part in printed
    (row,) = (line.split() for line in printed.splitlines() if "  lesion " in line)
    accuracy, dice = float(row[1]), float(row[5])
    assert accuracy > 0.9
    assert dice > 0.85
    for name in ("masks", "crops"):
        assert f"segment_crop_{name}.png" in printed
        path = tmp_path / "figures" / f"segment_crop_{name}.png"
        assert path.stat().st_size > 10_000


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
