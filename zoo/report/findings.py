"""The content of the report, read from the folder of a finished run. Missing parts of an older run are empty."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.errors import UsageError
from zoo.evaluation.predictions import Predictions
from zoo.images import ImageError, load_image
from zoo.report.grids import MOST_MISTAKES, Mistake, Picture
from zoo.run_folder import Run
from zoo.run_folder.info import Metrics


class Pictures:
    """Loads images of a run by their name in ``split.csv``, preprocessed as for the model."""

    def __init__(self, run: Run, contents: dict[str, str]) -> None:
        """
        Args:
            run: The run.
            contents: SHA-256 by name. A file with another content is not the image of the run.
        """
        data = run.info.data
        source = Path(data.source or ".")
        self._roots = [Path(root) for root in (data.root, source, source.parent) if root]
        self._spec = run.image_spec
        self._contents = contents

    def load(self, name: str) -> Picture:
        """The image, ``(height, width, 3)`` uint8 RGB. ``None`` if the file is missing, changed or unreadable."""
        for root in self._roots:
            path = root / name
            try:
                if path.is_file() and self._unchanged(path, name):
                    return load_image(path, self._spec)
            except (OSError, ImageError):
                continue
        return None

    def _unchanged(self, path: Path, name: str) -> bool:
        expected = self._contents.get(name)
        if not expected:
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == expected


_MOST_SAMPLES = 42
_MOST_SAMPLES_OF_A_CLASS = 6


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The content of a run that the report shows.

    Args:
        run: The run.
        metrics: ``metrics.json``.
        history: Columns of ``history.csv``.
        counts: ``{split: {label: images}}``, without empty splits.
        mistakes: The wrong predictions, the most confident first, at most 24.
        mistakes_in_all: Total number of wrong predictions.
        samples: A few training images of each class, by class name.
        skipped: Rows of ``skipped.csv``.
    """

    run: Run
    metrics: Metrics
    history: dict[str, list[float]]
    counts: dict[str, Mapping[str, int]]
    mistakes: list[Mistake]
    mistakes_in_all: int
    samples: dict[str, list[Picture]]
    skipped: list[dict[str, str]]

    @property
    def epochs(self) -> int:
        """Number of trained epochs."""
        return max((len(column) for column in self.history.values()), default=0)


def read_findings(run: Run) -> Findings:
    """Reads a run folder and the photographs that the page shows.

    Raises:
        UsageError: The run is not finished.
        TrainingError: A file of the run is damaged.
    """
    if not run.finished:
        raise UsageError(f"{run.path} is not finished: it has no metrics.json.", "Complete it with --resume.")
    predictions = Predictions.read_csv(run.path / "predictions.csv")
    split = run.split() if (run.path / "split.csv").is_file() else []
    pictures = _pictures(run, split)
    counts = run.info.data.counts
    return Findings(
        run=run,
        metrics=run.metrics,
        history=run.history,
        counts={name: of_class for name, of_class in counts.items() if sum(of_class.values())},
        mistakes=read_mistakes(predictions, pictures.load),
        mistakes_in_all=int((~predictions.correct).sum()),
        samples=_samples(split, run.labels, pictures),
        skipped=run.skipped() if (run.path / "skipped.csv").is_file() else [],
    )


def read_pictures(run: Run) -> Pictures:
    """The images of a run that still exist and are unchanged."""
    return _pictures(run, run.split() if (run.path / "split.csv").is_file() else [])


def _pictures(run: Run, split: list[dict[str, str]]) -> Pictures:
    return Pictures(run, {row["path"]: row.get("sha256") or "" for row in split})


def most_confident(predictions: Predictions, chosen: NDArray[np.bool_], most: int = MOST_MISTAKES) -> list[int]:
    """Rows of the selected images that are predicted with the highest confidence, in descending order."""
    rows = np.flatnonzero(chosen)
    found: list[int] = rows[np.argsort(-predictions.confidence[rows], kind="stable")][:most].tolist()
    return found


def read_mistakes(predictions: Predictions, load: Callable[[str], Picture]) -> list[Mistake]:
    """The wrong predictions with their pictures, the most confident first, at most 24."""
    worst = most_confident(predictions, ~predictions.correct)
    return [
        Mistake(
            file=predictions.files[row],
            true=predictions.labels[int(predictions.true[row])],
            predicted=predictions.labels[int(predictions.predicted[row])],
            confidence=float(predictions.confidence[row]),
            picture=load(predictions.files[row]),
        )
        for row in worst
    ]


def _samples(split: list[dict[str, str]], labels: tuple[str, ...], pictures: Pictures) -> dict[str, list[Picture]]:
    """Training images of each class at equal intervals of the sorted names, because neighbours are often similar."""
    each = min(_MOST_SAMPLES_OF_A_CLASS, max(1, _MOST_SAMPLES // len(labels)))
    samples: dict[str, list[Picture]] = {}
    for label in labels[:_MOST_SAMPLES]:
        names = sorted(row["path"] for row in split if row["label"] == label and row["split"] == "train")
        places = np.unique(np.linspace(0, len(names) - 1, min(each, len(names))).round().astype(int))
        if len(names):
            samples[label] = [pictures.load(names[place]) for place in places]
    return samples
