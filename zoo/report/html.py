"""``report.html``: everything about a run on one page that needs no network, no script and no other file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from zoo.atomic import make_folder
from zoo.augmentation import Augmentation
from zoo.evaluation.metric import defined
from zoo.recipe import setting_as_text
from zoo.report import grids, plots
from zoo.report.evidence import Evidence
from zoo.report.findings import Findings, read_findings
from zoo.report.page import Column, draw_chart, write_page
from zoo.report.photo_map import PhotoMap
from zoo.report.text import number, percent, plural
from zoo.run_folder import Run

_MOST_AUGMENTED = 24
_ORIGINS = {"given": "given by the data", "made": "made by zoo from the images' content"}


def write_report(
    run: Run,
    augmented: npt.NDArray[np.generic] | None = None,
    found: Evidence | None = None,
    arranged: PhotoMap | None = None,
) -> Path:
    """Writes ``report.html`` and ``plots/*.png`` into a finished run's folder.

    The photographs are read from the folder of the data. For missing or changed ones, a placeholder is shown.

    Args:
        run: A finished run.
        augmented: Augmented training images, ``(n, height, width, 3)`` or ``(sources, variants, height, width, 3)``,
            0..255. ``None``: the section is left out, as for a recipe without augmentation.
        found: The evidence in some of the photos. ``None``: the section is left out.
        arranged: The map of the test photos. ``None``: the map is left out.

    Returns:
        Path of the page.

    Raises:
        UsageError: The run is not finished.
        TrainingError: A file of the run is damaged, or the disk is full.
    """
    findings = read_findings(run)
    folder = run.path / "plots"
    make_folder(folder)
    if augmented is not None and not (len(augmented) and run.recipe.augments):
        augmented = None
    _draw_photos(findings, augmented, folder)
    data = run.info.data
    path = shlex.quote(str(run.path))
    return write_page(
        run.path / "report.html",
        "report",
        run.info.zoo_version,
        findings=findings,
        found=found,
        arranged=arranged,
        anchors={item.file: f"wrong-{place}" for place, item in enumerate(findings.mistakes)},
        measured=list(defined(findings.metrics)),
        data_name=PurePath(data.source).name,
        charts=_draw_charts(findings, folder),
        columns_of_counts=[Column("Class", figures=False), *map(Column, (*findings.counts, "all"))],
        count_rows=_count_rows(findings),
        origins={
            meaning: [split for split in findings.counts if data.split_origin.get(split) == kind]
            for kind, meaning in _ORIGINS.items()
        },
        augmented=None if augmented is None else grids.as_pictures(augmented)[:_MOST_AUGMENTED],
        augmented_in_rows=augmented is not None and augmented.ndim == 5 and augmented.shape[1] in (3, 6),
        changes=_changes(run.recipe.ranges),
        settings={key: setting_as_text(value) for key, value in run.recipe.settings().items()},
        use_in_shell=f"zoo predict {path} photo.jpg\nzoo explain {path} photo.jpg\n"
        f"zoo export {path} --precision float32 --precision int8",
    )


def _draw_photos(findings: Findings, augmented: npt.NDArray[np.generic] | None, folder: Path) -> None:
    if findings.mistakes:
        grids.plot_mistakes(findings.mistakes, folder / "mistakes.png")
    if findings.samples:
        grids.plot_samples(findings.samples, folder / "samples.png")
    if augmented is not None:
        grids.plot_augmented(augmented, folder / "augmented.png")


def _draw_charts(findings: Findings, folder: Path) -> dict[str, Any]:
    """The charts by name. A chart without data is ``None``."""
    metrics, labels, history = findings.metrics, findings.run.labels, findings.history
    matrix, bins, error = metrics.confusion_matrix, metrics.calibration_bins, metrics.expected_calibration_error
    best = findings.run.info.best_epoch
    charts: dict[str, Any] = {
        **dict.fromkeys(("confusion", "reliability", "counts")),
        "curves": [
            (
                draw_chart(partial(plots.plot_curve, history, panel, best_epoch=best), folder / f"{panel}.png"),
                _curve_in_words(history, panel, best),
            )
            for panel in ("accuracy", "loss")
            if history.get("loss") and history.get(panel)
        ],
    }
    if matrix:
        draw = partial(plots.plot_confusion, matrix, labels)
        charts["confusion"] = draw_chart(draw, folder / "confusion_matrix.png", partial(draw, narrow=True))
    if bins and error is not None:
        charts["reliability"] = draw_chart(partial(plots.plot_reliability, bins, error), folder / "reliability.png")
    if findings.counts:
        charts["counts"] = draw_chart(partial(plots.plot_class_counts, findings.counts), folder / "class_counts.png")
    return charts


def _curve_in_words(history: Mapping[str, list[float]], panel: str, best: int | None) -> str:
    values = history.get(f"val_{panel}") or history[panel]
    kind = "validation" if f"val_{panel}" in history else "training"
    shown = percent if panel == "accuracy" else number
    at_best = f", {shown(values[best - 1])} in the best epoch {best}" if best and best <= len(values) else ""
    return f"{panel.capitalize()} over {plural(len(values), 'epoch')}: {kind} ends at {shown(values[-1])}{at_best}."


def _count_rows(findings: Findings) -> Iterator[tuple[str, list[int]]]:
    """For each class, and for all classes together, the number of images in each split."""
    counts = list(findings.counts.values())
    for label in findings.run.labels:
        yield label, [of_class.get(label, 0) for of_class in counts]
    yield "all classes", [sum(of_class.values()) for of_class in counts]


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
        Markup("changed by <code>{}</code>").format(ranges.function): bool(ranges.function),
    }
    *most, last = [word for word, does in done.items() if does] or [""]
    return Markup(", ").join(most) + " and " + last if most else last
