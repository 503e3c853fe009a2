"""``zoo evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli.options import on_option, runs_option
from zoo.table import prose, terminal_width


@click.command("evaluate")
@click.argument("model", metavar="RUN")
@click.option("--data", help="Other images to evaluate on: folder, CSV file or name.  [default: the run's test images]")
@click.option(
    "--weights",
    help="Evaluate an architecture with these pretrained weights, such as imagenet, instead of a run.",
)
@runs_option
@on_option
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json.")
def command(model: str, data: str | None, weights: str | None, runs: Path, on: str | None, as_json: bool) -> None:
    """Evaluate a trained run or a pretrained architecture.

    RUN is the folder or the name of a run. For an architecture, its newest finished run is used. If it has no run, its
    pretrained weights with all their classes are evaluated. On a run's own test images, its metrics, predictions and
    report are rewritten. For other images, metrics and predictions are written to a folder in evaluations/, without a
    report.
    """
    from zoo.cli.summary import per_class_lines, weaknesses
    from zoo.progress import make_reporter
    from zoo.workflows.evaluate import EvaluateRequest, evaluate

    found = evaluate(EvaluateRequest(model=model, data=data, weights=weights, runs=runs, on=on), make_reporter())
    if as_json:
        click.echo(json.dumps(found.metrics.as_dict(), indent=2))
        return
    window = terminal_width()
    click.echo(prose([str(found.metrics), *weaknesses(found.metrics)], window))
    click.echo("\n".join(per_class_lines(found.metrics, width=window)))
    click.echo(f"  written to {found.report or found.folder}")
