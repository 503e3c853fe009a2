"""Formats names and figures for people."""

from __future__ import annotations

from zoo import figures, table
from zoo.terminal import readable

#: Text for a figure that is not defined: an en dash.
ABSENT = "\u2013"


def shorten(text: object, width: int) -> str:
    """Shortens a text to at most ``width`` columns by leaving out its middle. East Asian characters take two columns.

    >>> shorten("rugby/a_very_long_file_name_0867.jpg", 20)
    'rugby/a_ve…_0867.jpg'
    """
    return table.shorten(readable(text), width)


def percent(share: float | None, digits: int = 1) -> str:
    """Formats ``0.94`` as ``94.0 %`` with a no-break space, and ``None`` as ``ABSENT``."""
    return ABSENT if share is None else unbroken(figures.percent(share, digits))


def unbroken(text: str) -> str:
    """Replaces spaces by no-break spaces, so that a figure and its unit stay on one line."""
    return text.replace(" ", "\u00a0")


def number(value: float | None, digits: int = 3) -> str:
    return ABSENT if value is None else f"{value:.{digits}f}"


def thousands(value: int | None) -> str:
    """Formats ``2257984`` as ``2 257 984``, with thin spaces."""
    return ABSENT if value is None else f"{value:,}".replace(",", "\u202f")


def magnitude(value: int | None) -> str:
    """Formats ``2257984`` as ``2.26 M``."""
    if value is None:
        return ABSENT
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:.3g}\u00a0{unit}"
    return str(value)


def duration(seconds: float | None) -> str:
    """Formats a duration: ``0.4 s``, ``3 min 12 s``, ``2 h 5 min``."""
    if seconds is None:
        return ABSENT
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}\u00a0s"
    if whole < 3600:
        return f"{whole // 60}\u00a0min {whole % 60}\u00a0s"
    return f"{whole // 3600}\u00a0h {whole % 3600 // 60}\u00a0min"


def plural(count: int, noun: str) -> str:
    """``1 image``, ``150 images``, ``2 classes``."""
    if count == 1:
        return f"1 {noun}"
    return f"{thousands(count)} {noun}{'es' if noun.endswith('s') else 's'}"


def capital(text: str) -> str:
    """Changes the first letter to a capital letter. The other letters are kept."""
    return text[:1].upper() + text[1:]
