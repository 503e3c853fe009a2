"""Images/s of full fine-tuning on an accelerator: our harness on JAX, compared with compiled torchvision.

    python benchmarks/accelerator.py

Both are measured in the same run: MobileNetV2 at 224 px with 1000 classes, batches of 256, bfloat16 and AdamW, on
random pixels, without TensorFlow. This needs JAX and torchvision for the accelerator. Every measurement is a separate
process and shows its median epoch, without the first epoch, in which the model is compiled:

- ``torchvision``: ``torch.compile``, channels last, autocast, fused AdamW. ``device``: always the same batch, which
stays in the memory of the device. ``host``: shuffled images of an array in memory, which are copied during the steps.
- ``zoo``: all of ``zoo.training.trainer.train`` with history and checkpoints, on shuffled images of an array in memory.
- ``zoo strong``: the same with augmentation, from memory-mapped files like those of the cache, as for a user.
- ``batches strong``: the image pipeline of ``zoo strong`` alone, without training.

``frozen`` keeps BatchNorm's statistics, as fine-tuning after a head phase does, on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 1000
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEASURED = (
    "torchvision device",
    "zoo",
    "zoo strong",
    "torchvision device frozen",
    "zoo frozen",
    "batches strong",
    "torchvision host",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16384)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=list(MEASURED))
    parser.add_argument("--one", choices=MEASURED, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.images % arguments.batch:
        parser.error("--images must be a multiple of --batch: torchvision's side leaves out a last, smaller one.")
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
        return
    print(f"{arguments.images} images of {arguments.size} px, batches of {arguments.batch}", flush=True)
    speeds: dict[str, float] = {}
    for what in arguments.only:
        start = time.perf_counter()
        numbers = [f"--{name}={getattr(arguments, name)}" for name in ("images", "batch", "size", "epochs")]
        command = [sys.executable, __file__, *numbers, "--one", what]
        environment = {**os.environ, "KERAS_BACKEND": "jax"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        rates = [arguments.images / seconds for seconds in json.loads(done.stdout.splitlines()[-1])]
        speeds[what] = statistics.median(rates)
        base = speeds.get(f"torchvision device{' frozen' * what.endswith('frozen')}", speeds[what])
        print(
            f"{what:<25}  {speeds[what]:7.0f} images/s ({min(rates):.0f} to {max(rates):.0f})"
            f"  ratio {speeds[what] / base:.2f}  {time.perf_counter() - start:4.0f} s in all",
            flush=True,
        )


def measure(what: str, arguments: argparse.Namespace) -> list[float]:
    """Seconds of each epoch."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (arguments.images, arguments.size, arguments.size, 3), np.uint8)
    classes = random.integers(0, CLASSES, arguments.images)
    frozen = what.endswith("frozen")
    if what.startswith("torchvision"):
        return torchvision_epochs(images, classes, arguments, from_host="host" in what, frozen=frozen)
    with tempfile.TemporaryDirectory() as folder:
        data = dataset(images, classes, Path(folder) / "segment.u8" if what.endswith("strong") else None)
        if what.startswith("batches"):
            return batch_epochs(data, recipe(arguments, augmentation="strong"), arguments.epochs)
        chosen = recipe(arguments, augmentation="strong" if what.endswith("strong") else "none", frozen=frozen)
        return zoo_epochs(data, chosen, Path(folder))


class InMemory:
    def __init__(self, images: Any) -> None:
        self.read = images.__getitem__


def dataset(images: Any, classes: Any, segment: Path | None) -> Any:
    from zoo import ImageSpec
    from zoo.data import ImageData
    from zoo.data.arrays import CachedArrays
    from zoo.data.segments import map_segment

    count, size = images.shape[:2]
    pixels: Any = InMemory(images)
    if segment:
        images.tofile(segment)
        mapped = map_segment(segment, images.nbytes, zlib.crc32(images))
        pixels = CachedArrays([(mapped, row) for row in range(count)], images.shape[1:])
    return ImageData(
        source="random",
        root=Path(),
        spec=ImageSpec(height_px=size, width_px=size),
        labels=tuple(f"class {number}" for number in range(CLASSES)),
        names=tuple(f"{number}.png" for number in range(count)),
        classes=classes,
        splits=("train",) * count,
        contents=tuple(f"{number:064x}" for number in range(count)),
        pixels=pixels,
    )


