"""Print versions, processor and threads, on which results depend."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import joblib
from threadpoolctl import threadpool_info

from .._compat import cpu_has_amx, cpu_has_avx512, cpu_has_bfloat16

_OPTIONAL = ("matplotlib", "openvino", "pandas", "scikeras")
_BACKENDS = {"jax": ("jax", "jaxlib"), "torch": ("torch",)}
_VARIABLES = (  # of the environment
    "CUDA_VISIBLE_DEVICES",
    "NPROC",
    "OMP_NUM_THREADS",
    "SKINEST_ENGINE",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


def show_versions() -> None:
    """Print versions, processor and threads, for bug reports.

    This does not import TensorFlow or other heavy libraries.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn.

    Examples
    --------
    >>> import skinest
    >>> skinest.show_versions()
    <BLANKLINE>
    System:
    ...
    Packages:
         skinest: ...
    """
    sections: dict[str, dict] = {
        "System": {
            "python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": platform.platform(),
        },
        "Packages": find_versions(),
        "Computation": {
            "Keras backend": find_backend(),
            "bfloat16": cpu_has_bfloat16(),
            "AMX": cpu_has_amx(),
            "AVX512": cpu_has_avx512(),
            "cores": joblib.cpu_count(),
            **{name: os.environ.get(name, "not set") for name in _VARIABLES},
        },
        "Threads of loaded libraries": {
            Path(library["filepath"]).name: library["num_threads"]
            for library in threadpool_info()
        },
    }
    for title, entries in sections.items():
        print(f"\n{title}:")
        width = max(map(len, entries), default=0)
        for name, value in entries.items():
            print(f"    {name:>{width}}: {value}")


def find_versions() -> dict[str, str | None]:
    """Return the version of skinest and of each package that it uses, or None."""
    required = [line for line in requires("skinest") or () if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line)[0] for line in required]
    optional = *_OPTIONAL, *_BACKENDS.get(find_backend(), ())
    versions: dict[str, str | None] = {}
    for name in ("skinest", *sorted({*names, *optional}), "pip"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def find_backend() -> str:
    """Return the backend of Keras, or the one it would have if it were loaded."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend()
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        return json.loads((home / "keras.json").read_text())["backend"]
    except (OSError, ValueError, KeyError):
        return "tensorflow"
