"""The check of a dataset: finds everything that would distort its training or evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.atomic import make_folder, writable
from zoo.errors import UsageError
from zoo.reporter import Reporter
from zoo.workflows.host import host_kept

if TYPE_CHECKING:
    from zoo.audit.audit import Audit


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """What to check.

    Args:
        data: A folder of class folders, a folder that contains train, val and test, a CSV file, or the name of a
            dataset.
        backbone: The architecture whose pretrained features are used. ``None``: the first that has pretrained weights.
        html: Path of an HTML page to write, which shows the affected images.
        on: The Ray cluster that reads the images and computes their features: ``ray`` or ``ray://HOST:PORT``. ``None``:
            this process.
    """

    data: str
    backbone: str | None = None
    html: Path | None = None
    on: str | None = None


def check(request: CheckRequest, reporter: Reporter) -> Audit:
    """Finds problems in a dataset. No file is changed.

    Raises:
        UsageError: The data or the architecture does not exist.
        DataError: The folder cannot be read.
        TrainingError: The page cannot be written.
        ClusterError: The cluster cannot be reached, or its connection is lost.
    """
    if request.html is not None and request.html.is_dir():
        raise UsageError(f"--html must be a file; {request.html} is a folder.")
    if request.html is not None:  # before work that may take hours
        make_folder(request.html.parent)
        writable(request.html)
    from zoo.audit.audit import audit
    from zoo.backend import start_keras
    from zoo.evaluation.photo_cluster import find_cluster

    cluster = find_cluster(request.on, reporter)
    with host_kept():
        found = audit(
            request.data, backbone=request.backbone, start_backend=start_keras, reporter=reporter, cluster=cluster
        )
        if request.html is not None:
            from zoo.report.audit import write_audit_page

            write_audit_page(found, request.html)
        return found
