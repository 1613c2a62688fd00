"""The same bits on an x86-64 processor without AVX512.

TensorFlow uses operations of its own there, which round in another way. The libraries
read these settings when they are loaded, so the tests run in another process. A
processor without AVX512 runs the same tests itself.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from skinest._compat import cpu_has_avx512

TESTS = Path(__file__).parent
SAME_BITS = str(TESTS / "test_same_bits.py")
FEATURES = str(TESTS / "feature_extraction" / "test_features.py")
CHOSEN = {
    "bits": [
        f"{SAME_BITS}::test_features_are_the_same_in_any_company[mobilenetv2-float32]",
        f"{SAME_BITS}::test_probabilities_are_nearly_the_same_in_any_company[2]",
        f"{SAME_BITS}::test_masks_are_the_same_in_any_company[float32]",
        f"{SAME_BITS}::test_a_fit_that_goes_on_from_kept_features_gives_the_same_bits",
        f"{FEATURES}::test_kept_features_predict_the_same",
        f"{FEATURES}::test_augmentations_that_look_alike_never_mix[code of layers]",
        f"{FEATURES}::test_no_space_is_one_warning_in_a_fit",
        f"{FEATURES}::test_networks_see_batches_of_few_sizes",
    ],
    "all of both files": [SAME_BITS, FEATURES],
}
SETTINGS = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not cpu_has_avx512(),
    reason="needs an x86-64 processor with AVX512",
)
@pytest.mark.parametrize(
    "name", ["bits", pytest.param("all of both files", marks=pytest.mark.slow)]
)
def test_results_have_the_same_bits_without_avx512(name):
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHOSEN[name]],
        cwd=TESTS.parent,
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout
