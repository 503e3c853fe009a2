"""What RUN names on the command line."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import UsageError
from zoo.registry import architectures
from zoo.runs import Run, find_runs, open_run


def find_run(text: str, root: Path) -> Run:
    """A finished run: by its folder, by its name below ``root``, or the newest of an architecture.

    Raises:
        UsageError: There is none, or it is not finished.
    """
    for path in (Path(text), root / text):
        if (path / "run.json").is_file() or path.name == "run.json":
            run = open_run(path.parent if path.name == "run.json" else path)
            if not run.finished:
                raise UsageError(f"The run {run.path} is not finished.", f"zoo train --resume {run.path}")
            return run
    if text in architectures():
        newest = next(find_runs(root, text), None)
        if newest is None:
            raise UsageError(f"There is no finished run of {text} in {root}.", f"zoo train {text} makes one.")
        return newest
    raise UsageError(
        f"No run at '{text}'.", f"Give a run folder such as {root / 'simple_cnn-20260131-120000'}, or an architecture."
    )
