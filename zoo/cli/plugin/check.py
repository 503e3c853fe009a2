"""``zoo plugin check``."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from zoo.errors import PluginError, UsageError
from zoo.table import Column, Layout, terminal_width, wrap
from zoo.testing.kinds import NAMES

if TYPE_CHECKING:
    from zoo.testing import CheckResult

_WORDS = {
    "passed": "ok",
    "failed": "FAILED",
    "expected_failure": "expected",
    "unexpected_pass": "UNEXPECTED",
    "skipped": "skipped",
}

_COLUMNS = (Column(""), Column("", "name"), Column("", "name"), Column("", "text"))


@click.command("check")
@click.argument("name")
@click.option("--kind", type=click.Choice(NAMES), help="Type of NAME, needed if several plugins use the name.")
@click.option("--check", "checks", multiple=True, metavar="NAME", help="Run only this check; can be repeated.")
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="CHECK=REASON",
    help="Check that is expected to fail, in addition to those that the plugin declares. An unexpected pass is a"
    " failure.",
)
@click.option(
    "--size",
    "size_px",
    type=click.IntRange(1, 4096),
    help="Side in px of the images in the slow checks.  [default: the smallest possible]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    name: str,
    kind: str | None,
    checks: tuple[str, ...],
    expected: tuple[str, ...],
    size_px: int | None,
    as_json: bool,
) -> None:
    """Run the conformance checks on NAME: an architecture, an exporter, a dataset, or a distribution with callbacks.

    An architecture is built, trained on one batch of synthetic images, saved, exported to every installed format and
    verified. An exporter converts a small network, and the checks load its files, run them, and damage them. Every
    failure shows what was expected, what was found, and the most likely fix. The exit code is 3 if a check fails, or
    passes although it was expected to fail.
    """
    from zoo.testing.checking import expected_of
    from zoo.testing.checks import choose_checks
    from zoo.testing.kinds import kind_of, resolve

    record = resolve(name, kind)  # refuses an unknown name before Keras is loaded
    kind = kind_of(record).name
    reasons = dict(map(_reason, expected))
    choose_checks(checks or None, kind)
    expected_of(record, reasons)
    from zoo.testing import run_checks

    show = None if as_json else _show
    results = run_checks(record, checks=checks or None, expected_failures=reasons, size_px=size_px, each=show)
    if as_json:
        ok = all(result.ok for result in results)
        found = {"kind": kind, "name": name, "ok": ok, "checks": [result.as_dict() for result in results]}
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(f"\n{_summary(results)}")
    bad = [result for result in results if not result.ok]
    if bad:
        raise PluginError(
            f"{name} does not pass {len(bad)} of {len(results)} checks: {', '.join(result.name for result in bad)}.",
            "docs/reference/conformance.md describes each check.",
        )


def _reason(text: str) -> tuple[str, str]:
    check, equals, reason = text.partition("=")
    if not equals or not reason.strip():
        raise UsageError(f"--expect takes CHECK=REASON. Received: {text!r}.", "For example: export_onnx_int8='...'.")
    return check.strip(), reason.strip()


def _show(result: CheckResult) -> None:
    line = result.seen if result.status in ("passed", "skipped") else result.reason
    more = {
        "failed": (("expected", result.expected), ("seen", result.seen), ("fix", result.mend)),
        "expected_failure": (("seen", result.seen),),
        "unexpected_pass": (("fix", result.mend),),
    }.get(result.status, ())
    layout = Layout(_COLUMNS, (["100.0 s"], list(_WORDS.values()), ["x" * 24], [line]), terminal_width())
    for text in layout.row((f"{result.seconds:.1f} s", _WORDS[result.status], result.name, line)):
        click.echo(text)
    window = terminal_width()
    indent = " " * (22 if window is None or window >= 60 else 4)
    for what, text in more:
        for said in wrap(f"{what}: {text}", window and window - len(indent), whole=True):
            click.echo(indent + said)


def _summary(results: list[CheckResult]) -> str:
    counts: Counter[str] = Counter(result.status for result in results)
    words = {
        "passed": "passed",
        "failed": "failed",
        "expected_failure": "failed as expected",
        "unexpected_pass": "passed unexpectedly",
        "skipped": "skipped",
    }
    told = ", ".join(f"{counts[status]} {text}" for status, text in words.items() if counts[status])
    return f"{told}, in {sum(result.seconds for result in results):.0f} s."
