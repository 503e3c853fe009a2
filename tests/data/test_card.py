"""``dataset.md``: its content, and that text of users is kept."""

from __future__ import annotations

from pathlib import Path

from zoo.data.card import CardPart, write_card


def part(key: str = "fetch", **values: object) -> CardPart:
    said = {
        "title": "Fetched",
        "command": "zoo data fetch urls list.csv",
        "sources": [("https://example.org/list", 3)],
        "counts": {"train": {"rugby": 2, "soccer": 1}, "test": {"rugby": 1}},
        "licences": {"CC BY 2.0": 3},
    }
    return CardPart(key=key, **{**said, **values})  # type: ignore[arg-type]


def test_it_says_sources_counts_licences_date_and_command(tmp_path: Path) -> None:
    text = write_card(tmp_path, part(notes=["2 files failed."])).read_text()
    assert "    zoo data fetch urls list.csv" in text
    assert "| https://example.org/list | 3 |" in text
    assert "| class | train | test |" in text
    assert "| soccer | 1 | 0 |" in text
    assert "| all | 3 | 1 |" in text
    assert "| CC BY 2.0 | 3 |" in text
    assert "- 2 files failed." in text
    assert "\n20" in text


def test_without_a_licence_it_says_so(tmp_path: Path) -> None:
    assert "Unknown" in write_card(tmp_path, part(licences={})).read_text()


def test_a_part_replaces_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "dataset.md").write_text("# Balls\n\nCollected by hand in the park.\n")
    write_card(tmp_path, part("fetch"))
    write_card(tmp_path, part("split", title="Split"))
    text = write_card(tmp_path, part("fetch", title=r"Fetched again \1")).read_text()
    assert text.startswith("# Balls\n\nCollected by hand in the park.\n")
    assert text.count("## Split") == 1
    assert text.count("## Fetched") == 1
    assert "Fetched again" in text


def test_a_class_name_is_text_not_markup(tmp_path: Path) -> None:
    counts = {"": {"a|b\n<script>": 1, "caf\udce9": 1}}
    text = write_card(tmp_path, part(counts=counts)).read_text()
    assert r"| a\|b\n\<script\> | 1 |" in text.replace("\\\\n", r"\n")
    assert "caf\\\\xe9" in text
