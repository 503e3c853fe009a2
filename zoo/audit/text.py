"""The result of a check as text for a terminal: what to fix first, then an overview, then the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from zoo.audit.audit import Audit
from zoo.audit.findings import KINDS, SEVERITIES, Finding
from zoo.audit.suspects import MEASURED
from zoo.figures import percent
from zoo.table import Column, table

#: Number of findings of a type that are listed; the others are only counted.
_NAMED = 5
_FIRST = 3


def summary(found: Audit, width: int | None = None) -> Iterator[str]:
    """Lines of text. Names may contain any character. Printing escapes control characters.

    Args:
        found: The result of the check.
        width: Width of the window in columns. ``None``: unlimited.
    """
    photos = found.photos
    first = to_mend(found)
    if first:
        yield "Fix first"
        for number, (sentence, remedy) in enumerate(first, start=1):
            yield f"  {number}. {sentence}"
            yield f"     {remedy}"
        yield ""
    else:
        yield "No problems found."
    yield f"{len(photos)} usable images in {len(photos.labels)} classes, {len(photos.skipped)} unusable files"
    yield from _counts(found, width)
    facts = [photo.facts for photo in photos.photos]
    said = [
        ("formats", _shares(fact.format for fact in facts)),
        ("modes", _shares(_mode(fact.mode, fact.bits, fact.alpha) for fact in facts)),
        ("sizes", _sizes(found)),
    ]
    yield from table((Column("", "name"), Column("", "text")), said, width, "  ").splitlines()
    if found.backbone is None:
        yield "  No architecture with a pretrained backbone is installed, so labels were not checked."
    for note in photos.notes:
        yield f"  Note: {note}"
    for kind, findings in found.by_kind.items():
        yield ""
        yield f"{KINDS[kind].title}: {len(findings)} ({KINDS[kind].severity})"
        for finding in findings[:_NAMED]:
            yield f"  {_named(finding)}"
        if len(findings) > _NAMED:
            yield f"  and {len(findings) - _NAMED} more: use --json or --html to see all"


def to_mend(found: Audit) -> list[tuple[str, str]]:
    """The three most severe types of findings, each as a sentence with its remedy."""
    kinds = sorted(found.by_kind.items(), key=lambda item: SEVERITIES.index(KINDS[item[0]].severity))
    return [(sentence(found, kind, findings), KINDS[kind].remedy) for kind, findings in kinds[:_FIRST]]


def sentence(found: Audit, kind: str, findings: Sequence[Finding]) -> str:
    """One sentence that summarises all findings of a type."""
    count = len(findings)
    files = len({name for finding in findings for name in finding.files})
    if kind == "leak":
        parts = [_leaked(split, count, of) for split, (count, of) in found.leaked.items() if count]
        what = "; ".join(parts) or f"{count} photos are in more than one split"
        return f"{what}. Accuracy measured on them is too high."
    if kind == "contradiction":
        return f"{_photos(count)} under more than one label ({files} files)."
    if kind == "altered":
        return (
            f"{_photos(count)} also present as an edited copy under another label ({files} files), including at least"
            " half of a class."
        )
    if kind == "mirrored":
        return f"{_photos(count)} also present as a mirror image under another label ({files} files)."
    if kind == "duplicate":
        return f"{_photos(count)} more than once in a class ({files} files)."
    if kind == "label":
        return f"{count} label{'s' if count > 1 else ''} to look at, for example {_named(findings[0])}. {MEASURED}"
    if kind == "unreadable":
        return f"{count} file{'s' if count > 1 else ''} cannot be used, for example {_named(findings[0])}."
    if not files:
        return f"{KINDS[kind].title}: {'; '.join(finding.detail for finding in findings[:3])}."
    return f"{KINDS[kind].title}: {files}, for example {_named(findings[0])}."


def _leaked(split: str, count: int, of: int) -> str:
    earlier = "train" if split == "val" else "train or val"
    return f"{count} of {of} {split} images ({percent(count / of, 0)}) have a near-duplicate in {earlier}"


def _photos(count: int) -> str:
    return f"{count} photos are" if count > 1 else "1 photo is"


def _named(finding: Finding) -> str:
    shown = ", ".join(finding.files[:3]) + (f" and {len(finding.files) - 3} more" if len(finding.files) > 3 else "")
    return f"{shown}: {finding.detail}" if shown else finding.detail


def _counts(found: Audit, width: int | None) -> Iterator[str]:
    counts = found.photos.counts
    divided = list(counts) != [""]
    heads = [split or "none" if divided else "" for split in counts]
    columns = [Column("class" if divided else "", "name"), *map(Column, heads)]
    rows = [(label, *(str(counts[split][label]) for split in counts)) for label in found.photos.labels[:_MOST_CLASSES]]
    yield from table(columns, rows, width, "  ").splitlines()
    if len(found.photos.labels) > _MOST_CLASSES:
        yield f"  and {len(found.photos.labels) - _MOST_CLASSES} more classes"


_MOST_CLASSES = 20


def _mode(mode: str, bits: int, alpha: bool) -> str:
    return mode + (f" of {bits} bits" if bits > 8 else "") + (" with transparency" if alpha else "")


def _shares(values: Iterator[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(values).most_common())


def _sizes(found: Audit) -> str:
    photos = sorted(found.photos.photos, key=lambda photo: photo.facts.width_px * photo.facts.height_px)
    small, middle, large = (photos[place].facts for place in (0, len(photos) // 2, -1))
    sizes = " to ".join(f"{facts.width_px} x {facts.height_px}" for facts in (small, large))
    total = sum(photo.size_bytes for photo in photos)
    return f"{sizes} px, median {middle.width_px} x {middle.height_px}; {total / 1e6:.1f} MB in all"
