r"""Makes untrusted text safe for terminals: file names, labels, metadata and messages of plugins cannot control them.

An escape sequence in a file name can recolour, erase or retitle a terminal, and a carriage return can overwrite its
line. All output of the commands is filtered here.
"""

from __future__ import annotations

import io
import os
import sys
import unicodedata
from typing import Any

# Marks that change the direction of the following text. A file name must not be able to reorder the sentence around it.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def readable(text: object, keep: str = "") -> str:
    r"""Escapes a name so that every font, terminal and encoding accepts it: invalid UTF-8 bytes, control characters and
    direction marks are written as escapes.

    Args:
        text: Any text.
        keep: Characters that are not escaped.

    >>> print(readable("caf\udce9\n.jpg"))
    caf\xe9\n.jpg
    """
    found = str(text)
    if found.isascii() and found.isprintable():
        return found
    return "".join(character if character in keep else _spell(character) for character in found)


def _spell(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python represents a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF or character in _DIRECTION_MARKS or character in "\u2028\u2029":
        return f"\\u{code:04x}"
    if unicodedata.category(character) == "Cc":
        return character.encode("unicode_escape").decode()
    return character


class _ReadableStream:
    """A text stream that escapes control characters."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes text, not {type(text).__name__}")
        return self._stream.write(readable(text, keep="\n\t"))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_terminal() -> None:
    """Filters all further output of the program to a terminal. A program calls this once.

    Standard output to a file or a pipe is data and is not changed. Python's stderr gets a separate file descriptor, so
    that the output of compiled libraries to descriptor 2 can be distinguished; see ``zoo.quiet``.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if name == "stderr" and isinstance(stream, io.TextIOWrapper) and stream is sys.__stderr__:
            own = os.dup(stream.fileno())
            stream = open(  # noqa: SIM115 - open for as long as the program runs
                own, "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False
            )
            sys.stderr = sys.__stderr__ = stream  # type: ignore[misc]
        if isinstance(stream, io.TextIOWrapper):
            # A name may contain characters that the encoding cannot represent.
            stream.reconfigure(errors="backslashreplace")
            if name == "stderr" or stream.isatty():
                setattr(sys, name, _ReadableStream(stream))
