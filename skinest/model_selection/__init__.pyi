from ._check_split import SplitCheck, check_split
from ._interval_result import IntervalResult
from ._intervals import bootstrap_interval
from ._near_duplicates import (
    NearDuplicates,
    duplicate_groups,
    find_near_duplicates,
)
from ._splits import StratifiedGroupShuffleSplit, train_test_split

__all__ = [
    "IntervalResult",
    "NearDuplicates",
    "SplitCheck",
    "StratifiedGroupShuffleSplit",
    "bootstrap_interval",
    "check_split",
    "duplicate_groups",
    "find_near_duplicates",
    "train_test_split",
]
