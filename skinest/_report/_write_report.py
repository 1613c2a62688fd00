"""A report of a fitted estimator on test images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._compat import Interval, validate_params
from ..utils._checks import check_installed, choose_seed
from ..utils._places import check_free, find_place, make_absolute
from ._authors_section import check_answers, list_author_items
from ._curves_section import plot_curves
from ._data_section import describe_data
from ._errors_section import show_errors
from ._model_section import describe_model
from ._operating_points_section import show_operating_points
from ._report_blocks import Text
from ._report_page import make_html, make_markdown
from ._scores_section import tabulate_scores
from ._study import BINARY, KINDS, MULTICLASS, ReportOptions, read_study
from ._subgroups_section import report_subgroups
from ._summary_section import summarize

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from .._typing import ImagesLike, PathLike, RandomStateLike, TargetLike


class ReportFiles(NamedTuple):
    """The files of a report."""

    html: Path
    markdown: Path


class _Section(NamedTuple):
    """A section: its name in addresses, its title, its function, and for whom it is."""

    name: str
    title: str
    write: Callable[..., Any]
    kinds: tuple[str, ...] = KINDS


_SECTIONS = (
    _Section("summary", "Summary", summarize),
    _Section("data", "Data and split", describe_data),
    _Section("scores", "Scores", tabulate_scores),
    _Section("curves", "Plots", plot_curves),
    _Section(
        "thresholds",
        "Confusion matrix and thresholds",
        show_operating_points,
        (BINARY, MULTICLASS),
    ),
    _Section("subgroups", "Subgroups", report_subgroups),
    _Section("errors", "Worst errors", show_errors),
    _Section("model", "Model", describe_model),
    _Section("authors", "For the authors", list_author_items),
)


@validate_params(
    {
        "groups": ["array-like", None],
        "target_names": ["array-like", None],
        "title": [str],
        "thresholds": ["array-like", None],
        "answers": [Mapping, None],
        "n_errors": [Interval(Integral, 0, None, closed="left")],
        "near_duplicates": ["boolean"],
        "show_names": ["boolean"],
        "overwrite": ["boolean"],
        "n_resamples": [Interval(Integral, 10, None, closed="left")],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def report(
    estimator: Any,
    X_test: ImagesLike,
    y_test: TargetLike,
    *,
    path: PathLike = "report.html",
    groups: ArrayLike | None = None,
    metadata: Mapping[str, ArrayLike] | pd.DataFrame | None = None,
    train: Sequence[Any] | None = None,
    pos_label: Any = None,
    target_names: ArrayLike | None = None,
    title: str = "Test of an estimator for images",
    thresholds: ArrayLike | None = None,
    answers: Mapping[str, str] | None = None,
    n_errors: int = 4,
    near_duplicates: bool = True,
    show_names: bool = False,
    overwrite: bool = False,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: RandomStateLike = None,
) -> ReportFiles:
    """Write a report of a fitted estimator on test images, for a paper or a colleague.

    It is one HTML file, which needs no internet access and no other file. A Markdown
    file beside it has the same texts and tables. They have:

    - the numbers of images, groups and classes, and leaks between training and test;
    - scores with confidence intervals;
    - ROC, precision-recall, calibration and decision curves;
    - the confusion matrix, with a slider for the threshold;
    - scores of subgroups;
    - the worst errors, with Grad-CAM for networks, visual words for pipelines that
      count them, occlusion for other classifiers, and outlines for masks;
    - the settings of the estimator, the SHA-256 of the weights of networks, versions;
    - the items of TRIPOD+AI [1]_ and CLEAR Derm [2]_, with blanks where only the
      authors know the answer.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier, such as :class:`~skinest.TransferClassifier` or a pipeline
        with :class:`~skinest.BoVWSIFTTransformer`, or a fitted segmenter, such as
        :class:`~skinest.UNetSegmenter`. Also a search over one of them. Its input is
        images alone, without columns such as age and sex.

    X_test : array, list of arrays or paths of length n_images
        Test images, see :mod:`skinest.images`.

    y_test : array-like of shape (n_images,), or masks
        Their true labels, or their true masks, see :mod:`skinest.masks`.

    path : str or path, default="report.html"
        The HTML file to write, which must end in ".html". The Markdown file has the
        same name and ends in ".md".

    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each test image. Intervals sample whole groups. None means
        that all images are independent.

    metadata : DataFrame or dict of str to array-like of shape (n_images,), default=None
        Attributes of the test images for the scores of subgroups, see
        :func:`skinest.model_selection.subgroup_report`.

    train : tuple of (X_train, y_train) or (X_train, y_train, groups), default=None
        Training images, their labels or masks, and their groups, to count them and to
        search for leaks. `y_train` may be None.

    pos_label : int, float, bool or str, default=None
        The positive class of two. None means ``classes_[1]``.

    target_names : array-like of str of length n_classes, default=None
        Names of the classes of a classifier, in the order of its `classes_`, such as
        `target_names` of the data set. None means the labels themselves.

    title : str, default="Test of an estimator for images"
        Title of the report.

    thresholds : array-like of shape (n_thresholds,), default=None
        Thresholds of the positive class of two, for a table of counts with intervals.
        Choose them on other images, as by :func:`skinest.metrics.find_threshold`. None
        means some probabilities, or some quantiles of the decision values.

    answers : dict of str to str, default=None
        Texts of the authors for items of the checklists. Keys are such as
        ``"TRIPOD+AI 17"`` and ``"CLEAR Derm 3"``.

    n_errors : int, default=4
        Maximum number of wrong images of each class to show, or half the number of
        masks. 0 shows none, for images that may not be published.

    near_duplicates : bool, default=True
        Whether to search for test images that look like training images. This reads
        all images of both sets.

    show_names : bool, default=False
        Whether to show the names of files and groups. They may be personal data.

    overwrite : bool, default=False
        Whether to replace files that exist.

    n_resamples : int, default=1000
        Number of bootstrap samples of each interval.

    confidence_level : float, default=0.95
        Confidence level of the intervals, in (0, 1).

    random_state : int, RandomState instance or None, default=None
        Seed of the bootstrap samples. The report names the seed that was used.

    Returns
    -------
    files : ReportFiles
        A tuple of the two paths, `html` and `markdown`.

    Raises
    ------
    FileExistsError
        If a file exists and `overwrite` is False, or if a folder has its name.
    FileNotFoundError
        If the folder of `path`, or an image, does not exist.
    ImportError
        If matplotlib is not installed, or pandas with `metadata`.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is neither a classifier nor a segmenter, or takes several
        columns of a table by a :class:`~sklearn.compose.ColumnTransformer`.
    ValueError
        If an argument is invalid, lengths differ, a label of `y_test` is not one of the
        classes of the estimator, a mask differs in size from its image, or all pixels
        of `y_test` have the `ignore_label` of the estimator.

    Warns
    -----
    UserWarning
        If a section could not be written. The report then has all others.

    See Also
    --------
    skinest.model_selection.bootstrap_interval : The intervals of the report.
    skinest.model_selection.check_split : The search for leaks.

    Notes
    -----
    The test images are predicted once, and all sections use these predictions. Labels
    are those of `predict`.

    Images in the report are made from pixels, so nothing that a file knows about its
    patient or camera comes along. Their pixels are shown as they are, including text
    that is written on them. Paths, names of files and groups are left out, except with
    `show_names`. Labels and attributes of `metadata` are shown as you pass them.

    References
    ----------
    .. [1] G. S. Collins et al., "TRIPOD+AI statement: updated guidance for reporting
       clinical prediction models that use regression or machine learning methods",
       BMJ 385, e078378, 2024.
    .. [2] R. Daneshjou et al., "Checklist for evaluation of image-based artificial
       intelligence reports in dermatology: CLEAR Derm consensus guidelines from the
       International Skin Imaging Collaboration Artificial Intelligence Working Group",
       JAMA Dermatology 158, 2022.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import skinest
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skinest.datasets import make_dermoscopy
    >>> data = make_dermoscopy(60, image_size=(48, 48), random_state=0)
    >>> X, y = data.images, data.target
    >>> grid = skinest.SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
    >>> words = skinest.BoVWSIFTTransformer(8, descriptor=grid, random_state=0)
    >>> pipeline = make_pipeline(words, LogisticRegression()).fit(X[:30], y[:30])
    >>> with TemporaryDirectory() as folder:
    ...     files = skinest.report(
    ...         pipeline, X[30:], y[30:], path=f"{folder}/words.html",
    ...         train=(X[:30], y[:30]), target_names=data.target_names,
    ...         n_resamples=20, random_state=0,
    ...     )
    ...     text = files.markdown.read_text()
    >>> files.html.name
    'words.html'
    >>> [line for line in text.splitlines() if line.startswith("## ")][:4]
    ['## Summary', '## Data and split', '## Scores', '## Plots']
    """
    check_installed("matplotlib", "report")
    if metadata is not None:
        check_installed("pandas", "report with metadata")
    files = _check_place(path, overwrite)
    answers = dict(answers or {})
    check_answers(answers)
    options = ReportOptions(
        title=title,
        thresholds=_read_thresholds(thresholds),
        answers=answers,
        n_errors=n_errors,
        show_names=show_names,
        near_duplicates=near_duplicates,
        n_resamples=n_resamples,
        confidence_level=confidence_level,
        seed=choose_seed(random_state),
    )
    study = read_study(
        estimator,
        X_test,
        y_test,
        groups=groups,
        metadata=metadata,
        train=train,
        pos_label=pos_label,
        target_names=target_names,
        options=options,
    )
    sections = [
        (section.name, section.title, _write(section, study))
        for section in _SECTIONS
        if study.kind in section.kinds
    ]
    texts = make_html(title, sections), make_markdown(title, sections)
    for file, text in zip(files, texts, strict=True):
        # Names of files that are not UTF-8 have characters that cannot be encoded.
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    return files


def _check_place(path, overwrite) -> ReportFiles:
    """Return the files to write, or raise an error if this is not possible."""
    if make_absolute(path).suffix != ".html":
        raise ValueError(f"path={str(path)!r} must end in '.html'.")
    html = find_place(path)
    files = ReportFiles(html, html.with_suffix(".md"))
    for file in files:
        check_free(file, overwrite)
    return files


def _read_thresholds(thresholds) -> tuple[float, ...]:
    if thresholds is None:
        return ()
    values = np.asarray(thresholds)
    if (
        values.ndim != 1
        or values.dtype.kind not in "iuf"
        or not np.all(values == values)
    ):
        raise ValueError(f"thresholds={thresholds!r} must be a list of numbers.")
    return tuple(map(float, values))


def _write(section, study):
    """Return the blocks of a section; an error in one does not lose all others."""
    # Without predictions there is no report.
    _ = study.outputs
    try:
        return list(section.write(study))
    except Exception as error:
        warnings.warn(
            f"The section {section.title!r} of the report could not be written: "
            f"{type(error).__name__}: {error}",
            UserWarning,
            stacklevel=3,
        )
        # Messages of errors can have paths.
        return [
            Text(
                f"This section could not be written ({type(error).__name__}).", "alert"
            )
        ]
