"""The comparison of runs, with tests of whether their differences are significant."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from zoo.errors import UsageError, quoted
from zoo.evaluation import metric
from zoo.evaluation.paired import PairedTest, adjust, paired_test
from zoo.evaluation.predictions import Predictions
from zoo.figures import percent, points
from zoo.recipe import Recipe
from zoo.run_folder import Run
from zoo.table import Column, prose, table


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """One row of the comparison. Shares are from 0 to 1; ``None`` means that the run does not record the value.

    ``scalars`` are the metrics of ``zoo.evaluation.metric`` by name. In JSON, they are on the level of the other
    fields.
    """

    name: str
    architecture: str
    recipe: str | None
    seed: int
    test_images: int
    train_images: int | None
    accuracy: float
    accuracy_interval: tuple[float, float]
    scalars: Mapping[str, float | None]
    parameters: int | None
    train_s: float | None

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        return {**values, **values.pop("scalars")}


@dataclass(frozen=True, kw_only=True)
class SeedGroup:
    """Runs that differ only in their seed: same architecture, recipe, image specification, precision and data.

    Args:
        runs: Number of runs.
        seeds: The distinct seeds. Several runs with the same seed count once, with their mean accuracy.
        accuracy_mean: Mean accuracy over the seeds.
        accuracy_sd: Standard deviation over the seeds (n - 1 in the denominator), 0 to 1. ``None``: only one seed.
    """

    architecture: str
    recipe: str | None
    runs: int
    seeds: tuple[int, ...]
    accuracy_mean: float
    accuracy_sd: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of ``zoo compare``.

    Args:
        runs: The runs, most accurate first.
        pairs: The test of every pair of runs, on the images that both have in their test split.
        groups: Mean and standard deviation of runs that differ only in their seed, if there are several.
        notes: Notes that are needed to interpret the table.
    """

    runs: tuple[RunSummary, ...]
    pairs: tuple[PairedTest, ...]
    groups: tuple[SeedGroup, ...]
    notes: tuple[str, ...]

    @property
    def against_best(self) -> tuple[PairedTest, ...]:
        """The tests of the first run against each other run, in the order of the runs."""
        best = self.runs[0].name
        return tuple(pair for pair in self.pairs if best in (pair.first, pair.second))

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        pairs = [{**asdict(pair), "sentence": pair.sentence} for pair in self.pairs]
        return {**asdict(self), "runs": [run.as_dict() for run in self.runs], "pairs": pairs}

    def __str__(self) -> str:
        return self.render()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # shown if it is the last expression of a notebook cell

    def render(self, width: int | None = None) -> str:
        """Plain text:

        a table of at most ``width`` columns, a sentence on each other run and the best, and the notes.
        """
        blocks = [_runs_table(self.runs, width)]
        if self.groups:
            blocks.append(_groups_table(self.groups, width))
        if self.against_best:
            sentences = [pair.sentence for pair in self.against_best]
            if len(sentences) < len(self.pairs):
                sentences.insert(
                    0, f"Comparison of each run with the best (--json contains all {len(self.pairs)} pairs):"
                )
            blocks.append(prose(sentences, width))
        if self.notes:
            blocks.append(prose(self.notes, width))
        return "\n\n".join(blocks)


def compare(runs: Sequence[Run]) -> Comparison:
    """Compares finished runs, and tests each pair on their shared test images.

    With more than two runs, the p values are adjusted over all pairs (Holm), because the best of many runs is partly
    due to chance.

    Raises:
        UsageError: There is no run, a run is named twice or unfinished, class names differ, or two runs share no test
            image.
        TrainingError: A run folder is damaged.
    """
    _check(runs)
    runs = sorted(runs, key=lambda run: (-run.metrics.accuracy, run.name))
    names = _names(runs)
    predictions = [Predictions.read_csv(run.path / "predictions.csv") for run in runs]
    contents = [_contents(run) for run in runs]
    tests = [
        paired_test((names[i], predictions[i], contents[i]), (names[j], predictions[j], contents[j]))
        for i, j in combinations(range(len(runs)), 2)
    ]
    summaries = tuple(_summary(run, name) for run, name in zip(runs, names, strict=True))
    pairs, groups = tuple(adjust(tests)), _groups(runs)
    return Comparison(runs=summaries, pairs=pairs, groups=groups, notes=_notes(runs, summaries, pairs, groups))


def _check(runs: Sequence[Run]) -> None:
    if not runs:
        raise UsageError("There is no run to compare.", "Give run folders, or train a model first.")
    seen: set[str] = set()
    for run in runs:
        if not run.finished:
            raise UsageError(f"{run.path} is not finished: it has no metrics.json.", "Complete it with --resume.")
        where = str(run.path.resolve())
        if where in seen:
            raise UsageError(f"{run.path} is named twice.")
        seen.add(where)
        _check_labels(runs[0], run)


def _check_labels(first: Run, other: Run) -> None:
    missing = sorted(set(first.labels) - set(other.labels))
    added = sorted(set(other.labels) - set(first.labels))
    if missing or added:
        sides = [
            f"only {run.name} has {quoted(names, most=5)}" for run, names in ((first, missing), (other, added)) if names
        ]
        raise UsageError(
            f"{first.name} and {other.name} have different classes: {'; '.join(sides)}.",
            "Only runs with the same classes can be compared.",
        )


