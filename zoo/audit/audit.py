"""The complete check of a dataset, with all findings in one record."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.audit.composition import parts, shortcut_findings, sizes
from zoo.audit.duplicates import MOST_WITH_CROPS, NearDuplicates, find_near_duplicates, groups, unmirrored_groups
from zoo.audit.features import Features, backbone_features, features_key, find_backbone
from zoo.audit.files import file_findings
from zoo.audit.findings import KINDS, Finding
from zoo.audit.photos import Photos, read_photos
from zoo.audit.records import Records
from zoo.audit.repeats import known_as, near_duplicate_findings
from zoo.audit.suspects import LabelSuspect, Outlier, label_suspects, outliers
from zoo.data.reading import read_here
from zoo.errors import ClusterError, DataError, ZooError
from zoo.evaluation.photo_cluster import PhotoCluster
from zoo.figures import percent
from zoo.interfaces import Architecture
from zoo.machine import usable_memory_bytes
from zoo.records import read_object
from zoo.registry import Offer
from zoo.reporter import Reporter
from zoo.terminal import readable

#: Increased whenever the same features lead to other suspects.
_SUSPECTS_KIND = "suspects-3"

#: Memory in bytes for each photo, measured with 1000 and 2000 drawn photos: the photo with everything that is known
#: about it, its fingerprints if crops are searched without features, and the probability of a class.
_PHOTO, _FINGERPRINTS, _PROBABILITY = 5_000, 11_000, 8

#: Types of findings whose labels differ in details that a backbone hardly represents, such as left and right. They are
#: not reported as label errors.
_TOLD_APART = ("mirrored", "altered")


@dataclass(frozen=True)
class Audit:
    """Result of a check.

    Args:
        photos: The dataset.
        near_duplicates: Pairs of near-duplicates.
        group: The duplicate group of each image. Near-duplicates are in the same group.
        unmirrored: Like ``group``, but an image and its mirror image are in different groups.
        findings: All findings, most severe first.
        backbone: Architecture whose features were used. ``None`` if there was none, so that labels were not checked.
    """

    photos: Photos
    near_duplicates: tuple[NearDuplicates, ...]
    group: NDArray[np.int64]
    unmirrored: NDArray[np.int64]
    findings: tuple[Finding, ...]
    backbone: str | None

    def __str__(self) -> str:
        from zoo.audit.text import summary

        return readable("\n".join(summary(self)), keep="\n")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # shown if it is the last expression of a notebook cell

    @cached_property
    def by_kind(self) -> Mapping[str, list[Finding]]:
        """Findings by type, most severe type first. Types without findings are left out."""
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            found.setdefault(finding.kind, []).append(finding)
        return found

    @cached_property
    def leaked(self) -> Mapping[str, tuple[int, int]]:
        """For ``test`` and ``val``: ``(images with a near-duplicate in an earlier split, all images)``."""
        splits = [photo.split for photo in self.photos.photos]
        known = known_as(self.photos, self.group, self.unmirrored)
        found = {}
        for split, earlier in (("test", {"train", "val"}), ("val", {"train"})):
            mine = [index for index, name in enumerate(splits) if name == split]
            others = {name for index, names in enumerate(known) if splits[index] in earlier for name in names}
            if mine and others:
                found[split] = (sum(not others.isdisjoint(known[index]) for index in mine), len(mine))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Everything, as ``--json`` prints it."""
        photos = self.photos
        names = [photo.name for photo in photos.photos]
        return {
            "source": photos.source,
            "files": len(photos) + len(photos.skipped),
            "usable": len(photos),
            "counts": photos.counts,
            "formats": Counter(photo.facts.format for photo in photos.photos),
            "modes": Counter(photo.facts.mode for photo in photos.photos),
            "sizes": sizes(photos.photos),
            "by_class": [asdict(part) for part in parts(photos)],
            "leaked": {split: {"near_duplicates": count, "of": of} for split, (count, of) in self.leaked.items()},
            "found": {kind: len(findings) for kind, findings in self.by_kind.items()},
            "findings": [finding.as_dict() for finding in self.findings],
            "near_duplicates": [
                {**asdict(pair), "first": names[pair.first], "second": names[pair.second]}
                for pair in self.near_duplicates
            ],
            "skipped": [asdict(item) for item in photos.skipped],
            "notes": list(photos.notes),
            "backbone": self.backbone,
        }


def audit(
    source: str,
    *,
    backbone: str | None = None,
    start_backend: Callable[[], object] = lambda: None,
    reporter: Reporter | None = None,
    cluster: PhotoCluster | None = None,
) -> Audit:
    """Checks all files of ``source``. Only the cache is written.

    Args:
        source: A folder, a CSV file, or the name of a dataset.
        backbone: Architecture whose pretrained features are used. ``None``: the first that has pretrained weights.
        start_backend: Called before Keras is imported.
        reporter: Receives the progress.
        cluster: Reads the images and computes their features. ``None``: this process.

    Raises:
        UsageError: The source or the backbone does not exist.
        DataError: No file of the source can be used, or the comparison of so many files does not fit into memory.
        ClusterError: The cluster cannot be reached, or its connection is lost.
    """
    offer = find_backbone(backbone)
    with Records() as records:
        photos, features, near_duplicates = _read(
            source, offer, backbone is not None, records, start_backend, reporter, cluster, checks_labels=True
        )
        group, unmirrored = groups(len(photos), near_duplicates), unmirrored_groups(len(photos), near_duplicates)
        findings = [*file_findings(photos), *shortcut_findings(photos)]
        findings += near_duplicate_findings(photos, near_duplicates, group, unmirrored)
        if offer and features is not None:
            told_apart = {file for finding in findings if finding.kind in _TOLD_APART for file in finding.files}
            suspects = _suspect_findings(photos, features, group, features_key(offer), records, reporter)
            findings += [item for item in suspects if item.kind != "label" or item.files[0] not in told_apart]
    order = list(KINDS)
    findings.sort(key=lambda finding: (order.index(finding.kind), -finding.score))
    looked_by = offer.record.name if offer and features is not None else None
    return Audit(photos, tuple(near_duplicates), group, unmirrored, tuple(findings), looked_by)


