"""The checks as pytest tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zoo.testing.checking import Record, expected_of, run_check
from zoo.testing.checks import Check, choose_checks
from zoo.testing.kinds import kind_of, resolve
from zoo.testing.workspace import Workspace

ExpectedFailures = Mapping[str, str] | Callable[[Any], Mapping[str, str]]


def parametrize_with_checks(
    records: Iterable[Record | str],
    *,
    checks: Iterable[str] | None = None,
    expected_failures: ExpectedFailures | None = None,
    size_px: int | None = None,
) -> Any:
    """A pytest decorator that runs the test once for every record and check. The test must call its argument ``check``.

    An expected failure is reported as xfail with its reason. An unexpected pass is a failure.

    Args:
        records: Architectures, exporters and datasets, or names of installed ones.
        checks: Names of the checks to run. By default, all checks are run.
        expected_failures: Checks that are expected to fail, each with the reason, in addition to those of the record.
            Or a function that takes a record and returns them.
        size_px: As in ``run_checks``.

    Raises:
        UsageError: In the same cases as ``run_checks``.

    >>> @parametrize_with_checks(["simple_cnn"])
    ... def test_conformance(check):
    ...     check()
    """
    import pytest

    parameters = []
    for record in map(resolve, records):
        chosen = choose_checks(checks, kind_of(record).name)
        more = expected_failures(record) if callable(expected_failures) else expected_failures
        reasons = expected_of(record, more)
        for check in chosen:
            bound = _Bound(record, check, reasons.get(check.name), size_px)
            parameters.append(pytest.param(bound, id=f"{record.name}-{check.name}"))
    return pytest.mark.parametrize("check", parameters)


class _Bound:
    """A check of one record, to be called without arguments."""

    def __init__(self, record: Record, check: Check, reason: str | None, size_px: int | None) -> None:
        self._record = record
        self._check = check
        self._reason = reason
        self._size_px = size_px

    def __repr__(self) -> str:
        return f"<{self._check.name} of {self._record.name}>"

    def __call__(self) -> None:
        import pytest

        result = run_check(self._check, _subject(self._record, self._size_px), self._reason)
        if result.status == "skipped":
            pytest.skip(result.seen)
        if result.status == "expected_failure":
            pytest.xfail(result.reason)
        if not result.ok:
            pytest.fail(f"{self._record.name}, {result}", pytrace=False)


#: The workspace of the latest record. Its checks share a trained model, and forty models at once would need too much
#: memory.
_latest: list[Workspace] = []


def _subject(record: Record, size_px: int | None) -> Workspace:
    if not _latest or not _latest[0].is_of(record, size_px):
        for former in _latest:
            former.close()
        _latest[:] = [kind_of(record).open(record, size_px)]
    return _latest[0]
