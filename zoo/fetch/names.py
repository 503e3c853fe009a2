"""Names that are valid on any disk: without path, not reserved by Windows, and unique if case is ignored."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from zoo.fetch.errors import RefusedError

_MOST_BYTES = 120
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
#: Folders with these names would be mistaken for splits, or for leftovers of an operating system.
_MEANS_SOMETHING_ELSE = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}


def folded(name: str) -> str:
    """A key that is equal for names that a case-insensitive or Unicode-normalising disk treats as the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def safe_name(text: str) -> str:
    """A file or folder name that is as close to ``text`` as every disk allows.

    Raises:
        RefusedError: The text points outside its folder (``..``, an absolute path), or no valid character is left.
    """
    text = unicodedata.normalize("NFC", text.strip())
    if ".." in re.split(r"[/\\]", text) or re.match(r"[/\\]|[A-Za-z]:[/\\]", text):
        raise RefusedError(f"the name {text!r} points outside the folder")
    name = "".join(c if _storable(c) else "_" for c in _FORBIDDEN.sub("_", text))
    # Hidden files are ignored as data, and Windows drops dots and spaces at the end.
    name = _shortened(name.lstrip(". ").rstrip(". "), text)
    if not name.strip("_"):
        raise RefusedError(f"{text!r} is not a valid file name")
    if _RESERVED.fullmatch(name) or name.lower() in _MEANS_SOMETHING_ELSE:
        name = f"{name.partition('.')[0]}_{name.partition('.')[1]}{name.partition('.')[2]}"
    return name


def _storable(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _shortened(name: str, text: str) -> str:
    if len(name.encode()) <= _MOST_BYTES:
        return name
    kept = name.encode()[: _MOST_BYTES - 13].decode(errors="ignore").rstrip(". ")
    return f"{kept}-{short_digest(text)}"


def digest(text: str) -> str:
    """64 hexadecimal digits that identify a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def short_digest(text: str) -> str:
    """The first twelve digits of ``digest``, for names that people read."""
    return digest(text)[:12]


class Names:
    """Gives each text a unique name within one folder.

    Args:
        taken: Existing names. A text that differs from one of them only by case gets that name.
    """

    def __init__(self, taken: list[str]) -> None:
        self._on_disk = {folded(name): name for name in sorted(taken, reverse=True)}
        self._owners: dict[str, str] = {}
        self._by_text: dict[str, str] = {}

    def name(self, text: str) -> str:
        """The name for ``text``, which is always the same. Texts that differ by more than case never share a name.

        Raises:
            RefusedError: As for ``safe_name``.
        """
        if text not in self._by_text:
            name, owner = safe_name(text), folded(text.strip())
            if self._owners.setdefault(folded(name), owner) != owner:
                name = f"{name}-{short_digest(owner)}"
            self._by_text[text] = self._on_disk.setdefault(folded(name), name)
        return self._by_text[text]
