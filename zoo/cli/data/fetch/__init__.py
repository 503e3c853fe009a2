"""``zoo data fetch``."""

from __future__ import annotations

import click

from zoo.cli.groups import LazyGroup

COMMANDS = {
    "openimages": ("zoo.cli.data.fetch.openimages", "Photos of Open Images V7 by class name."),
    "imagenet": ("zoo.cli.data.fetch.imagenet", "Classes from your own copy of ImageNet."),
    "urls": ("zoo.cli.data.fetch.urls", "Photos from a list of URLs and labels."),
}


@click.group("fetch", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Download photos into class folders, with their licences.

    An interrupted download is resumed by running the same command again. Files that are already in the folder are
    kept.
    """
