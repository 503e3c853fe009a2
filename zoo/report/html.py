"""``report.html``: everything about a run on one page that needs no network, no script and no other file."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt

from zoo.atomic import make_folder
from zoo.report import background, sections
from zoo.report.evidence import Evidence, evidence
from zoo.report.findings import Findings, read_findings
from zoo.report.grids import plot_mistakes
from zoo.report.markup import name, warnings_section
from zoo.report.page import write_page
from zoo.report.photo_map import PhotoMap, photo_map
from zoo.run_folder import Run


def write_report(
    run: Run,
    augmented: npt.NDArray[np.generic] | None = None,
    found: Evidence | None = None,
    arranged: PhotoMap | None = None,
) -> Path:
    """Writes ``report.html`` and ``plots/*.png`` into a finished run's folder.

    The photographs are read from where the data was; those that are gone, or have changed since, show as a
    placeholder.

    Args:
        run: A finished run.
        augmented: Augmented training images, ``(n, height, width, 3)`` or ``(sources, variants, height, width, 3)``,
            0..255; ``None`` leaves them out, as does a recipe that augments nothing.
        found: Where the model found the evidence in some of the photos; ``None`` leaves it out.
        arranged: The test photos by their features; ``None`` leaves the map out.

    Returns:
        Path of the page.

    Raises:
        UsageError: The run is not finished.
        TrainingError: A file of the run is damaged, or the disk is full.
    """
    findings = read_findings(run)
    plots = run.path / "plots"
    make_folder(plots)
    if findings.mistakes:
        plot_mistakes(findings.mistakes, plots / "mistakes.png")
    parts = (
        warnings_section(warning.sentence for warning in findings.metrics.warnings),
        sections.mistakes(findings, found),
        evidence(found),
        sections.per_class(findings),
        sections.confusion(findings, plots),
        photo_map(arranged, run.labels, [item.file for item in findings.mistakes]),
        sections.calibration(findings, plots),
        background.use(findings),
        background.head(findings),
        background.teachers(findings),
        background.training(findings, plots),
        background.data(findings, plots),
        background.samples(findings, plots),
        background.augmented(findings, augmented, plots),
        background.settings(findings),
        background.repeat(findings),
    )
    path = run.path / "report.html"
    write_page(
        path,
        title=_title(findings),
        heading=_heading(findings),
        run=name(run.name),
        verdict=sections.verdict(findings),
        standing=findings.metrics.against_baseline or "",
        scale=sections.scale(findings),
        key_figures=sections.key_figures(findings),
        sections=parts,
        version=run.info.zoo_version,
    )
    return path


def _data_name(findings: Findings) -> str:
    return PurePath(findings.run.info.data.source).name


def _title(findings: Findings) -> str:
    data = _data_name(findings)
    return f"{findings.run.architecture} on {data}" if data else findings.run.architecture


def _heading(findings: Findings) -> str:
    data = _data_name(findings)
    return name(findings.run.architecture) + (f" <span>on</span> {name(data)}" if data else "")
