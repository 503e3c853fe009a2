"""``zoo train``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.augmentation import RANGES
from zoo.cli.groups import GroupedCommand
from zoo.cli.options import image_options, recipe_options, reporter_for, runs_option
from zoo.recipe import FIELDS
from zoo.table import prose, terminal_width

if TYPE_CHECKING:
    from zoo.hosts.place import Place


class DeviceCount(click.ParamType[int | str]):
    """A whole number of at least 1, or ``all``."""

    name = "N|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == "all":
            return "all"
        try:
            count = int(value)
        except ValueError:
            count = 0
        return count if count >= 1 else self.fail(f"Expected a number of at least 1, or all. Received: {value!r}.")


class HostPlace(click.ParamType["Place"]):
    """The place of a process among several hosts."""

    name = "I/N@ADDRESS:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        from zoo.hosts.place import Place

        return value if isinstance(value, Place) else Place.parse(value)


_HEAD = [name for name in FIELDS if name.startswith("head")]
_PICTURES = ["augmentation", *RANGES, "mixup_alpha"]
_GROUPS = {
    "Data": ["data", "split_seed", "size", "resize", "interpolation"],
    "Run": ["name", "seed", "runs", "resume", "repeat", "devices", "host", "on"],
    "Model": ["weights", "options", "recipe", "teachers", "unlabelled"],
    "Output": ["quiet", "as_json", "tensorboard"],
    "Recipe": [name for name in FIELDS if name not in {*_HEAD, *_PICTURES}],
    "Recipe, head": _HEAD,
    "Recipe, augmentation": _PICTURES,
}


@click.command("train", cls=GroupedCommand, groups=_GROUPS)
@click.argument("architecture", required=False)
@click.option("--data", help="Folder of class folders, CSV file, or a name that `zoo list` shows.  [default: digits]")
@image_options
@click.option(
    "--recipe",
    help="Name of a recipe of the architecture (default, finetune, article; `zoo show` lists them) or a YAML file of"
    " recipe fields.  [default: default]",
)
@click.option(
    "--weights", help="Initial weights: imagenet, none, or an .npz or .keras file.  [default: the architecture's first]"
)
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="Option of the architecture, such as width=0.5."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of weights, shuffling and augmentation.  [default: 0]"
)
@click.option("--split-seed", type=click.IntRange(0), help="Seed of the random split.  [default: 0]")
@runs_option
@click.option("--resume", metavar="RUN", type=click.Path(path_type=Path), help="Continue an interrupted run exactly.")
@click.option(
    "--repeat",
    metavar="RUN|FILE",
    type=click.Path(path_type=Path),
    help="Start a new run with the settings of another run, or of a zoo.yaml file as in every run folder.",
)
@click.option(
    "--name", metavar="NAME", help="Name of the run, as in `zoo export NAME`.  [default: architecture and time]"
)
@click.option(
    "--teacher",
    "teachers",
    metavar="RUN",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Finished run on the same classes that serves as a teacher: the model learns its probabilities in addition to"
    " the labels. Can be repeated.",
)
@click.option(
    "--unlabelled",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder of photos without labels. The model learns the teachers' probabilities on them.",
)
@click.option(
    "--devices",
    metavar="N|all",
    type=DeviceCount(),
    help="Number of devices that share every batch, or all. Needs KERAS_BACKEND=jax.  [default: one]",
)
@click.option(
    "--host",
    type=HostPlace(),
    help="Train with N processes, of which this is number I. Give the same command with another I on each host. Host 1"
    " runs at ADDRESS and writes the run. It listens on PORT on all interfaces, or only on ADDRESS if that is a"
    " loopback address. Needs KERAS_BACKEND=jax.",
)
@click.option(
    "--on",
    metavar="ray|ray://HOST:PORT",
    help="Train with one process on each machine of a Ray cluster, with Keras on JAX: ray for the cluster of this"
    " machine, or the address of another cluster.",
)
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard logs into the run folder.")
@click.option("--quiet", is_flag=True, help="Print only the result and warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@recipe_options
def command(
    size: str | None,
    resize: str | None,
    interpolation: str | None,
    options: tuple[str, ...],
    quiet: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Train an architecture, evaluate it on test images, and write a report.

    \b
    zoo train simple_cnn
    zoo train mobilenetv2 --data photos/ --name balls
    zoo train simple_cnn --data photos/ --epochs 40 --seed 1
    zoo train simple_cnn --data photos/ --teacher balls --unlabelled more_photos/
    zoo train --resume runs/simple_cnn-20260131-120000

    The defaults shown are those of the plain recipe. `zoo show ARCHITECTURE` shows those of an architecture.
    """
    from zoo.cli.options import read_image, read_options
    from zoo.cli.summary import run_as_dict, told_of_run
    from zoo.workflows.assist import train_or_assist
    from zoo.workflows.planning import TrainRequest

    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # a recipe may name a function of a module in this folder, as with `python -m`
    settings = {name: value for name in FIELDS if (value := asked.pop(name)) is not None}
    request = TrainRequest(
        image=read_image(size, resize, interpolation), options=read_options(options), settings=settings, **asked
    )
    trained = train_or_assist(request, reporter_for(quiet))
    if trained is None:
        return
    run = trained.run
    if as_json:
        click.echo(json.dumps(run_as_dict(run), indent=2))
    elif trained.already:
        click.echo(f"{run.path} is finished; there is nothing to resume.")
    else:
        click.echo("\n" + prose(told_of_run(run), terminal_width()))
        click.echo(f"  run     {run.path}\n  report  {trained.report}")
        click.echo(f"  next    zoo export {shlex.quote(str(run.path))}")
