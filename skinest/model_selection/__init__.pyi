from ._interval_result import IntervalResult
from ._intervals import bootstrap_interval
from ._mask_thresholds import tune_mask_threshold

__all__ = [
    "IntervalResult",
    "bootstrap_interval",
    "tune_mask_threshold",
]
