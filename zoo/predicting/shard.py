"""The share of the photos that one of several commands predicts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from zoo.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """One of ``count`` shares of the photos.

    The share of a photo depends only on its name. Therefore the shares are disjoint and complete even if photos are
    added or removed between the starts of two commands.

    >>> shards = [Shard(number, 3) for number in (1, 2, 3)]
    >>> [sum(shard.has(name) for shard in shards) for name in ("a.jpg", "b.jpg", "c.jpg")]
    [1, 1, 1]
    """

    number: int = 1
    count: int = 1

    def has(self, name: str) -> bool:
        if self.count == 1:
            return True
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def read_shard(text: str | None) -> Shard:
    """Reads ``2/8`` as the second of eight shares, and ``None`` as all photos.

    Raises:
        UsageError: The text has another form.

    >>> read_shard("2/8")
    Shard(number=2, count=8)
    """
    if text is None:
        return Shard()
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(
            f"--shard must be I/N, such as 2/8 for the second of eight shares. Received: {text!r}.",
            "The first share is 1/N and the last is N/N.",
        )
    return Shard(number, count)
