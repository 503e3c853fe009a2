"""The types of findings of a check, with their severity and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from zoo.errors import UsageError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """A type of finding.

    Args:
        name: Name, as in ``--fail-on``.
        severity: ``error`` makes measured accuracy wrong or loses data; ``warning`` costs accuracy; ``note`` is worth
            knowing.
        title: Heading of the list of findings.
        remedy: What the user should do.
    """

    name: str
    severity: Severity
    title: str
    remedy: str


#: All types of findings, the most severe first.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("unusable", "error", "No classifier can be trained", "Add a folder of photos for each class."),
        Kind(
            "leak",
            "error",
            "The same photo in more than one split",
            "Split the data again with `zoo data split`, which keeps near-duplicates in one split, or remove them"
            " from train.",
        ),
        Kind(
            "contradiction",
            "error",
            "The same photo under more than one label",
            "Keep each only in the class that it shows.",
        ),
        Kind("unreadable", "error", "Files that cannot be used", "Replace or remove them."),
        Kind(
            "altered",
            "warning",
            "Edited copies under another label",
            "If the edit is what the labels distinguish, such as sharp and blurred, ignore this. If not, merge the"
            " classes.",
        ),
        Kind("label", "warning", "Labels to look at", "Look at each photo, and move those in the wrong class."),
        Kind(
            "shortcut",
            "warning",
            "Classes that can be told apart by file properties",
            "Store all classes in the same way. A model may learn how images are stored instead of what they show.",
        ),
        Kind("blank", "warning", "Blank images", "Remove them."),
        Kind("duplicate", "warning", "The same photo more than once in a class", "Keep the best copy of each."),
        Kind(
            "mirrored",
            "note",
            "Mirror images under different labels",
            "If the labels distinguish left and right, ignore this. If not, keep each photo only in the class that"
            " it shows.",
        ),
        Kind("outlier", "note", "Images unlike their class", "Look at them: they may not belong in the dataset."),
        Kind("few", "note", "Classes with few photos", "Add photos. Fifty per class are a good start."),
        Kind("tiny", "note", "Very small images", "Find larger versions."),
        Kind("shape", "note", "Very elongated images", "Crop them to the object."),
        Kind(
            "remark",
            "note",
            "Images that are used despite a problem",
            "Replace them if you have better copies. If an image is nearly black, multiply its samples.",
        ),
        Kind("other", "note", "Files that are not images", "zoo ignores them."),
        Kind("misnamed", "note", "File names with a wrong extension", "Harmless for zoo. Rename them for other tools."),
        Kind("rotated", "note", "Photos with an EXIF rotation", "Harmless for zoo. Other tools may show them rotated."),
        Kind("alpha", "note", "Images with transparency", "zoo composites them on white."),
        Kind("deep", "note", "Images with more than 8 bits", "zoo reduces them to 8 bits."),
    )
}


@dataclass(frozen=True)
class Finding:
    """One finding.

    Args:
        kind: A name in ``KINDS``.
        files: The affected files, relative to the data folder.
        detail: A short description of the problem.
        score: Certainty or severity, higher is worse. Comparable only within one type.
        values: Further values for programs.
    """

    kind: str
    files: tuple[str, ...]
    detail: str
    score: float = 0.0
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    def as_dict(self) -> dict[str, Any]:
        return {"severity": self.severity, **asdict(self)}


def failing(fail_on: str) -> frozenset[str]:
    """The types of findings that ``--fail-on`` selects: all of a severity or worse, named types, or ``never``.

    Raises:
        UsageError: ``fail_on`` contains an unknown word.
    """
    chosen: set[str] = set()
    for word in (part.strip() for part in fail_on.split(",")):
        if word in SEVERITIES:
            worse = SEVERITIES[: SEVERITIES.index(word) + 1]
            chosen |= {kind.name for kind in KINDS.values() if kind.severity in worse}
        elif word in KINDS:
            chosen.add(word)
        elif word != "never":
            known = ", ".join((*SEVERITIES, "never", *KINDS))
            raise UsageError(f"--fail-on does not know {word!r}.", f"Known: {known}. Separate several by commas.")
    return frozenset(chosen)
