"""Augmentation: it has exactly the tutorial's ranges, is reproducible, and mixup mixes the targets as well."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zoo import Augmentation
from zoo.augmentation import NAMED, AugmentationName, Flip
from zoo.training.augment import augment, draw_changes, mixup, random_generator


def dot(x: int, y: int, size: int = 101) -> NDArray[np.uint8]:
    image = np.zeros((size, size, 3), np.uint8)
    cv2.circle(image, (x, y), 3, (255, 255, 255), -1)
    return image


def centre_of(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(image[..., 0] > 100)
    return np.array([columns.mean(), rows.mean()])


def one(
    image: NDArray[np.uint8], ranges: AugmentationName | Augmentation, random: np.random.Generator
) -> NDArray[np.uint8]:
    images = image[None].copy()
    augment(images, NAMED[ranges] if isinstance(ranges, str) else ranges, [random])
    return images[0]


def test_none_is_the_image_itself() -> None:
    image = dot(30, 40)
    assert np.array_equal(one(image, "none", random_generator(0, 0, 0)), image)


@pytest.mark.parametrize("name", ["article", "strong"])
def test_an_image_does_not_depend_on_those_beside_it(name: AugmentationName) -> None:
    images = np.stack([dot(20 + index, 60 - index) for index in range(20)])
    alone = [one(image, name, random_generator(0, 0, index)) for index, image in enumerate(images)]
    augment(images, NAMED[name], (random_generator(0, 0, index) for index in range(20)))
    assert np.array_equal(images, alone)


@pytest.mark.parametrize("name", ["article", "strong"])
def test_it_depends_on_seed_epoch_and_index_alone(name: AugmentationName) -> None:
    image = dot(60, 40)
    first = one(image, name, random_generator(1, 2, 3))
    assert np.array_equal(first, one(image, name, random_generator(1, 2, 3)))
    others = [random_generator(2, 2, 3), random_generator(1, 3, 3), random_generator(1, 2, 4)]
    assert not any(np.array_equal(first, one(image, name, other)) for other in others)
    assert first.shape == image.shape
    assert first.dtype == np.uint8


def test_article_stays_within_the_tutorials_ranges_and_uses_them() -> None:
    # A dot 20 px right of the centre of a 101 px image. Seen through a view of 0.8 to 1.2 it is 1 / 0.8 as far at most;
    # shifts add up to 10.1 px a side before that.
    moved = np.array([centre_of(one(dot(70, 50), "article", random_generator(0, 0, i))) - 50 for i in range(800)])
    assert np.hypot(*moved.T).max() < (20 + 10.1 * 2**0.5) / 0.8 + 1
    # There is no vertical flip, and at most 30 degrees of rotation.
    assert abs(moved[:, 1]).max() <= (20 * np.sin(np.radians(30)) + 10.1) / 0.8 + 1
    assert abs(moved[:, 1]).max() > 20
    assert 0.4 < (moved[:, 0] > 0).mean() < 0.6  # half are mirrored
    assert NAMED["article"] == Augmentation(view=(0.8, 1.2), aspect="free", rotation_degrees=30, shift=0.1, flip="auto")


@pytest.mark.parametrize(
    ("flip", "sides"),
    [("none", {"++"}), ("horizontal", {"++", "-+"}), ("vertical", {"++", "+-"}), ("both", {"++", "-+", "+-", "--"})],
)
def test_flips_alone_move_nothing_else(flip: Flip, sides: set[str]) -> None:
    image, found = dot(70, 30), []
    for index in range(400):
        x, y = centre_of(one(image, Augmentation(flip=flip), random_generator(0, 0, index))) - 50
        assert (abs(x), abs(y)) == pytest.approx((20, 20), abs=0.01)
        found.append(f"{'+' if x > 0 else '-'}{'+' if y < 0 else '-'}")
    assert set(found) == sides
    assert all(abs(found.count(side) / 400 - 1 / len(sides)) < 0.1 for side in sides)


@pytest.mark.parametrize("name", ["article", "strong"])
def test_a_flip_that_is_turned_off_changes_no_other_image(name: AugmentationName) -> None:
    image = dot(64, 47)
    for index in range(40):
        flipped, plain, both = (
            one(image, replace(NAMED[name], flip=flip), random_generator(4, 1, index))
            for flip in ("auto", "none", "both")
        )
        mirrored = random_generator(4, 1, index).random(10)[[5, 9]] < 0.5
        assert np.array_equal(flipped, plain) == (not mirrored[0])
        assert np.array_equal(both, flipped) == (not mirrored[1])


def test_edges_are_repeated_not_black() -> None:
    white = np.full((64, 64, 3), 200, np.uint8)
    assert all((one(white, "article", random_generator(0, 0, i)) == 200).all() for i in range(50))


@pytest.mark.parametrize(
    "ranges",
    [
        NAMED["article"],
        NAMED["strong"],
        Augmentation(flip="both"),
        Augmentation(rotation_degrees=180, view=(0.3, 2), aspect="free", shift=0.5),
        Augmentation(brightness=0.5, contrast=0.5, saturation=0.5),
    ],
)
def test_devices_show_the_same_images_as_the_host(ranges: Augmentation) -> None:
    """Noise is the most difficult: neighbouring pixels differ most."""
    pytest.importorskip("jax", reason="jax is not installed")
    from zoo.training.augment_on_device import augment_on_device

    images = np.random.default_rng(0).integers(0, 256, (24, 90, 120, 3), np.uint8)
    images[12:] = (
        cv2.GaussianBlur(images[12:].transpose(1, 2, 0, 3).reshape(90, 120, -1), (0, 0), 5)
        .reshape(90, 120, 12, 3)
        .transpose(2, 0, 1, 3)
    )
    on_host = images.copy()
    augment(on_host, ranges, (random_generator(0, 1, index) for index in range(24)))
    changes = draw_changes(ranges, (random_generator(0, 1, index) for index in range(24)), (90, 120))
    on_device = np.asarray(augment_on_device(images, changes.warps, changes.colours))
    assert on_device.dtype == np.uint8
    apart = np.abs(on_device.astype(int) - on_host)
    assert apart.max() <= 2
    assert apart.mean() < 0.1
    assert not np.array_equal(on_host, images)


PARTITIONED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from zoo.training.augment_on_device import augment_on_device
layout = NamedSharding(Mesh(np.array(jax.devices()), ("batch",)), PartitionSpec("batch"))
shapes = ((8, 16, 16, 3), jnp.uint8), ((8, 2, 3), jnp.float32), ((8, 3), jnp.float32)
print(augment_on_device.lower(*(jax.ShapeDtypeStruct(*each, sharding=layout) for each in shapes)).compile().as_text())
"""


def test_devices_need_nothing_from_each_other() -> None:
    """Several hosts would wait for each other otherwise."""
    pytest.importorskip("jax", reason="jax is not installed")
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run([sys.executable, "-c", PARTITIONED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "u8[4,16,16,3]" in done.stdout  # the images of one device
    assert not re.search("all-gather|all-reduce|all-to-all|collective", done.stdout)


def test_mixup_mixes_pixels_and_targets_alike() -> None:
    values = np.array([0, 50, 100, 200], np.uint8)
    batch = np.broadcast_to(values[:, None, None, None], (4, 8, 8, 3)).copy()
    targets = np.eye(4, dtype=np.float32)
    mixup(batch, targets, 0.4, random_generator(0, 0, 0))
    assert np.allclose(targets.sum(1), 1)
    assert (targets.diagonal() >= 0.5).all()
    assert np.allclose(batch.mean((1, 2, 3)), targets @ values, atol=1)
    assert not np.array_equal(targets, np.eye(4))
