"""The report in a real browser: it makes no requests, runs no scripts, and fits a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
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
    """The page, its errors, and its requests except for the page itself."""
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


def contrast(page: Any, selector: str) -> float:
    """Contrast of a text with its background, as defined by WCAG 2.1."""
    colours = page.evaluate(
        """selector => {
            const shown = document.querySelector(selector);
            let behind = shown;
            while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
            return [getComputedStyle(shown).color, getComputedStyle(behind).backgroundColor];
        }""",
        selector,
    )
    lights = []
    for colour in colours:
        shares = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def seen(page: Any, selector: str) -> npt.NDArray[np.uint8]:
    """A picture of an element, ``(height, width, 3)``, RGB."""
    picture = cv2.imdecode(np.frombuffer(page.locator(selector).first.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture[:, :, ::-1], np.uint8)


def share_near(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> float:
    return float((np.abs(picture.astype(int) - colour).max(axis=2) <= 12).mean())


@pytest.fixture(scope="module")
def chance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run that is not significantly better than always predicting one class."""
    folder = tmp_path_factory.mktemp("chance")
    names = draw_photos(folder / "photos", ("a_long_class_name_of_many_words_in_one", "b"), each=20)
    run = write_run(folder / "runs", folder / "photos", names, strength=0.0)
    assert run.metrics.against_baseline == "unsure"
    return write_report(run)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [390, 1280])
def test_a_result_that_may_be_chance_is_amber(browser: Any, chance: Path, width_px: int, scheme: str) -> None:
    page, _ = opened(browser, chance, viewport={"width": width_px, "height": 844}, color_scheme=scheme)
    amber, soft = {"light": ((138, 82, 0), (253, 240, 213)), "dark": ((240, 178, 60), (51, 40, 15))}[scheme]
    picture = seen(page, ".verdict")
    assert share_near(picture, soft) > 0.5
    assert share_near(picture, amber) > 0.003
    for selector in (".verdict", ".verdict b", ".verdict strong", ".run", "figcaption", "thead th", "footer", ".below"):
        assert contrast(page, selector) >= 4.5, selector
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    page.close()


@pytest.mark.parametrize("width_px", [390, 1280])
def test_right_and_wrong_cells_of_the_matrix_have_colours_of_their_own(
    browser: Any, chance: Path, width_px: int
) -> None:
    page, _ = opened(browser, chance, viewport={"width": width_px, "height": 844})
    picture = seen(page, "#confusion img").astype(int)
    blue, orange = (picture[:, :, 2] - picture[:, :, 0] > 40).mean(), (picture[:, :, 0] - picture[:, :, 2] > 40).mean()
    assert blue > 0.05
    assert orange > 0.05
    if width_px == 390:  # the picture for phones is not reduced, so its letters have their original size
        box = page.locator("#confusion img").bounding_box()
        assert box["width"] > 300
        assert box["width"] / box["height"] == pytest.approx(1, abs=0.01)
    page.close()


def test_a_long_name_breaks_at_its_separators(browser: Any, chance: Path) -> None:
    page, _ = opened(browser, chance, viewport={"width": 390, "height": 844})
    lines = page.evaluate(
        """() => {
            const names = [...document.querySelectorAll('.tiles bdi')];
            const name = names.find(each => each.textContent.startsWith('a_long'));
            const tops = [], range = document.createRange(), lines = [];
            for (const node of name.childNodes) {
                if (node.nodeType !== 3) continue;
                range.selectNodeContents(node);
                const top = Math.round(range.getBoundingClientRect().top);
                if (tops.at(-1) === top) lines[lines.length - 1] += node.textContent;
                else { tops.push(top); lines.push(node.textContent); }
            }
            return lines;
        }"""
    )
    assert len(lines) > 1
    assert all(line.endswith("_") for line in lines[:-1])
    page.close()
