"""The frame of a page: one file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from string import Template

from zoo import __version__
from zoo.atomic import make_folder, write_bytes
from zoo.report.markup import esc


def write_page(
    path: Path,
    *,
    title: str,
    heading: str,
    run: str,
    verdict: str,
    standing: str = "",
    scale: str = "",
    key_figures: str = "",
    sections: Iterable[str] = (),
    version: str = __version__,
) -> None:
    """Writes a page; the folder is made where it is missing.

    Args:
        path: Of the file.
        title: Text of the window's title; all others but ``version`` are HTML.
        heading, run, verdict: Of the page, the small line above the heading, and the sentence below it.
        standing: ``unsure`` draws the sentence in amber, ``worse`` as a mistake.
        scale: A picture of the figure in that sentence.
        key_figures: A list of figures below that.
        sections: The rest; empty ones are left out.
        version: Of zoo that made what the page shows.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    resources = files("zoo.report")
    page = Template(resources.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        style=resources.joinpath("page.css").read_text(encoding="utf-8"),
        title=esc(title),
        heading=heading,
        run=run,
        verdict=verdict,
        standing=esc(standing),
        scale=scale,
        key_figures=key_figures,
        sections="\n\n".join(part for part in sections if part),
        version=esc(version),
    )
    make_folder(path.parent)
    write_bytes(path, page.encode("utf-8"))
