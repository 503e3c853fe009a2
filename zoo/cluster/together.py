"""Runs one process on each machine of a cluster. The processes work together, and end together."""

from __future__ import annotations

import pickle
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import zoo
from zoo.atomic import unwritable
from zoo.cluster.connection import connected
from zoo.cluster.host import Work
from zoo.cluster.reports import Shown
from zoo.reporter import Reporter


def together(work: Work, shared: Path, on: str, reporter: Reporter) -> Any:
    """Calls a function in one process on each machine, and returns the result of the first one.

    The first machine is that of the command, if it belongs to the cluster and has cores. If a process fails or is lost,
    all are ended.

    Args:
        work: The function. It is pickled, so it must be a function of a module, or a ``functools.partial`` of one.
        shared: A folder that the first machine must have in common with this machine.
        on: ``ray``, or ``ray://HOST:PORT``.
        reporter: Receives the progress of the first process.

    Raises:
        UsageError: ``on`` is invalid, or Ray is not installed.
        TrainingError: ``shared`` cannot be written.
        ClusterError: There is no cluster, or a machine is lost, is busy, or has another version of zoo or no such
            folder.
        ZooError: The error of the first process, or of another one if the first did not end in time.
    """
    shown = Shown(reporter)
    result = None
    try:
        made = tempfile.NamedTemporaryFile(dir=shared, prefix=".zoo-")  # noqa: SIM115 - closed below
    except OSError as error:
        raise unwritable(shared, error) from error
    with made as marker:
        job = {"work": pickle.dumps(work), "version": zoo.__version__}
        job |= {"folder": str(Path.cwd()), "marker": str(Path(marker.name).absolute())}
        with connected(on, job, (), reporter) as connection:
            try:
                for name, value in connection.frames("To continue, give --resume RUN."):
                    if name == "hosts":
                        marker.close()
                        reporter.stage(f"One process on each of {len(value)} machine(s): {', '.join(value)}")
                    elif name == "report":
                        shown(value)
                    elif name == "result":
                        result = value
            except (KeyboardInterrupt, SystemExit):
                connection.stop()
                with suppress(Exception):
                    for name, value in connection.frames():
                        if name == "report" and value[0] == "note":  # how to continue
                            shown(value)
                raise
    return result
