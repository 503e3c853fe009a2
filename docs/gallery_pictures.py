"""Takes the pictures of the gallery, and names the authors of the photos in them in `docs/gallery.md`.

    python docs/gallery_pictures.py RUNS PHOTOS ATTRIBUTION.csv

The folder RUNS contains `photos`, a run on PHOTOS that was exported with `--format web --with-map` and with `--format
tflite --precision int8`; `small`, another run on PHOTOS; and `best-photos.search`. The licences of PHOTOS must permit
showing them. ATTRIBUTION.csv names their authors in the columns file, author, source, licence.
"""

from __future__ import annotations

import csv
import hashlib
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from report_picture import FLAGS, licence

DOCS = Path(__file__).parent
PICTURES = DOCS / "gallery"
WIDE = {"width": 1000, "height": 760}
PHONE = {"width": 390, "height": 760}
#: The photo that the page for browsers classifies.
ASKED = "bird"
#: Style sheet that makes a model card look as on a code host.
CARD = """body{font:15px/1.6 sans-serif;max-width:860px;margin:28px auto;color:#1f2328}
code{background:#eff1f3;padding:2px 5px}
pre{background:#f6f8fa;padding:12px;overflow:auto}pre code{background:none;padding:0}table{border-collapse:collapse}
td,th{border:1px solid #d1d9e0;padding:5px 12px}h1,h2{border-bottom:1px solid #d1d9e0;padding-bottom:6px}"""


def main(runs: Path, photos: Path, attribution: Path) -> None:
    PICTURES.mkdir(exist_ok=True)
    exports = runs / "photos" / "exports"
    web = exports / "mobilenetv2-web-float16"
    asked = sorted((photos / ASKED).iterdir())[0]
    with sync_playwright() as playwright, served(web) as address:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)

        def opened(address: str, size: dict[str, int] = WIDE, scheme: str = "light") -> Any:
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(address)
            return page

        def take(page: Any, name: str) -> None:
            page.screenshot(path=PICTURES / f"{name}.jpg", type="jpeg", quality=80)
            page.close()

        report = (runs / "photos" / "report.html").resolve().as_uri()
        for name, section in (("confusion", "#confusion"), ("map", "#map")):
            page = opened(report, PHONE, "dark")
            page.evaluate("section => document.querySelector(section).scrollIntoView()", section)
            take(page, name)
        take(opened((runs / "best-photos.search" / "search.html").resolve().as_uri()), "search")
        take(opened((exports / "mobilenetv2-tflite-int8" / "verify.html").resolve().as_uri()), "verify")
        take(opened(compared(runs).as_uri()), "compare")
        card = (exports / "mobilenetv2-tflite-int8" / "README.md").read_text(encoding="utf-8")
        page = browser.new_page(viewport=WIDE)
        page.set_content(f"<style>{CARD}</style>{MarkdownIt('commonmark').enable('table').render(card)}")
        take(page, "card")
        page = opened(address)
        page.wait_for_selector("body[data-selftest=passed]", timeout=120_000)
        page.set_input_files("#file", asked)
        page.wait_for_selector("body:not(.busy) #result:not([hidden])")
        page.wait_for_timeout(1000)
        take(page, "browser")
        browser.close()
    golden = [hashed(file) for file in (web / "golden").glob("photo-*")]
    shown = [asked, *(file for file in sorted(photos.rglob("*.jpg")) if hashed(file) in golden)]
    write_authors([file.relative_to(photos).as_posix() for file in dict.fromkeys(shown)], attribution)


def hashed(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def compared(runs: Path) -> Path:
    """Writes the page of `zoo compare`, and returns its path."""
    page = runs.resolve() / "compare.html"
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "compare", "photos", "small"]
    subprocess.run([*command, "--runs", str(runs), "--html", str(page)], stdout=subprocess.DEVNULL, check=True)
    return page


def write_authors(names: list[str], attribution: Path) -> None:
    with attribution.open(encoding="utf-8", newline="") as file:
        known = {row["file"]: row for row in csv.DictReader(file)}
    rows = [known[name] for name in names]
    lines = [f"- {row['author']}, <{row['source']}>, [{licence(row['licence'])}]({row['licence']})" for row in rows]
    page = DOCS / "gallery.md"
    before, heading, _ = page.read_text(encoding="utf-8").partition("## Authors of the photos\n")
    page.write_text("\n".join([before + heading, *lines, ""]), encoding="utf-8")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
