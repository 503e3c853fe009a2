"""The report in a real browser: it asks for nothing, runs nothing, and fits a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.conftest import draw_photos, write_run
from zoo.report.html import write_report

HOSTILE = (
    "<script>alert(1)</script>",
    'a,b"c',
    "класс_é",
    "a_very_long_class_name_without_any_space_to_break_it_at_all" * 2,
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    names = draw_photos(folder / "photos", HOSTILE, each=10)
    skipped = [("x" * 300 + ".jpg", "truncated JPEG")] * 3
    run = write_run(folder / "runs", folder / "photos", names, strength=1.0, skipped=skipped)
    return write_report(run, np.full((3, 6, 32, 32, 3), 128, np.float32))


def opened(browser: Any, report: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page, and everything it complained about or asked for besides itself."""
    page = browser.new_page(**options)
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    address = report.as_uri()
    page.on(
        "request",
        lambda request: (
            None if request.url == address or request.url.startswith("data:") else trouble.append(request.url)
        ),
    )
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return page, trouble


@pytest.mark.parametrize("width_px", [320, 390, 768, 1280])
def test_no_sideways_scrolling_at_any_width(browser: Any, report: Path, width_px: int) -> None:
    page, trouble = opened(browser, report, viewport={"width": width_px, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert trouble == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_are_shown_and_every_picture_loads(browser: Any, report: Path, scheme: str) -> None:
    page, trouble = opened(browser, report, color_scheme=scheme)
    for label in HOSTILE:
        assert page.locator("bdi", has_text=label).first.is_visible()
    broken = page.evaluate("[...document.images].filter(i => !(i.complete && i.naturalWidth)).length")
    assert page.evaluate("document.images.length") > 20
    assert broken == 0
    assert page.title() == "simple_cnn on photos"
    assert trouble == []
    page.close()


def test_the_dark_page_is_dark_and_so_are_its_charts(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report, color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 26)"
    shown, light = page.evaluate(
        "(() => { const i = document.querySelector('.chart img'); return [i.currentSrc.length, i.src.length] })()"
    )
    assert shown != light
    page.close()


def test_a_reader_without_eyes_finds_the_way(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report)
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("table", name="Figures of each class").count() == 1
    assert page.get_by_role("columnheader", name="Recall").is_visible()
    assert page.get_by_role("img", name="Confusion matrix of 4 classes").is_visible()
    page.close()
