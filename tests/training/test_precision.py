"""``auto`` precision: measured once for each combination of the settings that affect the time of a step."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zoo.image_spec import ImageSpec
from zoo.recipe import Recipe
from zoo.registry import architectures


@pytest.fixture
def measured(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The list of measurements that were made. float32 is always faster."""
    from zoo.training import precision

    made: list[tuple[Any, ...]] = []

    def step_seconds(*about: Any) -> float:
        made.append(about)
        return 1.0

    monkeypatch.setattr(precision, "_step_seconds", step_seconds)
    return made


def test_another_number_of_classes_or_another_plugin_is_measured_again(
    measured: list[tuple[Any, ...]], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.training import precision

    record, recipe = architectures().get("simple_cnn"), Recipe()

    def resolve(classes: int = 2, recipe: Recipe = recipe) -> int:
        before = len(measured)
        assert precision.resolve_precision(record, (32, 32, 3), classes, {}, recipe) == "float32"
        return len(measured) - before

    assert [resolve(), resolve()] == [2, 0]
    assert [resolve(1000), resolve(1000), resolve()] == [2, 0, 0]
    assert [resolve(recipe=replace(recipe, optimizer="lamb"))] == [2]
    offer = architectures().offer("simple_cnn")
    monkeypatch.setattr(precision, "architectures", lambda: [replace(offer, version="99.0")])
    assert [resolve(), resolve()] == [2, 0]
    (own_cache / "precision.json").write_text("[" * 100_000)
    assert resolve() == 2


def test_a_repeated_run_keeps_its_precision_as_long_as_its_steps_are_the_same(
    measured: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    import keras

    from tests.made_runs import begin_run
    from zoo.machine import machine
    from zoo.training.precision import resolve_precision

    offer, recipe = architectures().offer("simple_cnn"), Recipe()
    run = begin_run(
        tmp_path,
        image=ImageSpec(height_px=32, width_px=32).as_dict(),
        recipe=recipe.as_dict(),
        precision="mixed_bfloat16",
        distribution=f"{offer.distribution} {offer.version}",
        machine=machine(),
        backend=keras.backend.backend(),
    )
    assert resolve_precision(offer.record, (32, 32, 3), 2, {}, recipe, run) == "mixed_bfloat16"
    assert not measured
    for other in (replace(recipe, optimizer="lamb"), replace(recipe, batch_size=4)):
        assert resolve_precision(offer.record, (32, 32, 3), 2, {}, other, run) == "float32"
    assert len(measured) == 4


def test_what_others_measured_meanwhile_is_kept(measured: list[tuple[Any, ...]], own_cache: Path) -> None:
    from zoo.training.precision import resolve_precision

    record = architectures().get("simple_cnn")
    workers = [
        threading.Thread(target=resolve_precision, args=(record, (32, 32, 3), classes, {}, Recipe()))
        for classes in range(2, 14)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(json.loads((own_cache / "precision.json").read_text())) == 12
    assert [path.name for path in own_cache.iterdir()] == ["precision.json"]
