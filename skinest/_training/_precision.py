"""What a network computes in."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import lru_cache
from pathlib import Path


def resolve_compute_dtype(compute_dtype, preferred):
    """What "auto" stands for: the preferred type where the processor has it."""
    if compute_dtype != "auto":
        return compute_dtype
    return preferred if cpu_has_bfloat16() else "float32"


@lru_cache
def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16; False where that is not known."""
    try:
        # NumPy's table knows x86 on every system, but is not public.
        from numpy._core._multiarray_umath import __cpu_features__ as features
    except ImportError:
        features = {}
    if features.get("AVX512BF16") or features.get("AMX_BF16"):
        return True
    try:
        listed = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(listed)
