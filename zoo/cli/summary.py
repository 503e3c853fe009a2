"""Results in a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from zoo.figures import percent
from zoo.terminal import readable


def one_line(metrics: Mapping[str, Any]) -> str:
    """Accuracy, its interval, and what the best answer that is always the same gives on these images."""
    low, high = metrics["accuracy_interval"]
    baseline = metrics["majority_class_baseline"]
    text = f"Accuracy {percent(metrics['accuracy'])} on {metrics['n']} {metrics.get('split', 'test')} images"
    text += f" (95 % interval {percent(low)} to {percent(high)}"
    if baseline is not None:
        text += f"; always answering their commonest class: {percent(baseline)}"
    return text + ")"


def warn(sentences: Iterable[str]) -> None:
    """Tells loudly why a model may be of no use: on standard error, where it does not mix with results."""
    for sentence in sentences:
        click.echo(f"WARNING: {readable(sentence)}", err=True)


def warn_of_model(metrics: Mapping[str, Any]) -> None:
    """The same for the warnings of ``metrics.json``; older ones have none."""
    warn(warning["sentence"] for warning in metrics.get("warnings", ()))


def per_class_lines(metrics: Mapping[str, Any], most: int = 20) -> list[str]:
    """Precision, recall and F1 a class, the weakest first; then the figures over all."""
    rows = [row for row in metrics["per_class"] if row["support"]]
    rows.sort(key=lambda row: row["f1"] or 0.0)
    width = max([len(row["label"]) for row in rows[:most]] + [5])
    lines = [f"  {'class':<{width}}  precision  recall     f1  images"]
    for row in rows[:most]:
        values = [f"{row[name]:.3f}" if row[name] is not None else "-" for name in ("precision", "recall", "f1")]
        lines.append(f"  {row['label']:<{width}}  {values[0]:>9}  {values[1]:>6}  {values[2]:>5}  {row['support']:>6}")
    if len(rows) > most:
        lines.append(f"  and {len(rows) - most} more classes in metrics.json")
    error = metrics["expected_calibration_error"]
    overall = f"  macro F1 {metrics['macro_f1']:.3f}, log loss {metrics['log_loss']:.3f}, calibration error {error:.3f}"
    top = metrics["top_k_accuracy"]
    if top:
        overall += "".join(f", top-{k} {percent(value)}" for k, value in top.items())
    return [*lines, overall]
