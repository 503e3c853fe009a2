"""What a check can find, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from zoo.errors import UsageError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Args:
        name: What ``--fail-on`` takes.
        severity: ``error`` makes measured accuracy wrong or loses data; ``warning`` costs accuracy; ``note`` is worth
            knowing.
        title: Heading of a list of them.
        remedy: What to do.
    """

    name: str
    severity: Severity
    title: str
    remedy: str


#: The worst first.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("unusable", "error", "No classifier can be trained", "Add a folder of photos for each class."),
        Kind(
            "leak",
            "error",
            "The same photo in more than one split",
            "Split anew with `zoo data split`, which keeps twins on one side, or remove them from train.",
        ),
        Kind("contradiction", "error", "The same photo under more than one label", "Keep it in the class it shows."),
        Kind("unreadable", "error", "Files that cannot be used", "Replace or remove them."),
        Kind(
            "altered",
            "warning",
            "The same photos under two labels, altered",
            "If what was altered is what the labels mean, such as sharp and blurred, all is well. If not, merge them.",
        ),
        Kind("label", "warning", "Labels to look at", "Look at each photo, and move those in the wrong class."),
        Kind(
            "shortcut",
            "warning",
            "Classes that their files give away",
            "Make the files of all classes alike: a model may learn how they are stored instead of what they show.",
        ),
        Kind("blank", "warning", "Pictures that show nothing", "Remove them."),
        Kind("duplicate", "warning", "The same photo more than once in a class", "Keep the best copy of each."),
        Kind(
            "mirrored",
            "note",
            "Mirror images under different labels",
            "If left and right is what the labels mean, all is well. If not, keep each photo in the class it shows.",
        ),
        Kind("outlier", "note", "Pictures unlike their class", "Look at them: they may be junk."),
        Kind("few", "note", "Classes with few photos", "Add photos: fifty a class are a beginning."),
        Kind("tiny", "note", "Pictures of few pixels", "Find larger versions."),
        Kind("shape", "note", "Very long or very high pictures", "Crop them to what they show."),
        Kind(
            "remark",
            "note",
            "Pictures that are used although something is odd",
            "Replace them if you have better copies; multiply the samples of a picture that is nearly black.",
        ),
        Kind("other", "note", "Files that are no photos", "zoo leaves them out."),
        Kind("misnamed", "note", "Names that say another format", "Harmless for zoo; rename for other tools."),
        Kind("rotated", "note", "Photos that EXIF turns", "Harmless for zoo; other tools may show them lying."),
        Kind("alpha", "note", "Pictures with transparency", "zoo lays them on white."),
        Kind("deep", "note", "Pictures of more than 8 bits", "zoo reduces them to 8."),
    )
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Args:
        kind: A name in ``KINDS``.
        files: The files it is about, relative to the data folder.
        detail: What is wrong with them, a few words.
        score: How sure or how bad, the higher the more; comparable within a kind only.
        values: More of it for machines.
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
    """The kinds of findings that ``--fail-on`` names: a severity and all that is worse, kinds, or ``never``.

    Raises:
        UsageError: Something else.
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
            raise UsageError(f"--fail-on does not know {word!r}.", f"Known: {known}; several with commas between.")
    return frozenset(chosen)
