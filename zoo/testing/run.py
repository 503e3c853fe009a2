"""Running checks on an architecture, and judging what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from zoo.errors import Terminated
from zoo.interfaces import Architecture
from zoo.registry import architectures
from zoo.testing.checks import Check, choose_checks, refuse_unknown
from zoo.testing.result import CheckError, CheckResult, NothingToCheckError, one_line
from zoo.testing.subject import Subject


def run_checks(
    architecture: Architecture | str,
    *,
    checks: Iterable[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    size_px: int | None = None,
    each: Callable[[CheckResult], None] | None = None,
) -> list[CheckResult]:
    """Runs conformance checks on an architecture, one after the other, whatever fails.

    Args:
        architecture: A record, or the name of an installed architecture.
        checks: Names of checks; all of them where not given.
        expected_failures: Check to the reason why it cannot pass; added to those of the record.
        size_px: Side of the pictures that the costly checks work with; the smallest that builds where not given.
        each: Called with every result as it comes.

    Returns:
        A result for every check, in order.

    Raises:
        UsageError: There is no architecture or no check of a name, or two distributions offer the architecture.

    >>> [result.status for result in run_checks("simple_cnn", checks=["record"])]
    ['passed']
    """
    record = resolve(architecture)
    chosen = choose_checks(checks)
    reasons = expected_of(record, expected_failures)
    results = []
    with Subject(record, size_px) as subject:
        for check in chosen:
            results.append(run_check(check, subject, reasons.get(check.name)))
            if each:
                each(results[-1])
    return results


def resolve(architecture: Architecture | str) -> Architecture:
    """The record of a name; a record is its own."""
    return architectures().get(architecture) if isinstance(architecture, str) else architecture


def expected_of(architecture: Architecture, more: Mapping[str, str] | None) -> dict[str, str]:
    """The failures that are expected of an architecture, by its record and by the caller.

    Raises:
        UsageError: One names no check.
    """
    reasons = {**architecture.expected_failures, **(more or {})}
    refuse_unknown(reasons)
    return reasons


def run_check(check: Check, subject: Subject, reason: str | None = None) -> CheckResult:
    """Runs one check.

    Args:
        check: The check.
        subject: What it is run on.
        reason: Why it is expected to fail; ``None`` where it is not.
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
    except (Exception, SystemExit) as error:  # whatever a plugin raises
        status, seen = "failed", one_line(error)
        mend = "The check could not be finished: call build() by hand, and look at the traceback."
    if reason is not None and status == "failed":
        status, mend = "expected_failure", ""
    elif reason is not None and status == "passed":
        status, mend = "unexpected_pass", f"Take '{check.name}' out of the expected failures."
    return CheckResult(
        name=check.name,
        status=status,  # type: ignore[arg-type]
        expected=expected,
        seen=seen,
        mend=mend,
        seconds=round(time.perf_counter() - start, 2),
        reason=reason or "",
    )
