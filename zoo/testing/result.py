"""Results of checks."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zoo.errors import PluginCodeError

Status = Literal["passed", "failed", "expected_failure", "unexpected_pass", "skipped"]


class CheckError(AssertionError):
    """A check failed.

    Args:
        expected: What the check requires, one sentence.
        seen: What was found, with the figures.
        mend: The most likely fix.
    """

    def __init__(self, expected: str, seen: str, mend: str) -> None:
        super().__init__(expected, seen, mend)
        self.expected = expected
        self.seen = seen
        self.mend = mend

    def __str__(self) -> str:
        return f"expected: {self.expected}\n  seen:     {self.seen}\n  fix:      {self.mend}"


class NothingToCheckError(Exception):
    """There is nothing to check, for example because no backbone is declared."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """Result of one check.

    Args:
        name: Name of the check.
        status: ``passed``, ``failed``, ``expected_failure``, ``unexpected_pass`` or ``skipped``.
        expected: What the check requires.
        seen: What was found: measured figures if it passed, the problem if it failed.
        mend: The most likely fix. Empty if there is nothing to fix.
        seconds: Duration. Shared work, such as training the model, is counted for the first check that needs it.
        reason: Why the failure was expected.
    """

    name: str
    status: Status
    expected: str
    seen: str
    mend: str = ""
    seconds: float = 0.0
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is nothing to fix."""
        return self.status in ("passed", "expected_failure", "skipped")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        """Several lines, for people."""
        if self.status == "unexpected_pass":
            return f"{self.name} passes, although it was expected to fail: {self.reason}\n  fix:      {self.mend}"
        return f"{self.name}: {CheckError(self.expected, self.seen, self.mend)}"


def one_line(error: BaseException) -> str:
    """The type and the text of an error on one line, shortened and without colours. A ``PluginCodeError`` is replaced
    by its cause."""
    if isinstance(error, PluginCodeError):
        error = error.cause
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}").split())[:500]
