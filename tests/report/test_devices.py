"""The page on files and devices: it fits a screen, and on a phone it shows that tables can be scrolled."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.report.test_page_in_browser import opened
from zoo.report.bench_table import Merged, Row
from zoo.report.devices import write_devices

DEVICES = ("Some(R) Processor Platinum 8481C CPU @ 2.70GHz", "board")


def row(device: str, format: str, precision: str, fastest_ms: float) -> Row:
    return Row(
        device=device,
        cpu=device,
        system="Linux",
        model="mobilenetv2",
        format=format,
        precision=precision,
        source="a run",
        sha256=f"{format}{precision}",
        size_bytes=8_860_000,
        runtime="onnxruntime 1.32.0",
        accuracy=0.926,
        accuracy_images=27,
        accuracy_data="d",
        cold_start_s=0.27,
        load_ms=20.0,
        peak_memory_bytes=119_000_000,
        p50_ms=1234.56,
        p95_ms=2345.67,
        threads=4,
        fastest_ms=fastest_ms,
        photo_ms=1300.12,
        images_per_s=131.0,
        batch=16,
        measured="2026-01-31T12:00:00Z",
        on_front=precision == "int8",
    )


@pytest.fixture(scope="module")
def found() -> Merged:
    kinds = [("onnx", "float32", 7.5), ("onnx", "int8", 3.2), ("tflite", "float32", 7.3), ("tflite", "int8", 4.5)]
    return Merged(tuple(row(device, *kind) for device in DEVICES for kind in kinds), ())


@pytest.fixture(scope="module")
def page(found: Merged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    write_devices(found, folder)
    return folder / "devices.html"


def test_units_stand_in_the_heads_of_columns(page: Path) -> None:
    heads = re.findall(r'<th scope="col".*?>(.*?)</th>', page.read_text(encoding="utf-8"))
    shown = [re.sub("<.*?>", "", head) for head in heads]
    for head in ("Size MB", "Memory MB", "Cold start s", "p50 ms", "p95 ms", "Fastest ms", "Photo ms", "Most images/s"):
        assert head in shown


def test_the_terminal_says_what_front_is(found: Merged) -> None:
    assert found.as_text().splitlines()[-1].startswith("front: yes if no other file on the device is")


def test_the_whole_table_fits_a_screen(browser: Any, page: Path) -> None:
    opened_page, trouble = opened(browser, page, viewport={"width": 1280, "height": 900})
    wide, shown = opened_page.evaluate(
        "(() => { const s = document.querySelector('.scroll'); return [s.scrollWidth, s.clientWidth] })()"
    )
    assert wide <= shown
    assert trouble == []
    opened_page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_the_table_alone_and_shows_that_it_does(browser: Any, page: Path, scheme: str) -> None:
    opened_page, trouble = opened(browser, page, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    assert opened_page.evaluate("document.documentElement.scrollWidth") <= 390
    wide, narrow, attachment = opened_page.evaluate(
        "(() => { const s = document.querySelector('.scroll');"
        " return [s.scrollWidth, s.clientWidth, getComputedStyle(s).backgroundAttachment] })()"
    )
    assert wide > narrow
    assert attachment == "local, local, scroll, scroll"
    assert trouble == []
    opened_page.close()


def test_a_phone_gets_a_chart_of_its_own_with_letters_of_readable_size(browser: Any, page: Path) -> None:
    shrunk = []
    for width_px in (390, 1280):
        opened_page, _ = opened(browser, page, viewport={"width": width_px, "height": 844})
        drawn, shown = opened_page.evaluate(
            "(async () => { const i = document.querySelector('.chart img'); const c = new Image();"
            " c.src = i.currentSrc; await c.decode(); return [c.naturalWidth, i.clientWidth] })()"
        )
        shrunk.append(shown * 160 / 96 / drawn)
        opened_page.close()
    assert min(shrunk) > 0.9
