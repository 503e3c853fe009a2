"""Creates the picture of the README, which shows the top of a run's report, and a page that lists its photos.

    python docs/report_picture.py RUN ATTRIBUTION.csv

RUN is a run on photos whose licences permit showing them. ATTRIBUTION.csv has the columns file, author, source,
licence, and must list every photo in the picture.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
WIDTH_PX, HEIGHT_PX = 1080, 1125
FLAGS = ["--no-sandbox", "--disable-gpu"]
#: Returns the file names of the photos that are completely or partly visible.
SEEN = """height => [...document.querySelectorAll('figure')]
    .filter(figure => figure.querySelector('.file') && figure.getBoundingClientRect().top < height)
    .map(figure => figure.querySelector('.file').textContent)"""


def licence(address: str) -> str:
    """The name of a Creative Commons licence, such as CC BY 2.0, from its address."""
    found = re.search(r"/licenses/([a-z-]+)/([0-9.]+)", address)
    if found is None:
        sys.exit(f"{address} is not the address of a Creative Commons licence.")
    return f"CC {found[1].upper()} {found[2]}"


def main(run: Path, attribution: Path) -> None:
    with attribution.open(encoding="utf-8", newline="") as file:
        known = {row["file"]: row for row in csv.DictReader(file)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, color_scheme="light")
        page.goto((run / "report.html").resolve().as_uri())
        shown = list(dict.fromkeys(page.evaluate(SEEN, HEIGHT_PX)))
        if unknown := [name for name in shown if name not in known]:
            sys.exit(f"No licence is known for {', '.join(unknown)}.")
        page.screenshot(path=DOCS / "report.jpg", type="jpeg", quality=82)
        browser.close()
    rows = [known[name] for name in shown]
    lines = [f"- {row['author']}, <{row['source']}>, [{licence(row['licence'])}]({row['licence']})" for row in rows]
    text = (
        "# The picture of a report\n\n![The top of a report](report.jpg)\n\n"
        "The picture shows the top of `report.html` of `zoo train mobilenetv2 --data photos/` on 429 photos in seven\n"
        "groups. It was created by `python docs/report_picture.py RUN ATTRIBUTION.csv`. It contains the following\n"
        "photos, reduced in size. Beside each photo is a copy in which the evidence for the predicted class is\n"
        "coloured:\n\n" + "\n".join([*lines, ""])
    )
    (DOCS / "report-picture.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
