"""If a text file of a user is not text, the error describes its content, wherever the file is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.audit.manifest import read_kept
from zoo.data.card import licences_beside
from zoo.data.source import list_source
from zoo.errors import ZooError
from zoo.fetch.names import Names
from zoo.fetch.url_list import read_url_list
from zoo.interfaces import Architecture
from zoo.registry import architectures
from zoo.text_files import decode_text
from zoo.training.plan import find_recipe
from zoo.workflows.finding import read_labels
from zoo.workflows.foreign import complete


def recipe(path: Path) -> object:
    architecture: Architecture = architectures().get("simple_cnn")
    return find_recipe(architecture, str(path))


def spec(path: Path) -> object:
    return complete(Path("model.onnx"), None, path, None)


#: Name of each file, its text, and the function that reads it.
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "data.csv": ("path,label\n1.jpg,a\n2.jpg,b\n", list_source),
    "manifest.csv": ("path,label,split,sha256\n1.jpg,a,train,11\n", read_kept),
    "urls.csv": ("url,label\nhttps://example.com/1.jpg,a\n", lambda path: read_url_list(path, Names([]))),
    "attribution.csv": ("path,licence\n1.jpg,CC0\n", lambda path: licences_beside(path.parent)),
    "labels.txt": ("cat\ndog\n", read_labels),
    "spec.json": ('{"image": {"height_px": 32, "width_px": 32}, "labels": ["a", "b"]}', spec),
    "recipe.yaml": ("epochs: 3\nlearning_rate: 0.01\n", recipe),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("UTF-16 text, not UTF-8", lambda text: text.encode("utf-16")),
        ("UTF-16 text, not UTF-8", lambda text: text.encode("utf-16-le")),
        ("UTF-16 text, not UTF-8", lambda text: text.encode("utf-16-be")),
        ("UTF-32 text, not UTF-8", lambda text: text.encode("utf-32")),
        ("a ZIP archive or a spreadsheet, not text", lambda text: b"PK\3\4" + bytes(60)),
        ("not text: 40 of its first ", lambda text: bytes(40) + text.encode()),
        ("null byte", lambda text: (text[:2] + "\0" + text[2:]).encode()),
        ("null byte", lambda text: ("\0" + text).encode()),
    ],
)
def test_what_is_no_utf_8_is_called_what_it_is(
    name: str, kind: str, made: Callable[[str], bytes], tmp_path: Path
) -> None:
    text, read = READERS[name]
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8-sig"))
    read(path)
    path.write_bytes(made(text))
    with pytest.raises(ZooError) as caught:
        read(path)
    said = str(caught.value)
    if kind == "null byte" and name in ("spec.json", "recipe.yaml"):  # the parsers name the position
        assert "line 1 column" in said or "#x0000" in said
    else:
        assert kind in said
    assert "UTF-16" not in said or "UTF-16" in kind
    assert name in said


def test_a_null_byte_early_in_a_row_is_a_matter_of_that_row(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"path,label\n1\0.jpg,a\n2.jpg,b\n")
    listing = list_source(path)
    assert [item.reason for item in listing.skipped] == ["line 2: its path '1\\0.jpg' contains a null byte"]
    path.write_bytes(b"url,label\nhttps://example.com/1\0.jpg,a\nhttps://example.com/2.jpg,b\n")
    found = read_url_list(path, Names([]))
    assert [item.reason for item in found.failures] == ["not a URL"]
    assert len(found.wanted) == 1


def test_bytes_that_are_no_utf_8_are_carried_or_named() -> None:
    assert decode_text(b"M\xfcller\n") == "M\udcfcller\n"
    with pytest.raises(ValueError, match="line 2 has the byte 0xfc, which is not UTF-8 text"):
        decode_text(b"cat\nM\xfcller\n", strict=True)
    assert decode_text(b"") == ""
