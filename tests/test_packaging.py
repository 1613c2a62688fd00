"""The wheel, the sdist and the README."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import skinest
import skinest.sampling

ROOT = Path(__file__).parents[1]


def build(kind, folder):
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build("wheel", folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as opened:
        yield opened


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "skinest").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == package
    assert {"skinest/py.typed", "skinest/__init__.pyi"} <= shipped


def test_the_sdist_has_the_folders_that_make_and_tests_read(tmp_path):
    build("sdist", tmp_path)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as opened:
        shipped = {Path(name).parts[1] for name in opened.getnames()}
    named = set(re.findall(r"(?<![\w./-])([\w.-]+)/", (ROOT / "Makefile").read_text()))
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text("utf-8")
        named |= set(re.findall(r'(?:ROOT|parents\[1\]) / "([^"]+)"', text))
    made = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    read = named & {path.name for path in ROOT.iterdir()} - made
    assert {".ci", ".github", "tools"} <= read <= shipped


@pytest.mark.slow  # `make lint` reads the same code, beside the package's source
def test_types_reach_the_code_of_a_user(wheel, tmp_path):
    wheel.extractall(tmp_path / "installed")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml"),
            *("--cache-dir", ROOT / ".mypy_cache", ROOT / "tests" / "typed_usage.py"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout


def test_the_wheel_says_its_licence_and_what_it_needs(wheel):
    name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = wheel.read(name).decode()
    assert "License-Expression: BSD-3-Clause" in metadata
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
    core = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert set(core) == {
        "filelock",
        "h5py",
        "imagecodecs",
        "imbalanced-learn",
        "joblib",
        "keras",
        "lazy-loader",
        "netpbmfile",
        "numpy",
        "opencv-contrib-python-headless",
        "pillow",
        "pooch",
        "scikit-learn",
        "scipy",
        "simplejpeg",
        "tensorflow",
        "threadpoolctl",
        "tifffile",
    }
    extras = re.findall(r"^Provides-Extra: (\w+)$", metadata, re.MULTILINE)
    libraries = {"onnx", "openvino", "scikeras"}
    assert set(extras) == {"docs", "examples", "plot", "test", *libraries}


def read_code_of_the_readme():
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert len(blocks) == 3
    for block in blocks:
        assert len([line for line in block.splitlines() if line]) <= 15
    return "".join(blocks)


def read_scores(printed):
    """Return the AUC and the Dice score that the code of the README prints."""
    return [
        float(re.search(rf"^{name} (.+)$", printed, re.MULTILINE)[1])
        for name in ("AUC", "Dice")
    ]


def test_the_readme_examples_run(tmp_path, monkeypatch, capsys):
    """With a smaller network, and a shorter training, which the next test has."""
    code = read_code_of_the_readme()
    for shown, smaller in {'"mobilenetv2"': '"tiny"', "epochs=10": "epochs=1"}.items():
        assert code.count(shown) == 1
        code = code.replace(shown, smaller)
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "__main__"})
    auc, dice = read_scores(capsys.readouterr().out)
    assert 0.6 < auc <= 1
    assert 0 <= dice <= 1


@pytest.mark.slow
def test_the_readme_examples_learn(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", read_code_of_the_readme()],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    auc, dice = read_scores(run.stdout)
    assert 0.6 < auc <= 1
    assert 0.6 < dice <= 1


def test_the_picture_of_the_readme_is_small_and_names_its_script():
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert shown == ["docs/_static/readme.png"]
    picture = ROOT / shown[0]
    assert 10_000 < picture.stat().st_size < 150_000
    assert picture.name in (ROOT / "docs" / "readme_picture.py").read_text()


def test_the_readme_names_every_make_target_it_shows():
    targets = re.findall(
        r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    shown = re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text())
    assert {"demo", "test"} <= set(shown) <= set(targets)


def test_continuous_integration_runs_the_readme_test_command():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_the_citation_has_the_version_of_the_package():
    stated = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert stated[1] == skinest.__version__


def test_workflows_call_targets_of_the_makefile():
    defined = re.findall(
        r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    called = set()
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = workflow.read_text()
        called |= set(re.findall(r"target: \[?([\w-]+)", text))
        for line in re.findall(r"\brun: make (.+)", text):
            called |= {word for word in line.split() if re.fullmatch(r"[\w-]+", word)}
    assert {"test", "test-min", "docs", "coverage", "dist"} <= called
    assert called <= set(defined)
