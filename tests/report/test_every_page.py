"""Every page that zoo writes, in a browser, with class names that are hard to display: its appearance, and whether
everything is readable.

`python -m tests.report.test_every_page FOLDER` writes full screenshots, and updates the small ones next to this file,
with which the test compares.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import FLAGS, made_once
from tests.parity.linear import make_subject
from tests.report.conftest import draw_photos, write_run
from tests.report.test_devices import row
from zoo.audit.audit import audit
from zoo.data import load_for_evaluation
from zoo.evaluation import compare
from zoo.evaluation.predictions import Predictions
from zoo.image_spec import ImageSpec
from zoo.report.audit import write_audit_page
from zoo.report.bench_table import Merged
from zoo.report.candidate import write_candidate_page
from zoo.report.comparison import write_comparison_page
from zoo.report.devices import write_devices
from zoo.report.html import write_report
from zoo.report.photo_map import PhotoMap
from zoo.report.search import SearchPage, write_search_page
from zoo.report.verification import write_verification_page
from zoo.run_folder import Run
from zoo.searching.candidate import Candidate, Cost, Judged, Limits, Outcome
from zoo.workflows.models import Run as Shown

LABELS = (
    "كرة القدم الأمريكية",
    "橄榄球和足球",
    "a_class_name_of_eighty_characters" + "_and_more" * 5 + "xx",
    "<b>&co</b>",
)
PAGES = ("audit", "candidate", "card", "compare", "devices", "report", "search", "verification")
LOOKS = Path(__file__).parent / "looks"
#: Pixels of the browser that become one of a stored picture, so that the fonts of a machine hardly matter.
COARSE = 8
VIEWS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]


def make_pages(folder: Path) -> None:
    """Writes every page to ``FOLDER/NAME.html``."""
    photos = folder / "photos"
    names = draw_photos(photos, LABELS, 16)
    runs = [
        write_run(folder / "runs", photos, names, strength=strength, seed=seed, info={"name": name})
        for seed, (name, strength) in enumerate(
            [("first", 2.2), ("second", 2.0), ("third", 1.0), (f"{LABELS[0]} {LABELS[2]}", 2.3)]
        )
    ]
    _report(runs[0], folder)
    write_comparison_page(compare(runs), folder / "compare.html")
    (folder / "card.html").write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Run</title>"
        f"<meta name=color-scheme content='light dark'><body>{Shown(runs[0], lambda quiet: None)._repr_html_()}",
        encoding="utf-8",
    )
    rows = [(file, label) for label, files in names.items() for file in files]
    lines = [
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [*rows, ("photos/gone.jpg", LABELS[0])]
    ]
    (photos / "labels.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.audit.audit.find_backbone", lambda name: None)
        write_audit_page(audit(str(photos / "labels.csv"), start_backend=lambda: None), folder / "audit.html")
    subject = make_subject(photos / "labels.csv", tuple(sorted(LABELS)))
    leaning = replace(subject.file, bias=subject.file.bias + np.array([5, 0, 0, 0], np.float32))
    found = subject.verify(folder, leaning)
    write_verification_page(found, subject.data.root, folder / "verification.html")
    kinds = [("onnx", "float32", 7.5), ("onnx", "int8", 3.2), ("tflite", "float32", 7.3), ("tflite", "int8", 4.5)]
    devices = ("Some(R) Processor Platinum 8481C CPU @ 2.70GHz", LABELS[0])
    write_devices(Merged(tuple(row(device, *kind) for device in devices for kind in kinds), ()), folder / "devices")
    (folder / "devices" / "devices.html").rename(folder / "devices.html")
    _search(runs[0], photos / "labels.csv", folder)


def _report(run: Run, folder: Path) -> None:
    found = Predictions.read_csv(run.path / "predictions.csv")
    true, predicted = ([found.labels[place] for place in places] for places in (found.true, found.predicted))
    at = np.random.default_rng(0).random((len(found), 2))
    arranged = PhotoMap(at=at, files=found.files, true=true, predicted=predicted)
    augmented = np.full((3, 6, 32, 32, 3), 128, np.float32)
    shutil.copy(write_report(run, augmented, None, arranged), folder / "report.html")


def _search(run: Run, photos: Path, folder: Path) -> None:
    judged = Judged(
        accuracy=0.91,
        accuracy_interval=(0.85, 0.95),
        brier_score=0.12,
        n=64,
        folds=5,
        repeats=2,
        seconds=12.0,
    )
    outcomes = [
        Outcome(
            candidate=Candidate(architecture=architecture, image=ImageSpec()),
            cost=Cost(latency_ms=latency_ms, size_bytes=int(1e6 * latency_ms)),
            judged=replace(judged, accuracy=0.8 + latency_ms / 100, brier_score=0.2 - latency_ms / 100),
        )
        for architecture, latency_ms in (("mobilenetv2", 12.0), ("efficientnet_lite0", 9.1), (LABELS[2], 3.4))
    ]
    failed = Outcome(candidate=outcomes[0].candidate, cost=outcomes[0].cost, error="It did not fit into memory.")
    told = SearchPage(
        run=run,
        outcomes=[*outcomes, failed],
        front=frozenset(outcome.candidate.key for outcome in outcomes[:2]),
        cost=outcomes[0].cost,
        limits=Limits(max_latency_ms=15, max_size_mb=20),
        form="tflite, float32",
        device="",
        notes=["Labels were not checked."],
        elapsed_s=312.0,
        command="zoo search --data photos --max-latency-ms 15 --max-size-mb 20",
        second="efficientnet_lite0 is 2.9 ms faster. The difference is not significant (p = 0.31).",
    )
    write_search_page(folder / "search.html", told)
    data = load_for_evaluation(str(photos), ImageSpec(height_px=48, width_px=48), tuple(sorted(LABELS)))
    chances = np.random.default_rng(0).dirichlet(np.ones(len(LABELS)), len(data.names)).astype(np.float32)
    predictions = Predictions(data.labels, tuple(data.names), np.asarray(data.classes), chances)
    write_candidate_page(outcomes[0], predictions, data, folder / "candidate.html")


#: What a reader cannot read: sideways scrolling, broken pictures, pictures without words, text that is cut off, smaller
#: than 10 px, or too pale for WCAG 2.1 (4.5, and 3 for large text).
TROUBLE = """() => {
    const found = [], root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`${root.scrollWidth - root.clientWidth} px too wide`);
    for (const image of document.images) {
        if (!image.complete || !image.naturalWidth) found.push('a broken picture');
        if (!image.alt.trim()) found.push('a picture without words');
    }
    const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const clear = style => style.backgroundColor.match(/, 0\\)$/);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, text = node.textContent.trim();
        if (!text || node.parentElement.closest('svg, style, .quiet, details:not([open])')) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        if (!box.width || !box.height) continue;
        const style = getComputedStyle(node.parentElement), size = parseFloat(style.fontSize);
        if (size < 10) found.push(`${size} px: ${text}`);
        let scrolls = false, behind = null;
        for (let each = node.parentElement; each; each = each.parentElement) {
            const of = getComputedStyle(each);
            if (!behind && !clear(of)) behind = of.backgroundColor;
            if (/auto|scroll/.test(of.overflowX)) scrolls = true;
            const cut = of.overflowX === 'hidden' && each.scrollWidth > each.clientWidth + 1;
            if (cut && !scrolls) found.push(`cut off: ${text}`);
        }
        if (!scrolls && box.right > root.clientWidth + 1) found.push(`outside: ${text}`);
        const canvas = matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)';
        const [a, b] = [light(style.color), light(behind || canvas)].sort((x, y) => y - x);
        const least = size >= 24 || (size >= 18.6 && style.fontWeight >= 700) ? 3 : 4.5;
        if ((a + 0.05) / (b + 0.05) < least) found.push(`contrast ${((a + 0.05) / (b + 0.05)).toFixed(1)}: ${text}`);
    }
    return [...new Set(found)];
}"""


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Path:
    return made_once(tmp_path_factory, "every-page", lambda folder: (folder.mkdir(), make_pages(folder)))


def seen(page: Any, address: str, folder: Path | None = None) -> tuple[NDArray[np.uint8], list[str]]:
    """A coarse picture of the top of a page at every width and in every scheme, side by side, and unreadable parts."""
    parts, trouble = [], []
    page.goto(address)
    for width, scheme in VIEWS:
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        trouble += [f"{width} px, {scheme}: {each}" for each in page.evaluate(TROUBLE)]
        picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        size = (picture.shape[1] // COARSE, picture.shape[0] // COARSE)
        parts.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        if folder:
            page.screenshot(path=folder / f"{Path(address).stem}-{width}-{scheme}.png", full_page=True)
    return np.asarray(np.hstack(parts), np.uint8), trouble


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_and_looks_as_it_did(browser: Any, pages: Path, name: str) -> None:
    page = browser.new_page()
    shown, trouble = seen(page, (pages / f"{name}.html").as_uri())
    page.close()
    assert trouble == []
    kept = cv2.imdecode(np.frombuffer((LOOKS / f"{name}.png").read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert kept is not None
    assert kept.shape == shown.shape
    # The mean difference is compared, because other fonts break lines elsewhere; without style, it is at least 60.
    assert np.abs(shown.astype(int) - kept).mean() < 8


def main(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make_pages(folder)
    LOOKS.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        page = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS).new_page()
        for name in PAGES:
            shown, trouble = seen(page, (folder / f"{name}.html").as_uri(), folder)
            (LOOKS / f"{name}.png").write_bytes(cv2.imencode(".png", shown)[1].tobytes())
            print(name, *trouble, sep="\n  ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
