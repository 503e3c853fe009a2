"""Errors of single downloads. They are not shown directly; each becomes a row in ``failed.csv``."""

from __future__ import annotations


class TransferError(Exception):
    """A download failed.

    Args:
        reason: A few words without a full stop, for use in a list.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedError(TransferError):
    """The download failed and is not retried in this run.

    Args:
        reason: As above.
        temporary: Whether the failure is temporary, so that a later run may succeed.
        optional: Whether the failure depends on an option of the command, so that a run with other options may succeed.
    """

    def __init__(self, reason: str, *, temporary: bool = False, optional: bool = False) -> None:
        super().__init__(reason)
        self.temporary = temporary
        self.optional = optional


class TryAgainError(TransferError):
    """The download failed and may be retried.

    Args:
        reason: As above.
        wait_s: Waiting time requested by the server in seconds, if any.
        unreached: Whether no server could be reached.
    """

    def __init__(self, reason: str, *, wait_s: float | None = None, unreached: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.unreached = unreached


class StoppedError(Exception):
    """The download was stopped by the user or by a full disk."""
