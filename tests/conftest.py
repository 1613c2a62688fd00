"""What all tests share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import sys
from pathlib import Path

# Worker processes import the classes that tests define, as tests.test_...
sys.path.insert(0, str(Path(__file__).parents[1]))

# As many workers as processors, each with as many threads, would get in each
# other's way. The libraries read this when they are first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in (
        "OMP_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):
        os.environ.setdefault(name, "1")
