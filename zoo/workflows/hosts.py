"""How the hosts of one training meet: they compare their commands, versions and photos, and share one run."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, UsageError
from zoo.hosts import Group, Place, joined
from zoo.recipe import Recipe
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.run_folder import Run, open_run
from zoo.training.plan import Plan

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.training.hosts import Hosts
    from zoo.workflows.teaching import Teaching

#: Packages whose versions must be the same on all hosts.
_VERSIONS = ("keras-edge-zoo", "keras", "numpy")
#: Files of a run folder that the other hosts need.
_SENT = ("run.json", "split.csv", "unlabelled.csv", "seen.csv", "checkpoints/last.npz")


@contextmanager
def meeting(place: Place, plan: Plan | None, reporter: Reporter) -> Iterator[Group]:
    """Waits for all hosts, and compares what they were asked to do.

    Args:
        place: The place of this process.
        plan: The plan of a new run. ``None``: a run is resumed.
        reporter: Receives a message while this process waits.

    Raises:
        UsageError: The backend is not JAX, the hosts cannot help this recipe, or they differ in their commands or
            versions.
        ClusterError: A host does not join in time, or is lost.
    """
    from zoo.training.hosts import refuse_other_backend

    refuse_other_backend(place)
    if plan is not None:
        refuse_idle_hosts(place, plan.recipe)
    with joined(place, reporter) as group:
        group.refuse_differences(
            "settings",
            _settings(plan),
            UsageError,
            "Install the same versions, and give the same command, on all hosts.",
        )
        yield group


def connect(group: Group, devices: int | str | None, architecture: str, recipe: Recipe, reporter: Reporter) -> Hosts:
    """Connects JAX on all hosts, divides every batch among their devices, and compares the code of plugins and users.

    Args:
        group: The hosts.
        devices: Number of devices of each host, or ``"all"``. ``None``: one.
        architecture: Name of the architecture.
        recipe: The recipe. Its batch size is that of all hosts together.
        reporter: Receives a message.

    Raises:
        UsageError: The devices are not possible, the batch cannot be divided, JAX has computed before, or the hosts
            have other versions of the plugin or of the augmentation function.
        ClusterError: A host is lost.
    """
    from zoo.backend import start_keras
    from zoo.training.hosts import Hosts, start_jax

    start_jax(group)
    start_keras()
    hosts = Hosts(group, devices, recipe.batch_size)
    # Not compared before, because the module of the function may use JAX when it is imported.
    group.refuse_differences("code", code_of(architecture, recipe), UsageError, "Install the same code on all hosts.")
    reporter.stage(
        f"Every batch of {recipe.batch_size} images is divided among {group.place.count} hosts with"
        f" {hosts.devices_per_host} device(s) each"
    )
    return hosts


def code_of(architecture: str, recipe: Recipe) -> dict[str, str]:
    """What must be the same on all hosts: the version of the plugin, and the source of the augmentation function."""
    from zoo.training.features import augmentation_digest

    facts = {"plugin": _plugin(architecture)}
    if recipe.ranges.function:
        facts[f"source of {recipe.ranges.function}"] = augmentation_digest(recipe.ranges)
    return facts


def refuse_idle_recipe(given: str, recipe: Recipe) -> None:
    """Raises ``UsageError`` for a recipe without epochs. ``given`` is the option for several hosts and its value."""
    if not recipe.epochs and (recipe.head == "chosen" or not recipe.head_epochs):
        raise UsageError(
            f"{given} has no effect: the recipe chooses a head in closed form and trains no epochs.",
            f"Leave {given.split()[0]} out, or set --epochs or --recipe finetune to train layers.",
        )


def refuse_idle_hosts(place: Place, recipe: Recipe) -> None:
    """Refuses a recipe without epochs, or a batch that cannot be divided among the hosts.

    Raises:
        UsageError: See above.
    """
    refuse_idle_recipe(f"--host {place}", recipe)
    if recipe.batch_size % place.count:
        larger = -(-recipe.batch_size // place.count) * place.count
        raise UsageError(
            f"A batch of {recipe.batch_size} images cannot be divided among {place.count} hosts.",
            f"Give a --batch-size that is a multiple of {place.count}, such as {larger}.",
        )


def refuse_other_photos(hosts: Hosts, data: ImageData, teaching: Teaching | None) -> None:
    """Refuses hosts that have other photos than host 1, or the same in another order.

    Raises:
        DataError: The photos, their classes or splits, or the teachers differ.
    """
    images = teaching.images if teaching else data
    rows = list(zip(images.contents, images.classes.tolist(), images.splits, strict=True))
    facts = {
        "classes": ", ".join(data.labels)[:500],
        **{f"{split} images": str(sum(counts.values())) for split, counts in data.counts.items()},
        "digest of the photos": hashlib.sha256(repr(rows).encode()).hexdigest()[:16],
        "teachers": ", ".join(each.digest[:16] for each in teaching.info.teachers) if teaching else "none",
    }
    hosts.group.refuse_differences(
        "photos", facts, DataError, f"Every host reads {data.source}. Give all of them the same files."
    )


def send_run(group: Group, run: Run | None) -> None:
    """Sends the run that all hosts train. ``None``: there is nothing to train."""
    packed = io.BytesIO()
    if run is not None:
        with zipfile.ZipFile(packed, "w") as archive:
            for name in _SENT:
                if (run.path / name).is_file():
                    archive.write(run.path / name, name)
    group.from_first("run", packed.getvalue())


def receive_run(group: Group, folder: Path) -> Run | None:
    """The run that host 1 sends, as a copy in ``folder``. ``None``: there is nothing to train."""
    packed = group.from_first("run")
    if not packed:
        return None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            if name in _SENT:
                archive.extract(name, folder)
    return open_run(folder)


def _settings(plan: Plan | None) -> dict[str, str]:
    from zoo.data.reading import DECODER
    from zoo.machine import versions

    installed = versions()
    facts = {f"version of {name}": installed.get(name, "unknown") for name in _VERSIONS}
    facts["version of jax"] = _jax_version()
    facts["image decoder"] = DECODER
    if plan is None:
        return {**facts, "run": "resumed"}
    return {
        **facts,
        "run": "new",
        "architecture": plan.architecture.name,
        "plugin": _plugin(plan.architecture.name),
        "images": str(plan.image),
        "weights": Path(plan.weights).name,
        "seed": str(plan.seed),
        "split seed": str(plan.split_seed),
        "teachers": str(len(plan.teachers)),
        **{f"option {name}": str(value) for name, value in plan.options.items()},
        **{name: str(value) for name, value in plan.recipe.settings().items()},
    }


def _plugin(architecture: str) -> str:
    offer = architectures().offer(architecture)
    return f"{offer.distribution} {offer.version}"


def _jax_version() -> str:
    import jax

    return str(jax.__version__)
