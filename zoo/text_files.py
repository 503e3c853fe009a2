"""Reads text files of users as UTF-8. For a file of another type, the error names that type.

This module needs only the standard library, so that it can also be used on the device.
"""

from __future__ import annotations

import codecs

#: Number of bytes that are examined to detect UTF-16 without a mark, and binary files.
_HEAD_BYTES = 1024

_MARKS = (
    # UTF-32 first, because its little-endian mark starts with that of UTF-16.
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
    """The text of a file, without byte order mark.

    Single null bytes are kept, because the caller can describe their location better.

    Args:
        content: All bytes of the file.
        strict: Whether to refuse bytes that are not UTF-8. Otherwise they are kept as in file names
            (``surrogateescape``).

    Raises:
        ValueError: The content is not UTF-8 text. The message is a clause about the file, such as ``it is a PDF
            document, not text``.
    """
    if kind := _other_kind(content[:_HEAD_BYTES]):
        raise ValueError(f"it is {kind}")
    try:
        return content.decode("utf-8-sig", "strict" if strict else "surrogateescape")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} has the byte 0x{content[error.start]:02x}, which is not UTF-8 text") from None


def decode_csv(content: bytes) -> str:
    """Like ``decode_text`` for a table. Null bytes in column names are refused, because they belong to no row."""
    text = decode_text(content)
    refuse_null_bytes(text.partition("\n")[0])
    return text


def refuse_null_bytes(text: str) -> None:
    """Raises ``ValueError`` with the line of the first null byte, if there is one."""
    place = text.find("\0")
    if place >= 0:
        raise ValueError(f"line {text.count(chr(10), 0, place) + 1} has a null byte")


def _other_kind(head: bytes) -> str:
    for mark, kind in _MARKS:
        if head.startswith(mark):
            return kind
    even, odd = head[0::2].count(0), head[1::2].count(0)
    # In UTF-16 of mostly Latin letters, the same byte of each pair is zero.
    if min(even, odd) == 0 and max(even, odd) > len(head) // 4:
        return "UTF-16 text, not UTF-8"
    if even + odd > len(head) // 10:
        return f"not text: {even + odd} of its first {len(head)} bytes are null bytes"
    return ""
