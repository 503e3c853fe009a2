"""Runs checks on a plugin, and evaluates the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from zoo.backend import start_keras
from zoo.errors import Terminated
from zoo.interfaces import Architecture, Dataset, Exporter
from zoo.testing.callbacks import Callbacks
from zoo.testing.checks import Check, choose_checks, refuse_unknown
from zoo.testing.kinds import kind_of, resolve
from zoo.testing.result import CheckError, CheckResult, NothingToCheckError, one_line
from zoo.testing.workspace import Workspace

Record = Architecture | Exporter | Dataset | Callbacks


def run_checks(
    record: Record | str,
    *,
    checks: Iterable[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    size_px: int | None = None,
    each: Callable[[CheckResult], None] | None = None,
) -> list[CheckResult]:
    """Runs conformance checks on a plugin, one after the other. After a failure, the other checks are still run.

    Args:
        record: An architecture, an exporter, a dataset or ``Callbacks``, or the name of an installed one.
        checks: Names of the checks to run. By default, all checks are run.
        expected_failures: Checks that are expected to fail, each with the reason, in addition to those of the record.
        size_px: Side of the images in the slow checks. By default, the smallest at which the model can be built.
        each: Called with every result immediately.

    Returns:
        A result for every check, in order.

    Raises:
        UsageError: The record or a check does not exist, or two distributions provide the name.

    >>> [result.status for result in run_checks("simple_cnn", checks=["record"])]
    ['passed']
    """
    found = resolve(record)
    kind = kind_of(found)
    chosen = choose_checks(checks, kind.name)
    reasons = expected_of(found, expected_failures)
    start_keras()
    results = []
    with kind.open(found, size_px) as subject:
        for check in chosen:
            results.append(run_check(check, subject, reasons.get(check.name)))
            if each:
                each(results[-1])
    return results


def check_exporter(
    exporter: Exporter | str,
    *,
    checks: Iterable[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> list[CheckResult]:
    """Runs the conformance checks of exporters: round trip, metadata, batches, int8, parts, runtime.

    Args:
        exporter: A record, or the name of an installed exporter.
        checks: As for ``run_checks``.
        expected_failures: As for ``run_checks``.

    Returns:
        The results. None of them is a failure.

    Raises:
        AssertionError: Checks failed or passed unexpectedly. The message lists them.
        UsageError: In the same cases as ``run_checks``.
    """
    results = run_checks(resolve(exporter, "exporter"), checks=checks, expected_failures=expected_failures)
    if bad := [result for result in results if not result.ok]:
        raise AssertionError("\n".join(map(str, bad)))
    return results


def expected_of(record: Record, more: Mapping[str, str] | None) -> dict[str, str]:
    """The expected failures of a record, from the record and from the caller.

    Raises:
        UsageError: A name is not that of a check.
    """
    reasons = {**record.expected_failures, **(more or {})}
    refuse_unknown(reasons, kind_of(record).name)
    return reasons


def run_check(check: Check, subject: Workspace, reason: str | None = None) -> CheckResult:
    """Runs one check.

    Args:
        check: The check.
        subject: The subject of the check.
        reason: Why the check is expected to fail. ``None`` if it is expected to pass.
    """
    start = time.perf_counter()
    status, seen, mend, expected = "passed", "", "", check.asks
    try:
        seen = check(subject)
    except NothingToCheckError as none:
        status, seen = "skipped", str(none)
    except CheckError as failed:
        status, expected, seen, mend = "failed", failed.expected, failed.seen, failed.mend
    except Terminated:
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        status, seen = "failed", one_line(error)
        mend = "The check could not be completed. Call the function manually, and look at the traceback."
    if reason is not None and status == "failed":
        status, mend = "expected_failure", ""
    elif reason is not None and status == "passed":
        status, mend = "unexpected_pass", f"Remove '{check.name}' from the expected failures."
    return CheckResult(
        name=check.name,
        status=status,  # type: ignore[arg-type]
        expected=expected,
        seen=seen,
        mend=mend,
        seconds=round(time.perf_counter() - start, 2),
        reason=reason or "",
    )
