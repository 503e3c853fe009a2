"""``zoo cache``."""

from __future__ import annotations

import click

from zoo.data.cache import ImageCache


@click.command("cache")
@click.option(
    "--clear",
    is_flag=True,
    help="Remove everything in the cache. It is computed or downloaded again when needed, except photos that were"
    " given as arrays in Python.",
)
def command(clear: bool) -> None:
    """Show or clear the cache of decoded images.

    ZOO_CACHE_DIR sets its folder, and ZOO_CACHE_GB its maximum size (default: 20).
    """
    cache = ImageCache()
    if clear:
        cache.clear()
        click.echo(f"Cleared {cache.folder}.")
    else:
        usage = cache.usage()
        cache.close()
        click.echo(f"{usage.folder}")
        click.echo(
            f"  {usage.images} images, {usage.size_bytes / 1e6:.1f} MB of at most {usage.bound_bytes / 1e9:g} GB"
        )
