"""Names that are valid on every file system."""

from __future__ import annotations

import unicodedata

import pytest

from zoo.fetch.errors import RefusedError
from zoo.fetch.names import Names, safe_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rugby ball", "rugby ball"),
        ("Fußball", "Fußball"),
        ("ラグビー", "ラグビー"),
        ("a/b\\c", "a_b_c"),
        ('<a>:"b|?*', "_a___b___"),
        ("CON", "CON_"),
        ("nul.txt", "nul_.txt"),
        ("LPT1", "LPT1_"),
        ("COM10", "COM10"),
        (".hidden", "hidden"),
        ("end. ", "end"),
        ("tab\there", "tab_here"),
        ("right\u202eleft", "right_left"),
        ("lost+found", "lost+found_"),
    ],
)
def test_near_to_what_was_meant(text: str, name: str) -> None:
    assert safe_name(text) == name
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "text", ["..", "../x", "a/../b", "..\\x", "/etc/passwd", "C:\\x", "\\\\server\\x", "", ".", "///"]
)
def test_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        safe_name(text)


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    first, second = safe_name("ü" * 200 + "1"), safe_name("ü" * 200 + "2")
    assert first != second
    assert len(first.encode()) <= 120


def test_texts_that_a_disk_cannot_tell_apart_share_a_name_and_others_never_do() -> None:
    names = Names(["RUGBY"])
    decomposed = unicodedata.normalize("NFD", "Fußbälle")
    assert names.name("rugby") == names.name("Rugby") == "RUGBY"
    assert names.name("Fußbälle") == names.name(decomposed)
    assert names.name("a/b") == "a_b"
    assert names.name("a_b") != "a_b"
    assert names.name("A?B").startswith("A_B-")
    assert len({names.name(text).casefold() for text in ("a/b", "a_b", "A?B", "a:b")}) == 4
    again = Names(["RUGBY", "a_b", names.name("a_b")])
    assert [again.name(text) for text in ("a/b", "a_b")] == [names.name(text) for text in ("a/b", "a_b")]
