"""The check of a dataset: everything that would mislead a training or its measurement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.reporter import Reporter
from zoo.workflows.host import host_kept

if TYPE_CHECKING:
    from zoo.audit.audit import Audit


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """What to check.

    Args:
        data: A folder of class folders, one with train, val and test in it, a CSV, or the name of a dataset.
        backbone: The architecture whose pretrained features are used; ``None``: the first that has some.
        html: A page to write, with the pictures side by side.
    """

    data: str
    backbone: str | None = None
    html: Path | None = None


def check(request: CheckRequest, reporter: Reporter) -> Audit:
    """Finds what is wrong with a dataset. No file of it is changed.

    Raises:
        UsageError: There is no such data or architecture.
        DataError: The folder cannot be read.
    """
    if request.html is not None and request.html.is_dir():
        raise UsageError(f"--html names a page to write; {request.html} is a folder.")
    from zoo.audit.audit import audit
    from zoo.backend import start_keras

    with host_kept():
        found = audit(request.data, backbone=request.backbone, start_backend=start_keras, reporter=reporter)
        if request.html is not None:
            from zoo.report.audit import write_audit_page

            write_audit_page(found, request.html)
        return found
