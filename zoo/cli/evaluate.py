"""``zoo evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli.options import runs_option
from zoo.cli.runs import find_run


@click.command("evaluate")
@click.argument("run")
@click.option("--data", help="Other images to measure on: folder, CSV or name.  [default: the run's test images]")
@runs_option
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json.")
def command(run: str, data: str | None, runs: Path, as_json: bool) -> None:
    """Measure a trained run.

    RUN is a run folder, or an architecture: its newest finished run. On the run's own test images, metrics and report
    are made anew; on other images they go to RUN/evaluations/.
    """
    found = find_run(run, runs)
    from zoo.cli.progress import make_reporter
    from zoo.data import TEST, load_for_evaluation, load_recorded

    reporter = make_reporter()
    spec, labels = found.image_spec, found.labels
    if data is None:
        described = found.info["data"]
        rows = [row for row in found.split() if row["split"] == TEST]
        images = load_recorded(
            rows, described["source"], Path(described["root"]), spec, labels, progress=reporter.counter("decoding")
        )
        folder = None
    else:
        images = load_for_evaluation(data, spec, labels, progress=reporter.counter("decoding"))
        folder = found.path / "evaluations" / f"{Path(data).stem or 'data'}-{images.digest[:8]}"
    if images.skipped:
        first = images.skipped[0]
        reporter.note(f"{len(images.skipped)} file(s) not used; such as {first.name}: {first.reason}")
    from zoo.cli.backend import start_keras
    from zoo.evaluation.evaluate import evaluate_run
    from zoo.evaluation.predict import load_model

    start_keras()
    reporter.stage(f"Measuring {found.path} on {len(images.names)} images")
    metrics = evaluate_run(found, load_model(found), images, folder, reporter.counter("predicting"))
    if folder is None:
        from zoo.report.html import write_report

        report = write_report(found)
    if as_json:
        click.echo(json.dumps(metrics, indent=2))
        return
    from zoo.cli.summary import one_line, per_class_lines

    click.echo(one_line(metrics))
    for line in per_class_lines(metrics):
        click.echo(line)
    click.echo(f"  report  {report}" if folder is None else f"  files   {folder}")