def recipe(arguments: argparse.Namespace, *, augmentation: Any, frozen: bool = False) -> Any:
    from zoo import Recipe

    return Recipe(
        optimizer="adamw",
        weight_decay=1e-2,
        epochs=arguments.epochs + 1,
        batch_size=arguments.batch,
        augmentation=augmentation,
        class_weights="none",
        calibrate="none",
        precision="mixed_bfloat16",
        unfreeze=0.999 if frozen else 1.0,  # 1 means all layers; below 1, BatchNorm is fixed
    )


def batch_epochs(data: Any, recipe: Any, epochs: int) -> list[float]:
    from zoo.data import TRAIN
    from zoo.training.batches import TrainingBatches

    batches = TrainingBatches(data, data.indices(TRAIN), recipe, 0)
    stream, ends = batches.stream(0), []
    for _ in range(epochs + 1):
        for _ in range(batches.steps):
            next(stream)
        ends.append(time.perf_counter())
    stream.close()
    return np.diff(ends).tolist()


def zoo_epochs(data: Any, recipe: Any, folder: Path) -> list[float]:
    from zoo.registry import architectures
    from zoo.reporter import Reporter
    from zoo.run_folder import create_run
    from zoo.run_folder.info import RunInfo
    from zoo.training.trainer import train

    ends = []

    class Clock(Reporter):
        def epoch(self, epoch: int, row: Any, best: bool) -> None:
            ends.append(time.perf_counter())

    info = RunInfo(
        architecture="mobilenetv2",
        labels=data.labels,
        image=data.spec,
        recipe=recipe,
        precision=recipe.precision,
        seed=0,
    )
    run = create_run(folder, info)
    train(run, architectures().get("mobilenetv2"), data, Clock())
    return np.diff(ends).tolist()


def torchvision_epochs(
    images: Any, classes: Any, arguments: argparse.Namespace, *, from_host: bool, frozen: bool
) -> list[float]:
    import torch
    from torchvision.models import mobilenet_v2

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    model = mobilenet_v2(weights=None, num_classes=CLASSES).to("cuda", memory_format=torch.channels_last).train()
    if frozen:
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval().requires_grad_(False)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=1e-3, weight_decay=1e-2, fused=True)
    mean, std = (torch.tensor(values, device="cuda").view(1, 3, 1, 1) * 255 for values in (MEAN, STD))

    @torch.compile
    def loss_of(pixels: Any, targets: Any) -> Any:
        with torch.autocast("cuda", torch.bfloat16):
            logits = model((pixels.permute(0, 3, 1, 2).float() - mean) / std)
        return torch.nn.functional.cross_entropy(logits.float(), targets)

    steps = arguments.images // arguments.batch
    pixels, targets = torch.from_numpy(images), torch.from_numpy(classes)
    fixed = pixels[: arguments.batch].cuda(), targets[: arguments.batch].cuda()
    copies = torch.cuda.Stream()

    def sent(chosen: Any) -> list[Any]:
        pinned = [part[chosen].pin_memory() for part in (pixels, targets)]
        with torch.cuda.stream(copies):
            on_device = [part.cuda(non_blocking=True) for part in pinned]
        copies.synchronize()
        for part in on_device:
            part.record_stream(torch.cuda.default_stream())
        return on_device

    def loaded() -> Iterator[Any]:
        order = torch.randperm(len(pixels))[: steps * arguments.batch].view(steps, -1)
        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(sent, order)

    seconds = []
    for epoch in range(arguments.epochs + 1):
        start = time.perf_counter()
        for batch in loaded() if from_host else (fixed for _ in range(steps)):
            optimizer.zero_grad(set_to_none=True)
            loss_of(*batch).backward()
            optimizer.step()
        torch.cuda.synchronize()
        if epoch:
            seconds.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
