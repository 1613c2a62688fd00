"""What is printed for reports of bugs."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

import skinest


def print_in_new_process(**environment):
    code = (
        "import skinest, sys; skinest.show_versions(); "
        "heavy = {'tensorflow', 'keras', 'cv2', 'matplotlib'}; "
        "print('loaded', *heavy.intersection(sys.modules))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_versions_processor_and_threads_without_heavy_libraries(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    shown = print_in_new_process(
        KERAS_HOME=str(tmp_path), KERAS_BACKEND="", OMP_NUM_THREADS="3"
    )
    for name in ("skinest", "numpy", "scikit-learn", "tensorflow", "keras"):
        assert re.search(rf"^ *{name}: {re.escape(version(name))}$", shown, re.M)
    assert re.search(r"^ *Keras backend: jax$", shown, re.M)
    assert re.search(r"^ *OMP_NUM_THREADS: 3$", shown, re.M)
    for name in ("bfloat16", "AMX", "AVX512"):
        assert re.search(rf"^ *{name}: (True|False)$", shown, re.M)
    assert re.search(r"^ *cores: \d+$", shown, re.M)
    assert shown.splitlines()[-1] == "loaded"


def test_the_environment_names_the_backend(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    skinest.show_versions()
    shown = capsys.readouterr().out
    assert "Keras backend: torch\n" in shown
    assert re.search(r"^ *torch: ", shown, re.M)  # results depend on its version
    assert not re.search(r"^ *jaxlib: ", shown, re.M)


def test_the_backend_that_is_loaded(capsys):
    keras = pytest.importorskip("keras")
    skinest.show_versions()
    shown = capsys.readouterr().out
    assert f"Keras backend: {keras.backend.backend()}\n" in shown
