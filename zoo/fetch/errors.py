"""What can befall one file. None of these reaches the user as it is: they become a line in ``failed.csv``."""

from __future__ import annotations


class TransferError(Exception):
    """A file did not come.

    Args:
        reason: A few words without a full stop, fit for a list.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedError(TransferError):
    """It does not come, and is not asked for again in this run.

    Args:
        reason: As above.
        temporary: The network or the server may have more luck with it another time.
        optional: An option of the command decides it, so it says nothing about a run with others.
    """

    def __init__(self, reason: str, *, temporary: bool = False, optional: bool = False) -> None:
        super().__init__(reason)
        self.temporary = temporary
        self.optional = optional


class TryAgainError(TransferError):
    """It may come later.

    Args:
        reason: As above.
        wait_s: How long the server asked to wait, in seconds, where it did.
        unreached: No server answered at all.
    """

    def __init__(self, reason: str, *, wait_s: float | None = None, unreached: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.unreached = unreached


class StoppedError(Exception):
    """The user, or a full disk, ended the work while this file was on its way."""
