"""A partial download. Its file name contains all information that is needed to resume it.

    <key>.<bytes of the whole>.<version>.part

``key`` identifies the URL, ``version`` is the server's ETag or date. A part of full length is complete but not yet
checked. For a shorter part, the rest of that version is requested.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.fetch.names import short_digest

_NAME = re.compile(r"[0-9a-f]+\.([0-9]+|any)\.([0-9a-f]+|none)\.part")
_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


@dataclass(frozen=True)
class Part:
    """Args:
    path: Path of the file, which may not exist yet.
    whole_bytes: Size of the whole file. ``None`` if the server does not report it.
    version: Version of the file on the server. Empty if the server does not report it.
    """

    path: Path
    whole_bytes: int | None
    version: str

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def is_whole(self) -> bool:
        return self.whole_bytes is not None and self.size_bytes == self.whole_bytes

    @property
    def can_go_on(self) -> bool:
        return bool(self.version) and self.whole_bytes is not None and 0 < self.size_bytes < self.whole_bytes


def find_part(folder: Path, key: str) -> Part | None:
    """The part of an earlier attempt."""
    for path in sorted(folder.glob(f"{key}.*.part")):
        found = _NAME.fullmatch(path.name)
        if found:
            whole, version = found.groups()
            return Part(path, None if whole == "any" else int(whole), "" if version == "none" else version)
    return None


def begin_part(folder: Path, key: str, headers: Mapping[str, str]) -> Part:
    """The part for a response that starts at the first byte."""
    whole, version = whole_bytes(headers), version_of(headers)
    path = folder / f"{key}.{'any' if whole is None else whole}.{version or 'none'}.part"
    return Part(path, whole, version)


def continues(part: Part, headers: Mapping[str, str]) -> bool:
    """Whether a 206 response is the remainder of this part."""
    found = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None:
        return False
    start, _, whole = map(int, found.groups())
    return start == part.size_bytes and whole == part.whole_bytes and version_of(headers) == part.version


def whole_bytes(headers: Mapping[str, str]) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,15}", length) and "Transfer-Encoding" not in headers else None


def version_of(headers: Mapping[str, str]) -> str:
    """The version of a response. Empty if a server sends neither a strong ETag nor a date."""
    tag = headers.get("ETag", "")
    stamp = headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
    return short_digest(stamp) if stamp else ""
