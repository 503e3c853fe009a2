"""``zoo explain``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli.options import lone_options, runs_option
from zoo.errors import DataError
from zoo.figures import percent
from zoo.terminal import readable


@click.command("explain")
@click.argument("model")
@click.argument("photos", metavar="PHOTO|FOLDER...", nargs=-1, required=True)
@click.option(
    "--class", "label", metavar="NAME", help="Show the evidence for this class.  [default: the predicted class]"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("explained"),
    show_default=True,
    help="Folder for the images.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON per photo, with the evidence at each position."
)
@click.option(
    "--weights",
    help="Explain an architecture with these pretrained weights, such as imagenet, instead of a run.",
)
@lone_options
@runs_option
def command(
    model: str,
    photos: tuple[str, ...],
    label: str | None,
    out: Path,
    as_json: bool,
    weights: str | None,
    labels: Path | None,
    pixels: str | None,
    runs: Path,
) -> None:
    """Draw heatmaps of the evidence for a class in photos.

    MODEL is anything that `zoo predict` accepts. A bundle or an exported file must have been exported with --with-map.
    One image is written per photo. It shows the photo twice: as it is, and with the evidence in colour. If the network
    ends in pooling and one dense layer, the evidence is exact: summed over all positions, plus a bias, it is the logit
    of the class. For other networks it is approximated by LayerCAM. Files that are not usable photos are listed and
    skipped, and the exit code is then 4.
    """
    from zoo.edge.explanation import LAYER_CAM
    from zoo.progress import make_reporter
    from zoo.workflows.explain import ExplainRequest, explain

    reporter = make_reporter()
    request = ExplainRequest(
        model=model,
        photos=photos,
        label=label,
        out=out,
        runs=runs,
        weights=weights,
        labels=labels,
        pixels=pixels,
    )
    done = skipped = 0
    for done, item in enumerate(explain(request, reporter), 1):
        found = item.explanation
        if found is None:
            click.echo(f"Skipped {readable(item.file)}: {item.problem}.", err=True)
            skipped += 1
        elif as_json:
            click.echo(json.dumps(found.as_dict() | {"picture": str(item.picture)}))
        else:
            click.echo(f"{readable(item.file)}: {readable(found.label)} {percent(found.probability)}")
            click.echo(f"  {found.summary}")
            click.echo(f"  {readable(item.picture)}")
        if found is not None and found.remark:
            click.echo(f"Note: {readable(item.file)}: {readable(found.remark)}.", err=True)
        if found is not None and found.method == LAYER_CAM and done - skipped == 1:
            reporter.note("LayerCAM approximates the evidence: this network's head is not linear in its feature maps.")
    if skipped:
        raise DataError(f"{skipped} of {done} files {'was' if skipped == 1 else 'were'} skipped.")
