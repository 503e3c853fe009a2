"""The comparison of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT
from zoo.workflows.finding import described, find_run

if TYPE_CHECKING:
    from zoo.evaluation.compare import Comparison


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """What to compare.

    Args:
        models: Runs, by folder or name, or architectures, each of which stands for its newest finished run.
        runs: Folder of runs.
        html: Path of an HTML page to write.
    """

    models: tuple[str, ...]
    runs: Path = DEFAULT_ROOT
    html: Path | None = None


def compare(request: CompareRequest, reporter: Reporter) -> Comparison:
    """Compares runs, and tests which differences between them are significant.

    The test is paired: it counts the images that one run predicts correctly and the other does not.

    Raises:
        UsageError: A run does not exist, is given twice or is not finished, the runs have different class names, or
            they have no test image in common.
        TrainingError: A run folder is damaged, or the page cannot be written.
    """
    if request.html is not None and request.html.is_dir():
        raise UsageError(f"--html must be a file; {request.html} is a folder.")
    from zoo.evaluation import compare as side_by_side
    from zoo.evaluation.trained import of_run

    found = [find_run(text, request.runs) for text in request.models]
    for text, run in zip(request.models, found, strict=True):
        if text == run.architecture:
            reporter.note(f"{text}: {described(text, of_run(run))}")
    compared = side_by_side(found)
    if request.html is not None:
        from zoo.report.comparison import write_comparison_page

        write_comparison_page(compared, request.html)
    return compared
