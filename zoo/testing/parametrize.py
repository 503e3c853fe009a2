"""The checks as pytest tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zoo.interfaces import Architecture
from zoo.testing.checks import Check, choose_checks
from zoo.testing.run import expected_of, resolve, run_check
from zoo.testing.subject import Subject

ExpectedFailures = Mapping[str, str] | Callable[[Architecture], Mapping[str, str]]


def parametrize_with_checks(
    architectures: Iterable[Architecture | str],
    *,
    checks: Iterable[str] | None = None,
    expected_failures: ExpectedFailures | None = None,
    size_px: int | None = None,
) -> Any:
    """A pytest decorator: the test is run once for every architecture and check, its argument ``check`` is called.

    An expected failure is pytest's xfail, with its reason; a check that passes though it was expected to fail, fails.

    Args:
        architectures: Records, or names of installed architectures.
        checks: Names of checks; all of them where not given.
        expected_failures: Check to reason, or a function of the architecture that returns that; added to those of
            the record.
        size_px: As for ``run_checks``.

    Raises:
        UsageError: As ``run_checks``.

    >>> @parametrize_with_checks(["simple_cnn"])
    ... def test_conformance(check):
    ...     check()
    """
    import pytest

    chosen = choose_checks(checks)
    parameters = []
    for record in map(resolve, architectures):
        more = expected_failures(record) if callable(expected_failures) else expected_failures
        reasons = expected_of(record, more)
        for check in chosen:
            bound = _Bound(record, check, reasons.get(check.name), size_px)
            parameters.append(pytest.param(bound, id=f"{record.name}-{check.name}"))
    return pytest.mark.parametrize("check", parameters)


class _Bound:
    """A check of one architecture, to be called without arguments."""

    def __init__(self, architecture: Architecture, check: Check, reason: str | None, size_px: int | None) -> None:
        self._architecture = architecture
        self._check = check
        self._reason = reason
        self._size_px = size_px

    def __repr__(self) -> str:
        return f"<{self._check.name} of {self._architecture.name}>"

    def __call__(self) -> None:
        import pytest

        result = run_check(self._check, _subject(self._architecture, self._size_px), self._reason)
        if result.status == "skipped":
            pytest.skip(result.seen)
        if result.status == "expected_failure":
            pytest.xfail(result.reason)
        if not result.ok:
            pytest.fail(f"{self._architecture.name}, {result}", pytrace=False)


#: The subject of the latest architecture: its checks share a trained model, and forty models at once are too many.
_latest: list[Subject] = []


def _subject(architecture: Architecture, size_px: int | None) -> Subject:
    if not _latest or not _latest[0].is_of(architecture, size_px):
        for former in _latest:
            former.close()
        _latest[:] = [Subject(architecture, size_px)]
    return _latest[0]
