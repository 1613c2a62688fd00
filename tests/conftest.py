"""What all tests share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
from pathlib import Path

# Worker processes import the classes that tests define, as tests.test_...
sys.path.insert(0, str(Path(__file__).parents[1]))
