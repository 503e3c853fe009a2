"""A check of a dataset on one page that needs no network, no script and no other file: the pictures side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import cv2
import numpy as np

from zoo.audit.audit import Audit
from zoo.audit.composition import parts
from zoo.audit.findings import KINDS, Finding
from zoo.audit.photos import Photo
from zoo.audit.text import sentence, to_mend
from zoo.report.grids import Picture
from zoo.report.markup import Column, esc, key_figures, name, section, table, tile, tiles
from zoo.report.page import write_page
from zoo.report.text import ABSENT, percent, plural, thousands

#: Findings of a kind that are shown with their pictures; all are in the output of ``--json``.
MOST_SHOWN = 60
_MOST_OF_A_GROUP = 8
_SIDE_BY_SIDE = ("leak", "contradiction", "altered", "duplicate", "mirrored")


def write_audit_page(found: Audit, path: Path) -> Path:
    """Writes the page.

    Args:
        found: The check. Its pictures come from the cache, as they were checked.
        path: Of the page.

    Returns:
        ``path``.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    pictures = _Pictures(found)
    parts = [
        _mend(found),
        *(_kind(found, kind, findings, pictures) for kind, findings in found.by_kind.items()),
        _counts(found),
        _facts(found),
    ]
    title = PurePath(found.photos.source).name
    write_page(
        path,
        title=f"Check of {title}",
        heading=f"Check of {name(title)}",
        run=esc(found.photos.source),
        verdict=_verdict(found),
        key_figures=_key_figures(found),
        sections=parts,
    )
    return path


