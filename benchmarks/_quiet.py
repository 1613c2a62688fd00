"""Describe a machine, and measure what other processes did during a run."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = {
    "skinest": "skinest",
    "scikit-learn": "scikit-learn",
    "NumPy": "numpy",
    "OpenCV": "opencv-contrib-python-headless",
    "simplejpeg": "simplejpeg",
}
TENSORFLOW = {"TensorFlow": "tensorflow", "Keras": "keras"}
OPTIONAL = {"OpenVINO": "openvino"}
# Flags of /proc/cpuinfo, the best first.
INSTRUCTION_SETS = {
    "amx_bf16": "AMX-bf16",
    "avx512_bf16": "AVX512-bf16",
    "avx512f": "AVX512",
    "avx2": "AVX2",
}
# Environment variables that limit the threads or instructions of a library.
LIMITS = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
)
MAX_SHARE = 0.05  # of processor time that others may use on a quiet machine


# Processor time


@dataclass(frozen=True)
class Counters:
    """Seconds of processor time since some moment in the past.

    Parameters
    ----------
    total : float
        Time of all processors, used or idle.

    busy : float
        Time used by any process.

    own : float
        Time used by this process and its descendants.

    stolen : float
        Time that the host of a virtual machine gave to other machines.
    """

    total: float
    busy: float
    own: float
    stolen: float


def read_counters():
    """Read the counters of the system, on Linux those of /proc/stat."""
    times = psutil.cpu_times()._asdict()
    for name in ("guest", "guest_nice"):  # "user" and "nice" include them
        times.pop(name, None)
    total, stolen = sum(times.values()), times.get("steal", 0)
    unused = times["idle"] + times.get("iowait", 0) + stolen
    return Counters(total, total - unused, read_own_seconds(), stolen)


def read_own_seconds():
    """Return the seconds of this process and its descendants, also of ended ones."""
    own = os.times()
    seconds = own.user + own.system + own.children_user + own.children_system
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended
            times = child.cpu_times()
            seconds += times.user + times.system
            seconds += times.children_user + times.children_system
    return seconds


def compare_counters(before, after):
    """Return fractions of processor time: used by others, and stolen."""
    total = after.total - before.total
    if total <= 0:  # less than a tick of the clock
        return {"others": 0.0, "stolen": 0.0}
    others = (after.busy - before.busy) - (after.own - before.own)
    stolen = after.stolen - before.stolen
    return {
        "others": round(max(others, 0) / total, 4),
        "stolen": round(max(stolen, 0) / total, 4),
    }


def is_quiet(run):
    """Return whether other processes used little processor time during a run."""
    return run["others"] <= MAX_SHARE and run["stolen"] <= MAX_SHARE


# The machine


def describe_machine(with_tensorflow=False):
    """Return properties that speeds depend on, without names of places or people."""
    packages = PACKAGES | TENSORFLOW if with_tensorflow else PACKAGES
    versions = {"Python": platform.python_version()}
    versions |= {name: version(package) for name, package in packages.items()}
    if with_tensorflow:
        for name, package in OPTIONAL.items():
            with suppress(PackageNotFoundError):
                versions[name] = version(package)
    machine = {
        "processor": read_processor(),
        "instructions": read_instructions(),
        "cores": count_cores(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "limits": {name: os.environ[name] for name in LIMITS if name in os.environ},
        "versions": versions,
    }
    if with_tensorflow:
        from skinest._compat import uses_onednn

        machine["oneDNN"] = "on" if uses_onednn() else "off"
    return machine


def count_cores():
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def read_cpuinfo(key):
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(key):
                return line.partition(":")[2].strip()
    return ""


def read_processor():
    return read_cpuinfo("model name") or platform.processor() or platform.machine()


def read_instructions():
    """Return the best instruction set of the processor for matrix products."""
    flags = read_cpuinfo("flags").split()
    names = (name for flag, name in INSTRUCTION_SETS.items() if flag in flags)
    return next(names, "not known")


def say_machine(machine):
    """Print the machine and its current load average."""
    print(describe_briefly(machine))
    print(", ".join(f"{name} {value}" for name, value in machine["versions"].items()))
    print(f"load average {read_load():.2f}", flush=True)


def describe_briefly(machine):
    """Return one line with the properties that speeds depend on."""
    parts = [
        f"{machine['cores']} cores of {machine['processor']}",
        f"best instructions {machine['instructions']}",
        machine["memory"],
    ]
    if "oneDNN" in machine:
        parts.append(f"oneDNN {machine['oneDNN']}")
    limits = [f"{name}={value}" for name, value in machine["limits"].items()]
    parts.append(", ".join(limits) or "default threads")
    return ", ".join(parts)


def read_load():
    return round(psutil.getloadavg()[0], 2)


def read_peak_memory():
    """Return the peak memory of this process in GB.

    The peak from `getrusage` can also be that of the process that started this one.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
