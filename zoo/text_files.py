"""Text files that people write: read as UTF-8, and named for what they are where they are something else.

This module needs nothing but the standard library, so that the device can read with it too.
"""

from __future__ import annotations

import codecs

#: As many bytes tell UTF-16 without a mark, and what is no text.
_HEAD_BYTES = 1024

_MARKS = (
    # UTF-32 first: its little-endian mark begins like the one of UTF-16.
    (codecs.BOM_UTF32_LE, "UTF-32 text, not UTF-8"),
    (codecs.BOM_UTF32_BE, "UTF-32 text, not UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16 text, not UTF-8"),
    (codecs.BOM_UTF16_BE, "UTF-16 text, not UTF-8"),
    (b"PK\3\4", "a ZIP archive or a spreadsheet, not text"),
    (b"\xd0\xcf\x11\xe0", "a Microsoft Office document, not text"),
    (b"%PDF", "a PDF document, not text"),
    (b"\x1f\x8b", "a gzip archive, not text"),
)


def decode_text(content: bytes, *, strict: bool = False) -> str:
    """The text of a file, without the mark that some editors write before it.

    Single null bytes are left in: only what reads the text knows where they stand.

    Args:
        content: All bytes of the file.
        strict: Whether bytes that are not UTF-8 are refused. Otherwise, they are carried as Python carries those of
            file names (``surrogateescape``).

    Raises:
        ValueError: It is no UTF-8 text; the message says what it is, as the end of a sentence on the file.
    """
    if kind := _other_kind(content[:_HEAD_BYTES]):
        raise ValueError(f"it is {kind}")
    try:
        return content.decode("utf-8-sig", "strict" if strict else "surrogateescape")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} has the byte 0x{content[error.start]:02x}, which is not UTF-8 text") from None


def decode_csv(content: bytes) -> str:
    """As ``decode_text``, for a table: null bytes are refused in the names of columns, where no row can be blamed."""
    text = decode_text(content)
    refuse_null_bytes(text.partition("\n")[0])
    return text


def refuse_null_bytes(text: str) -> None:
    """Raises ``ValueError`` with the line of the first null byte, where there is one."""
    place = text.find("\0")
    if place >= 0:
        raise ValueError(f"line {text.count(chr(10), 0, place) + 1} has a null byte")


def _other_kind(head: bytes) -> str:
    for mark, kind in _MARKS:
        if head.startswith(mark):
            return kind
    even, odd = head[0::2].count(0), head[1::2].count(0)
    # Mostly Latin letters: one byte of each pair is zero, and always the same one.
    if min(even, odd) == 0 and max(even, odd) > len(head) // 4:
        return "UTF-16 text, not UTF-8"
    if even + odd > len(head) // 10:
        return f"not text: {even + odd} of its first {len(head)} bytes are null bytes"
    return ""
