"""What came of a check."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zoo.errors import PluginCodeError

Status = Literal["passed", "failed", "expected_failure", "unexpected_pass", "skipped"]


class CheckError(AssertionError):
    """An architecture does not do what a check asks.

    Args:
        expected: What the check asks, one sentence.
        seen: What the architecture did, with the figures.
        mend: What most likely mends it.
    """

    def __init__(self, expected: str, seen: str, mend: str) -> None:
        super().__init__(expected, seen, mend)
        self.expected = expected
        self.seen = seen
        self.mend = mend

    def __str__(self) -> str:
        return f"expected: {self.expected}\n  seen:     {self.seen}\n  mend:     {self.mend}"


class NothingToCheckError(Exception):
    """There is nothing to check, such as the backbone of an architecture that declares none."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What came of one check on one architecture.

    Args:
        name: Of the check.
        status: ``passed``, ``failed``, ``expected_failure``, ``unexpected_pass`` or ``skipped``.
        expected: What the check asks.
        seen: What was found: measured figures where it passed, the offence where it failed.
        mend: What most likely mends it; empty where nothing has to be mended.
        seconds: It took. What checks share, such as the trained model, counts for the first that needs it.
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
        """Whether nothing has to be done about it."""
        return self.status in ("passed", "expected_failure", "skipped")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        """Several lines, for people."""
        if self.status == "unexpected_pass":
            return f"{self.name} passes, though it was expected to fail: {self.reason}\n  mend:     {self.mend}"
        return f"{self.name}: {CheckError(self.expected, self.seen, self.mend)}"


def one_line(error: BaseException) -> str:
    """An error's type and text without line ends and colours, cut to what can be read; of a plugin's, its own."""
    if isinstance(error, PluginCodeError):
        error = error.cause
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}").split())[:500]
