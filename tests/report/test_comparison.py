"""The page of a comparison: its figures are those of the terminal, and names are escaped."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo as library
from tests.conftest import Zoo
from tests.report.conftest import draw_photos, write_run
from tests.report.test_html import Page
from zoo.run_folder import Run, open_run


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Three runs that differ only in their seed, and one run of another architecture."""
    photos = tmp_path / "photos"
    names = draw_photos(photos, ("rugby", "soccer"), 40)
    made = [
        write_run(tmp_path / "runs", photos, names, strength=2.0, seed=seed, info={"name": f"seed{seed}"})
        for seed in range(3)
    ]
    best = write_run(tmp_path / "runs", photos, names, architecture="mobilenetv2", strength=9.0).path
    return [*made, open_run(best.rename(best.with_name("best <i>")))]


def test_the_page_has_the_tests_and_the_mean_over_seeds(runs: list[Run], tmp_path: Path, zoo: Zoo) -> None:
    written = tmp_path / "new" / "compare.html"
    done = zoo("compare", *(run.path for run in runs), "--html", written)
    assert done.code == 0
    assert done.out.endswith(f"\nPage: {written}\n")
    page = Page(written)
    assert page.open == []
    assert page.addresses == []
    assert "best <i> predicts 100.0 % of 32 test images correctly" in page.words.replace("\xa0", " ")
    assert {"script", "i"} & set(page.seen) == {"i"}  # "i" elements are the bars; the tags in the name are text
    found = library.compare(*(run.path for run in runs), html=tmp_path / "again.html")
    (group,) = found.groups
    assert group.seeds == (0, 1, 2)
    assert group.accuracy_sd is not None
    words = page.words.replace("\xa0", " ")
    assert f"{group.accuracy_mean:.1%}".replace("%", " %") in words
    assert f"standard deviation {100 * group.accuracy_sd:.1f} points" in words
    assert len(found.pairs) == 6
    for pair in found.pairs:
        low, high = pair.interval
        assert f"{100 * pair.difference:+.1f} points {100 * low:+.1f} to {100 * high:+.1f}" in words
        assert pair.p_text.removeprefix("p = ").removeprefix("p ") in words
    assert (tmp_path / "again.html").read_bytes() == written.read_bytes()


def test_one_run_alone_has_a_page(runs: list[Run], tmp_path: Path) -> None:
    library.compare(runs[0].path, html=tmp_path / "page.html")
    assert "Differences" not in Page(tmp_path / "page.html").words


def test_a_folder_is_no_page(runs: list[Run], tmp_path: Path, zoo: Zoo) -> None:
    done = zoo("compare", runs[0].path, "--html", tmp_path)
    assert done.code == 2
    assert "--html must be a file" in done.err