def read_and_compare(
    source: str, backbone: str | None, start_backend: Callable[[], object], reporter: Reporter
) -> tuple[Photos, list[NearDuplicates]]:
    """Reads the images of ``source`` and finds near-duplicates among them.

    Arguments and errors are those of ``audit``.
    """
    with Records() as records:
        offer, wanted = find_backbone(backbone), backbone is not None
        photos, _, near_duplicates = _read(source, offer, wanted, records, start_backend, reporter)
    return photos, near_duplicates


def _read(
    source: str,
    offer: Offer[Architecture] | None,
    wanted: bool,
    records: Records,
    start_backend: Callable[[], object],
    reporter: Reporter | None,
    cluster: PhotoCluster | None = None,
    *,
    checks_labels: bool = False,
) -> tuple[Photos, Features | None, list[NearDuplicates]]:
    def refuse(files: int, classes: int) -> None:
        each = _PHOTO
        if offer is None and files <= MOST_WITH_CROPS:
            each += _FINGERPRINTS
        if offer and checks_labels:
            each += _PROBABILITY * classes
        _refuse_large(source, files, files * each)

    reporter = reporter or Reporter()
    reader = cluster.read if cluster else read_here
    photos = read_photos(source, records, reporter.counter("reading"), reader, refuse, reporter.stage)
    if not len(photos):
        raise _nothing(photos)
    features = None
    if offer:
        try:
            features = backbone_features(photos, offer, start_backend, reporter.counter("looking"), cluster)
        except ClusterError:
            raise
        except ZooError as error:
            if wanted:
                raise
            # The user did not ask for this backbone, and near-duplicates are found without one.
            reporter.note(f"Labels and outliers are not checked: {error.message}")
    if features is None and len(photos) > MOST_WITH_CROPS:
        reporter.note(f"Cropped copies are not searched: there are more than {MOST_WITH_CROPS} images and no features.")
    key = features_key(offer) if offer and features is not None else ""
    found = find_near_duplicates(photos, features, records, reporter.counter, features_key=key)
    return photos, features, found


def _refuse_large(source: str, files: int, needed_bytes: int) -> None:
    usable = usable_memory_bytes()
    if usable is not None and needed_bytes > usable:
        raise DataError(
            f"'{source}' has {files} files. To compare them takes about {needed_bytes / 1e9:.1f} GB of memory; this"
            f" machine has {usable / 1e9:.1f} GB.",
            "Use a machine with more memory, or give a part of the photos.",
        )


def _nothing(photos: Photos) -> DataError:
    first = photos.skipped[0]
    return DataError(
        f"None of the {len(photos.skipped)} file(s) of '{photos.source}' can be used"
        f" (for example {first.name!r}: {first.reason}).",
        "The expected layout is photos/<class>/*.jpg.",
    )


def _suspect_findings(
    photos: Photos,
    features: Features,
    group: NDArray[np.int64],
    key: str,
    records: Records,
    reporter: Reporter | None,
) -> list[Finding]:
    position = {label: index for index, label in enumerate(photos.labels)}
    classes = np.array([position[photo.label] for photo in photos.photos], np.int64)
    state = hashlib.sha256(key.encode())
    state.update(repr((photos.contents, classes.tolist(), group.tolist())).encode())
    known = records.read(_SUSPECTS_KIND, [state.hexdigest()]).get(state.hexdigest())
    if known is None:
        counter = (reporter or Reporter()).counter
        wrong = label_suspects(features, classes, group, counter("checking labels"))
        far = outliers(features, classes, group, counter("searching outliers"))
        found = {"labels": [asdict(item) for item in wrong], "outliers": [asdict(item) for item in far]}
        records.write(_SUSPECTS_KIND, {state.hexdigest(): json.dumps(found)})
    else:
        said = read_object(known)
        wrong = [LabelSuspect(**item) for item in said["labels"]]
        far = [Outlier(**item) for item in said["outliers"]]
    findings = [_label_finding(photos, suspect) for suspect in wrong]
    suspected = {suspect.index for suspect in wrong}
    for outlier in far:
        if outlier.index not in suspected:
            photo = photos.photos[outlier.index]
            detail = f"{outlier.distance:.1f} times the usual distance from its neighbours in {photo.label}"
            findings.append(Finding("outlier", (photo.name,), detail, outlier.distance))
    return findings


def _label_finding(photos: Photos, suspect: LabelSuspect) -> Finding:
    photo, suggested = photos.photos[suspect.index], photos.labels[suspect.suggested]
    shares = f"{percent(suspect.confidence, 0)} against {percent(suspect.own, 0)}"
    detail = f"labelled {photo.label}, looks like {suggested} ({shares}), evidence {suspect.evidence:.2f}"
    values = {
        "label": photo.label,
        "suggested": suggested,
        "confidence": round(suspect.confidence, 4),
        "evidence": round(suspect.evidence, 4),
    }
    return Finding("label", (photo.name,), detail, suspect.evidence, values)
