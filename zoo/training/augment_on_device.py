"""The augmentation of ``zoo.training.augment`` on the devices that train the model, with JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from zoo.training.augment import LUMA


@jax.jit  # type: ignore[untyped-decorator]
def augment_on_device(images: jax.Array, warps: jax.Array, colours: jax.Array) -> jax.Array:
    """Returns the changed images.

    As on the host, the values are rounded after the warp and after the change of colours. Rounding errors of the
    coordinates and of the colours can change a value by one, and a higher contrast or saturation multiplies that.

    Args:
        images: uint8 RGB ``(n, height, width, 3)``.
        warps: float ``(n, 2, 3)``, as in ``Changes``.
        colours: float ``(n, 3)``, as in ``Changes``.
    """
    changed = jax.vmap(_warped)(images, warps.astype(jnp.float32))
    return jax.vmap(_coloured)(changed, colours.astype(jnp.float32)).astype(jnp.uint8)


def _warped(image: jax.Array, warp: jax.Array) -> jax.Array:
    """An image after an affine transformation: bilinear, edges repeated, whole values."""
    height, width, _ = image.shape
    row, column = jnp.mgrid[:height, :width].astype(jnp.float32)
    across = warp[0, 0] * column + warp[0, 1] * row + warp[0, 2]
    down = warp[1, 0] * column + warp[1, 1] * row + warp[1, 2]
    left, top = jnp.floor(across), jnp.floor(down)
    share, share_below = (across - left)[..., None], (down - top)[..., None]

    def at(x: jax.Array, y: jax.Array) -> jax.Array:
        x, y = (jnp.clip(value, 0, most - 1).astype(jnp.int32) for value, most in ((x, width), (y, height)))
        return image[y, x].astype(jnp.float32)

    above = at(left, top) * (1 - share) + at(left + 1, top) * share
    below = at(left, top + 1) * (1 - share) + at(left + 1, top + 1) * share
    return jnp.rint(above * (1 - share_below) + below * share_below)


def _coloured(image: jax.Array, colours: jax.Array) -> jax.Array:
    """An image with another brightness, contrast (about its mean) and saturation, in whole values."""
    brightness, contrast, saturation = colours
    # Without a matrix product, which accelerators may compute in a lower precision.
    grey = (image * LUMA).sum(-1, keepdims=True)
    mixed = saturation * image + (1 - saturation) * grey
    changed = brightness * (contrast * mixed + (1 - contrast) * grey.mean())
    return jnp.clip(jnp.rint(changed), 0, 255)