class _Pictures:
    """The checked pictures by file name, in their own shape again."""

    def __init__(self, found: Audit) -> None:
        self._found = found
        self._places = {photo.name: place for place, photo in enumerate(found.photos.photos)}

    def photo(self, file: str) -> Photo | None:
        return self._found.photos.photos[self._places[file]] if file in self._places else None

    def picture(self, file: str) -> Picture:
        if file not in self._places:
            return None
        place = self._places[file]
        facts = self._found.photos.photos[place].facts
        squashed = self._found.photos.pixels.read([place])[0]
        longest = max(facts.width_px, facts.height_px)
        width, height = (max(8, round(224 * side / longest)) for side in (facts.width_px, facts.height_px))
        return np.asarray(cv2.resize(squashed, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _verdict(found: Audit) -> str:
    worst = {KINDS[kind].severity for kind in found.by_kind}
    if "error" in worst:
        return '<strong class="failed">Mend this first</strong>: errors make measured accuracy wrong, or lose data.'
    if "warning" in worst:
        return "<strong>No errors</strong>, and some warnings that cost accuracy."
    return "<strong>Clean</strong>: no errors and no warnings."


def _key_figures(found: Audit) -> str:
    severities = Counter(finding.severity for finding in found.findings)
    shown = [
        ("Pictures", thousands(len(found.photos)), f"in {plural(len(found.photos.labels), 'class')}"),
        ("Not usable", thousands(len(found.photos.skipped)), "files"),
        *((f"{word.capitalize()}s", thousands(severities[word]), "") for word in ("error", "warning", "note")),
    ]
    for split, (twins, of) in found.leaked.items():
        shown.append((f"Twins in {split}", percent(twins / of), f"{thousands(twins)} of {plural(of, 'image')}"))
    return key_figures((esc(title), value, note) for title, value, note in shown)


def _mend(found: Audit) -> str:
    items = "".join(f"<li>{esc(said)}<br><small>{esc(remedy)}</small></li>" for said, remedy in to_mend(found))
    return section("mend", "Mend first", f"<ol>{items}</ol>") if items else ""


def _kind(found: Audit, kind: str, findings: Sequence[Finding], pictures: _Pictures) -> str:
    about = KINDS[kind]
    intro = f"<p>{esc(sentence(found, kind, findings))} {esc(about.remedy)}</p>"
    shown = findings[:MOST_SHOWN]
    left = len(findings) - len(shown)
    more = f"<p>{thousands(left)} more are in the output of <code>--json</code>.</p>" if left else ""
    if kind in _SIDE_BY_SIDE:
        body = "\n".join(_group(finding, pictures) for finding in shown)
    elif kind == "unreadable":
        columns = (Column("File", figures=False), Column("Reason", figures=False))
        rows = [(name(finding.files[0]), esc(finding.detail)) for finding in shown]
        body = table(about.title, columns, rows, quiet=True)
    elif shown[0].files:
        body = tiles((_tile(finding.files[0], pictures, finding.detail) for finding in shown), "mistakes")
    else:
        body = "<ul>" + "".join(f"<li>{esc(finding.detail)}</li>" for finding in shown) + "</ul>"
    return section(kind, esc(f"{about.title}: {len(findings)}"), intro, body, more)


def _group(finding: Finding, pictures: _Pictures) -> str:
    shown = finding.files[:_MOST_OF_A_GROUP]
    left = len(finding.files) - len(shown)
    more = f", {thousands(left)} more not shown" if left else ""
    gallery = tiles((_tile(file, pictures) for file in shown), "mistakes")
    return f"<h3>{esc(finding.detail)}{more}</h3>\n{gallery}"


def _tile(file: str, pictures: _Pictures, detail: str = "") -> str:
    photo = pictures.photo(file)
    lines = [f"<b>{esc(detail)}</b>"] if detail else []
    if photo is not None:
        where = f"{photo.split}, {photo.label}" if photo.split else photo.label
        lines += [name(where), esc(f"{photo.facts.width_px} x {photo.facts.height_px} px")]
    lines.append(f'<span class="file">{name(file)}</span>')
    return tile(pictures.picture(file), file, *lines)


def _counts(found: Audit) -> str:
    counts = found.photos.counts
    columns = (Column("Class", figures=False), *(Column(split or "Pictures") for split in counts))
    rows = [
        (name(label), *(thousands(of_split[label]) for of_split in counts.values())) for label in found.photos.labels
    ]
    return section("classes", "Classes", table("Pictures of each class", columns, rows, quiet=True))


def _facts(found: Audit) -> str:
    photos = found.photos.photos
    rows = []
    for title, values in (
        ("Format", Counter(photo.facts.format for photo in photos)),
        ("Mode", Counter(photo.facts.mode for photo in photos)),
        ("Bits of a sample", Counter(str(photo.facts.bits) for photo in photos)),
        ("Megapixels", Counter(_megapixels(photo) for photo in photos)),
    ):
        rows += [(esc(title), esc(value), thousands(count)) for value, count in values.most_common()]
    columns = (Column("What", figures=False), Column("Value", figures=False), Column("Pictures"))
    return section("files", "Files", table("Formats, modes and sizes", columns, rows, quiet=True), _by_class(found))


def _by_class(found: Audit) -> str:
    """The same of each class in each split."""
    three = "smallest, median and largest"
    columns = (
        Column("Class", figures=False),
        Column("Split", figures=False),
        Column("Pictures"),
        Column("Formats", figures=False),
        Column("Modes", figures=False),
        Column("Width, px", three),
        Column("Height, px", three),
        Column("File, kB", three),
    )
    rows = [
        (
            name(part.label),
            esc(part.split or ABSENT),
            thousands(part.pictures),
            _listed(part.formats),
            _listed(part.modes),
            *(
                " / ".join(thousands(value) for value in part.sizes[side].values())
                for side in ("width_px", "height_px")
            ),
            " / ".join(f"{value / 1000:.1f}" for value in part.sizes["file_bytes"].values()),
        )
        for part in parts(found.photos)
    ]
    return table("Of each class and split; sizes are the smallest, the median and the largest", columns, rows)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{esc(value)} {thousands(count)}" for value, count in counts.items())


def _megapixels(photo: Photo) -> str:
    size = photo.facts.width_px * photo.facts.height_px / 1e6
    for limit in (0.01, 0.1, 0.5, 1, 5, 20):
        if size < limit:
            return f"below {limit:g}"
    return "20 and more"
