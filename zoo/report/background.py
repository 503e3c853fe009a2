"""The page's sections on where the model comes from: training, data, settings, and the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.augmentation import Augmentation
from zoo.recipe import Recipe, setting_as_text
from zoo.report import grids, plots
from zoo.report.findings import Findings
from zoo.report.markup import Column, beside, chart, esc, facts, name, section, table, tile, tiles
from zoo.report.style import Target
from zoo.report.text import duration, percent, plural, thousands
from zoo.report.theme import Theme
from zoo.run_folder.info import FlipInfo, HeadInfo
from zoo.run_folder.taught import TaughtInfo

_MOST_SKIPPED = 50
_MOST_AUGMENTED = 24


def training(findings: Findings, folder: Path) -> str:
    """Accuracy and loss over the epochs."""
    history, best = findings.history, findings.run.info.best_epoch
    if not history.get("loss"):
        return ""
    figures = "\n".join(
        chart(_curve(findings, panel), _curve_in_words(history, panel, best), file=folder / f"{panel}.png")
        for panel in ("accuracy", "loss")
        if history.get(panel)
    )
    note = (
        f"<p>Training figures are taken while the weights still change{_harder(findings.run.recipe)}, so they can lie "
        "below the validation ones. The dashed line is the epoch whose weights were kept.</p>"
    )
    return section("training", "Training", note, f'<div class="charts">{figures}</div>')


def head(findings: Findings) -> str:
    """Which heads cross-validation compared, the one that was chosen first."""
    info = findings.run.info.head
    if info is None:
        return ""
    if not info.tried:
        note = "There were too few training images to compare heads: a logistic regression on the last features."
        return section("head", "Choosing the head", f"<p>{note}</p>")
    features = "the last features"
    if info.depths:
        features += f" and the means over the feature maps of {plural(len(info.depths), 'layer')}"
    images, repeated = plural(info.images, "training image"), plural(info.repetitions, "repetition")
    note = (
        f"<p>The backbone kept its weights. {images} chose the head, each predicted by heads that it did not train: "
        f"{info.folds} folds, {repeated}, look-alikes in one fold. The least Brier score wins, the mean squared error "
        f"of the probabilities. The chosen head is a {esc(info.method)} regression on {features}. All training images "
        "then trained it.</p>"
    )
    columns = (
        Column("Regression", figures=False),
        Column("Features", figures=False),
        Column("Accuracy"),
        Column("Brier score"),
        Column("Penalty"),
    )
    rows = [
        (esc(one.method), esc(one.features), percent(one.accuracy), f"{one.brier_score:.4f}", f"{one.strength:.1e}")
        for one in sorted(info.tried, key=lambda each: (each.method, each.features) != (info.method, info.features))
    ]
    return section("head", "Choosing the head", note, table("Heads that were compared", columns, rows), _growth(info))


def teachers(findings: Findings) -> str:
    """Who taught the model, and with which photos without labels."""
    taught, recipe = findings.run.info.taught, findings.run.recipe
    if taught is None:
        return ""
    share = percent(recipe.teacher_share, 0)
    note = (
        f"The target of a training image is {share} what these runs predict for the same view of it"
        f"{', their mean' if len(taught.teachers) > 1 else ''}, and the rest its label. {_honest(taught)}"
    )
    columns = (
        Column("Teacher", figures=False),
        Column("Architecture", figures=False),
        Column("Accuracy", "On its own test images"),
        Column("Test images"),
    )
    rows = [
        (name(each.run), name(each.architecture), percent(each.accuracy), thousands(each.n)) for each in taught.teachers
    ]
    parts = [f"<p>{note}</p>", table("Teachers", columns, rows)]
    if taught.unlabelled:
        found = taught.unlabelled
        searched = f" {esc(found.unsearched)}" if found.unsearched else ""
        parts.append(
            f"<p>From <code>{name(found.source)}</code>: {esc(found)} They belong to no split; their targets are the"
            f" teachers' predictions alone. <code>unlabelled.csv</code> names them.{searched}</p>"
        )
    return section("teachers", "Teachers", *parts)


def _honest(taught: TaughtInfo) -> str:
    """What of the measured images the teachers know, as far as it was looked for."""
    uncompared = sum(each.uncompared for each in taught.teachers)
    said = "None of them learned from the test images."
    if uncompared:
        said = (
            "None of them learned from a file of the test images. They learned from"
            f" {plural(uncompared, 'photo')} that could not be compared in full with the test images, so"
            " near-duplicates of these may be among them."
        )
    validation = max(each.validation for each in taught.teachers)
    if validation:
        said += (
            f" {plural(validation, 'validation image')}, which chose the epoch and fitted the temperature, trained a"
            " teacher."
        )
    return said


def _growth(info: HeadInfo) -> str:
    """What more images would bring."""
    growth = info.growth
    if growth is None:
        return ""
    columns = (Column("Training images"), Column("Accuracy on others"))
    points = zip(growth.images, growth.accuracies, strict=True)
    rows = [(thousands(images), percent(accuracy)) for images, accuracy in points]
    return f"<h3>More images</h3><p>{esc(growth)}</p>{table('Learning curve', columns, rows)}"


def _harder(recipe: Recipe) -> str:
    """What makes an image harder in training than in validation."""
    said = ["on augmented images"] if recipe.augments else []
    if recipe.dropout != 0:
        said.append("with any dropout the model has" if recipe.dropout is None else "with dropout")
    return f", {' and '.join(said)}" if said else ""


def _curve(findings: Findings, panel: str) -> Any:
    def draw(target: Target, theme: Theme) -> None:
        best = findings.run.info.best_epoch
        plots.plot_curve(findings.history, panel, target, best_epoch=best, theme=theme)

    return draw


def _curve_in_words(history: Mapping[str, list[float]], panel: str, best: int | None) -> str:
    values = history.get(f"val_{panel}") or history[panel]
    kind = "validation" if f"val_{panel}" in history else "training"

    def shown(value: float) -> str:
        return percent(value) if panel == "accuracy" else f"{value:.3f}"

    at_best = f", {shown(values[best - 1])} in the best epoch {best}" if best and best <= len(values) else ""
    return f"{panel.capitalize()} over {plural(len(values), 'epoch')}: {kind} ends at {shown(values[-1])}{at_best}."


def data(findings: Findings, folder: Path) -> str:
    """How many images, where the splits came from, and what was left out."""
    counts, parts = findings.counts, [_origin(findings)]
    if counts:
        totals = ", ".join(f"{thousands(sum(of_class.values()))} {split}" for split, of_class in counts.items())
        figure = chart(
            lambda target, theme: plots.plot_class_counts(counts, target, theme=theme),
            f"Images per class and split. In all: {totals}.",
            file=folder / "class_counts.png",
        )
        columns = (Column("Class", figures=False), *(Column(split) for split in counts), Column("all"))
        rows = [_count_row(label, [counts[split].get(label, 0) for split in counts]) for label in findings.run.labels]
        rows.append(_count_row("all classes", [sum(of_class.values()) for of_class in counts.values()]))
        parts.append(beside(figure, table("Images per class and split", columns, rows, quiet=True)))
    notes = "".join(f"<li>{esc(note)}</li>" for note in findings.run.info.data.notes)
    parts.append(f"<ul>{notes}</ul>" if notes else "")
    parts.append(_skipped(findings))
    return section("data", "Data", *parts)


def _count_row(title: str, numbers: list[int]) -> tuple[str, ...]:
    return (name(title), *(thousands(count) for count in numbers), thousands(sum(numbers)))


def _origin(findings: Findings) -> str:
    source, origin = findings.run.info.data.source, findings.run.info.data.split_origin
    said = []
    if source:
        said.append(f"From <code>{name(source)}</code>.")
    for kind, meaning in (("given", "given by the data"), ("made", "made by zoo from the images' content")):
        splits = [split for split in findings.counts if origin.get(split) == kind]
        if splits:
            said.append(f"{' and '.join(map(esc, splits)).capitalize()}: {meaning}.")
    return f"<p>{' '.join(said)}</p>" if said else ""


def _skipped(findings: Findings) -> str:
    rows = findings.skipped
    if not rows:
        return ""
    left = len(rows) - _MOST_SKIPPED
    columns = (Column("File", figures=False), Column("Reason", figures=False))
    cells = [(name(row["path"]), esc(row["reason"])) for row in rows[:_MOST_SKIPPED]]
    more = f"<p>and {thousands(left)} more in <code>skipped.csv</code></p>" if left > 0 else ""
    return (
        f"<details{' open' if len(rows) <= 10 else ''}><summary>{plural(len(rows), 'file')} not used</summary>"
        f"{table('Files that were not used', columns, cells)}{more}</details>"
    )


def samples(findings: Findings, folder: Path) -> str:
    """A few training images of each class."""
    if not findings.samples:
        return ""
    grids.plot_samples(findings.samples, folder / "samples.png")
    left = len(findings.run.labels) - len(findings.samples)
    more = f"<p>The first {len(findings.samples)} of {len(findings.run.labels)} classes.</p>" if left else ""
    return section("samples", "What it was trained on", more, *_groups(findings.samples))


def _groups(found: Mapping[str, Sequence[grids.Picture]]) -> Iterator[str]:
    """A row a class under its name, or one grid where there are one or two pictures of each."""
    if max(map(len, found.values())) < 3:
        yield tiles(
            tile(one, f"Training image of {label}", name(label)) for label, ones in found.items() for one in ones
        )
        return
    for label, of_class in found.items():
        pictures = (tile(picture, f"Training image of {label}") for picture in of_class)
        yield f"<h3>{name(label)}</h3>{tiles(pictures, 'six')}"


def augmented(findings: Findings, pictures: npt.NDArray[np.generic] | None, folder: Path) -> str:
    """What augmentation makes of the training images."""
    recipe = findings.run.recipe
    flip = _flip(findings.run.info.flip)
    if pictures is None or not len(pictures) or not recipe.augments:
        return section("augmentation", "Augmentation", flip) if flip else ""
    grids.plot_augmented(pictures, folder / "augmented.png")
    found = grids.as_pictures(pictures)[:_MOST_AUGMENTED]
    changes = _changes(recipe.ranges)
    if findings.run.info.taught:
        versions = plural((recipe.teacher_views or 1) - 1, "such version")
        note = f"Training images, {changes}. Each was shown as it is and in {versions}, which the teachers saw too."
    elif recipe.epochs:
        when = "every epoch after the head's" if recipe.head_epochs else "every epoch"
        note = f"Training images as they reach the model: {changes} anew in {when}."
    else:
        versions = plural(recipe.head_views - 1, "such version")
        note = f"Training images, {changes}. The head was trained on each as it is and on {versions} of it."
    kind = "six" if pictures.ndim == 5 and pictures.shape[1] in (3, 6) else ""
    shown = tiles((tile(one, f"Augmented training image {place}") for place, one in enumerate(found, start=1)), kind)
    return section("augmentation", "Augmentation", f"<p>{note}</p>{flip}", shown)


def _flip(chosen: FlipInfo | None) -> str:
    """Why images are not mirrored, or what speaks against it."""
    return f"<p>{esc(chosen.warning)}</p>" if chosen and chosen.warning else ""


def _changes(ranges: Augmentation) -> str:
    """What an augmentation does, such as "turned, shifted and scaled"."""
    done = {
        "turned": ranges.rotation_degrees > 0,
        "shifted": ranges.shift > 0,
        "scaled": ranges.view != (1.0, 1.0) or ranges.aspect not in (1.0, "free"),
        "mirrored": ranges.flip in ("auto", "horizontal"),
        "mirrored top to bottom": ranges.flip == "vertical",
        "mirrored both ways": ranges.flip == "both",
        "coloured": max(ranges.brightness, ranges.contrast, ranges.saturation) > 0,
        f"changed by <code>{esc(ranges.function)}</code>": bool(ranges.function),
    }
    *most, last = [word for word, does in done.items() if does]
    return f"{', '.join(most)} and {last}" if most else last


def settings(findings: Findings) -> str:
    """Recipe and environment."""
    run, info = findings.run, findings.run.info
    recipe = [(esc(key), esc(setting_as_text(value))) for key, value in run.recipe.settings().items()]
    title = f"Recipe “{info.recipe_name}”" if info.recipe_name else "Recipe"
    both = beside(facts(title, recipe), facts("Environment", _environment(findings)))
    return section("settings", "Recipe and environment", both)


def _environment(findings: Findings) -> Iterator[tuple[str, str]]:
    run, info = findings.run, findings.run.info
    yield "run", name(run.path.absolute())
    yield "architecture", name(run.architecture) + (f" ({esc(info.distribution)})" if info.distribution else "")
    yield "image", esc(run.image_spec)
    yield "seed", esc(run.seed)
    for title, text in (("backend", info.backend), ("precision", info.precision), ("zoo version", info.zoo_version)):
        if text:
            yield title, esc(text)
    for key, value in {**info.machine, **info.versions}.items():
        yield esc(key), esc(value)
    for key, seconds in info.timings.items():
        yield esc(key.removesuffix("_s")) + " time", duration(seconds)
    if info.data.digest:
        yield "data digest", f"<code>{esc(info.data.digest)}</code>"


def use(findings: Findings) -> str:
    """The lines that use this run."""
    run = findings.run
    path = shlex.quote(str(run.path))
    shell = (
        f"zoo predict {path} photo.jpg",
        f"zoo explain {path} photo.jpg",
        f"zoo export {path} --precision float32 --precision int8",
    )
    python = ("import zoo", "", f"run = zoo.load({str(run.path)!r})", 'run.predict("photo.jpg").label')
    return section("use", "Use it", _code(shell), "<p>In Python:</p>", _code(python))


def _code(lines: Sequence[str]) -> str:
    return f'<pre class="scroll" tabindex="0"><code>{chr(10).join(map(esc, lines))}</code></pre>'


def repeat(findings: Findings) -> str:
    """The command that does it all again."""
    command = findings.run.info.command
    if not command:
        return ""
    return section("repeat", "Repeat it", _code([command]))