def _names(runs: Sequence[Run]) -> list[str]:
    """Folder names, or full paths if two folders have the same name."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _contents(run: Run) -> dict[str, str]:
    """SHA-256 by file name; empty for a run without ``split.csv``."""
    if not (run.path / "split.csv").is_file():
        return {}
    return {row["path"]: row.get("sha256") or "" for row in run.split()}


def _summary(run: Run, name: str) -> RunSummary:
    metrics = run.metrics
    counts = run.info.data.counts.get("train")
    return RunSummary(
        name=name,
        architecture=run.architecture,
        recipe=run.info.recipe_name,
        seed=run.seed,
        test_images=metrics.n,
        train_images=sum(counts.values()) if counts else None,
        accuracy=metrics.accuracy,
        accuracy_interval=metrics.accuracy_interval,
        scalars={each.name: metrics.scalars.get(each.name) for each in metric.METRICS},
        parameters=run.info.parameters,
        train_s=run.info.timings.get("train_s"),
    )


def _groups(runs: Sequence[Run]) -> tuple[SeedGroup, ...]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        info = run.info
        made_with = (info.precision, info.weights, info.options, info.backend)
        settings = (run.architecture, _as_trained(run.recipe), info.image, *made_with, info.data.digest)
        found.setdefault(repr(settings), []).append(run)
    return tuple(_group(group) for group in found.values() if len(group) > 1)


def _as_trained(recipe: Recipe) -> Recipe:
    """The recipe without settings that had no effect.

    It is compared as a record, because earlier releases wrote recipes in another form.
    """
    return recipe if recipe.augments else replace(recipe, augmentation="none")


def _group(runs: Sequence[Run]) -> SeedGroup:
    of_seed: dict[int, list[float]] = {}
    for run in runs:
        of_seed.setdefault(run.seed, []).append(run.metrics.accuracy)
    accuracies = [statistics.fmean(repeated) for repeated in of_seed.values()]
    return SeedGroup(
        architecture=runs[0].architecture,
        recipe=runs[0].info.recipe_name,
        runs=len(runs),
        seeds=tuple(sorted(of_seed)),
        accuracy_mean=statistics.fmean(accuracies),
        accuracy_sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
    )


def _notes(
    runs: Sequence[Run], summaries: Sequence[RunSummary], pairs: Sequence[PairedTest], groups: Sequence[SeedGroup]
) -> tuple[str, ...]:
    notes = []
    fewest = min((pair.shared for pair in pairs), default=0)
    if pairs and any(summary.test_images != fewest for summary in summaries):
        notes.append(
            "The runs were tested on different images, so the accuracies in the table cannot be compared directly. "
            f"The differences above are measured on the images that both runs share (at least {fewest})."
        )
    changed = sum(pair.relabelled for pair in pairs)
    if changed:
        notes.append(f"{changed} shared test image(s) have different classes in the two runs and are left out.")
    if len(pairs) > 1:
        notes.append(f"p values are adjusted for {len(pairs)} comparisons, which are all pairs of runs (Holm).")
    if any(group.runs > len(group.seeds) for group in groups):
        notes.append("Runs with the same seed count as one in the mean and the standard deviation.")
    digests = {run.info.data.digest for run in runs}
    if len(digests) > 1:
        notes.append("The runs were trained on different data or splits.")
    return tuple(notes)


def _runs_table(runs: Sequence[RunSummary], width: int | None) -> str:
    shown = [each for each in metric.METRICS if any(run.scalars[each.name] is not None for run in runs)]
    columns = (
        Column("run", "name"),
        Column("recipe", "name", 8),
        Column("accuracy"),
        Column("95 % interval", rank=1),
        *(Column(each.title, rank=2 + place) for place, each in enumerate(shown)),
        Column("parameters", rank=3),
        Column("training", rank=4),
        Column("seed", rank=6),
        Column("train / test images", rank=7),
    )
    rows = [
        (
            run.name,
            run.recipe or "-",
            percent(run.accuracy),
            f"{percent(run.accuracy_interval[0])} to {percent(run.accuracy_interval[1])}",
            *(each.text(run.scalars[each.name]) for each in shown),
            "-" if run.parameters is None else f"{run.parameters:,}",
            "-" if run.train_s is None else f"{run.train_s:.0f} s",
            str(run.seed),
            f"{'?' if run.train_images is None else run.train_images} / {run.test_images}",
        )
        for run in runs
    ]
    return table(columns, rows, width)


def _groups_table(groups: Sequence[SeedGroup], width: int | None) -> str:
    rows = [
        (
            group.architecture,
            group.recipe or "-",
            str(group.runs),
            percent(group.accuracy_mean),
            "-" if group.accuracy_sd is None else f"{points(group.accuracy_sd, signed=False)} points",
            ", ".join(map(str, group.seeds)),
        )
        for group in groups
    ]
    columns = (
        Column("architecture", "name"),
        Column("recipe", "name", 3),
        Column("runs", rank=1),
        Column("mean accuracy"),
        Column("standard deviation"),
        Column("seeds", "text", 2),
    )
    return table(columns, rows, width)
