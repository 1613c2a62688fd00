"""The engine that computes a frozen network: Keras, or OpenVINO where it is faster."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import platform
import warnings
from dataclasses import dataclass
from functools import partial

from .._compat import cpu_has_amx, cpu_has_bfloat16
from .._identity import find_version
from ..networks._backbones import get_backbone
from ..utils._threads import check_not_forked, count_threads
from ._models import share_model
from ._openvino_model import OpenVINOModel

ENGINE_VARIABLE = "SKINEST_ENGINE"
_ENGINES = "auto", "keras"  # its values
_rejected: set = set()  # networks that OpenVINO could not compile in this process


@dataclass(frozen=True)
class Engine:
    """Engine that computes a frozen network.

    Parameters
    ----------
    name : {"keras", "openvino"}
        The library.

    compute_dtype : {"float32", "bfloat16"}
        Floating-point precision.

    n_threads : int, default=0
        Number of threads of OpenVINO.
    """

    name: str
    compute_dtype: str
    n_threads: int = 0

    def identify(self) -> tuple[str, ...]:
        """Return what results depend on, for the keys of caches."""
        version = find_version("openvino") if self.name == "openvino" else ""
        return self.name, version, self.compute_dtype

    def share(self, key, build, arrays):
        """Use a model for predictions, as :func:`share_model` does.

        Parameters
        ----------
        key : hashable
            Key of the architecture, without its precision.

        build : callable
            Function from a precision to the Keras model.

        arrays : sequence of ndarray
            Its weights.

        Returns
        -------
        context : context manager
            Its value has a method `predict`.

        Raises
        ------
        EngineError
            If OpenVINO cannot compile the model. It is raised in `__enter__`.
        """
        if self.name == "keras":
            key = key, self.compute_dtype
            return share_model(key, partial(build, self.compute_dtype), arrays)
        check_not_forked("OpenVINO")
        make = partial(
            OpenVINOModel, compute_dtype=self.compute_dtype, n_threads=self.n_threads
        )
        return share_model((key, self), partial(build, "float32"), arrays, make)


def resolve_compute_dtype(compute_dtype, preferred):
    """Replace "auto" by `preferred` if the processor has AMX, or by float32.

    With AVX512's instructions for bfloat16 alone, VGG16 and the U-Net took longer than
    in float32 (see benchmarks/README.md).
    """
    if compute_dtype != "auto":
        return compute_dtype
    return preferred if cpu_has_amx() else "float32"


def choose_engine(spec) -> Engine:
    """Choose the engine of a frozen backbone.

    OpenVINO is chosen if it is installed, and if the backbone's row in the table says
    that it is faster than Keras in a precision that the user has allowed.

    Parameters
    ----------
    spec : BackboneSpec
        The backbone.

    Returns
    -------
    engine : Engine

    Raises
    ------
    ValueError
        If the environment variable SKINEST_ENGINE has an unknown value.
    """
    by_keras = Engine("keras", spec.compute_dtype)
    row = get_backbone(spec.backbone)
    if not row.openvino or not _may_use_openvino() or spec in _rejected:
        return by_keras
    dtype = spec.compute_dtype
    if dtype not in row.openvino or (dtype == "bfloat16" and not cpu_has_bfloat16()):
        return by_keras
    return Engine("openvino", dtype, count_threads())


def reject_openvino(spec, error) -> None:
    """Let Keras compute a backbone that OpenVINO cannot compile.

    Warns
    -----
    UserWarning
        Once for each backbone.
    """
    if spec not in _rejected:
        _rejected.add(spec)
        warnings.warn(
            f"OpenVINO {find_version('openvino')} cannot compile {spec.backbone}, "
            f"so Keras computes it, which is slower: {error}. Update openvino, or set "
            f"the environment variable {ENGINE_VARIABLE}=keras.",
            stacklevel=2,
        )


def _may_use_openvino() -> bool:
    """Return whether OpenVINO is installed and can be faster than Keras."""
    chosen = os.environ.get(ENGINE_VARIABLE) or "auto"
    if chosen not in _ENGINES:
        raise ValueError(
            f"The environment variable {ENGINE_VARIABLE} is {chosen!r}. Set it to "
            f"{' or '.join(map(repr, _ENGINES))}."
        )
    # The table was measured on x86-64. The ARM version computes in float16.
    if chosen == "keras" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if not find_version("openvino"):
        return False
    import keras

    if keras.backend.backend() != "tensorflow":  # which the conversion needs
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
