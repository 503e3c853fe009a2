"""``zoo train`` compared with the usual transfer learning of MobileNetV2 in PyTorch: same weights, splits and photos.

    python benchmarks/pytorch_recipes.py balls/ waste/ --weights mobilenetv2_imagenet.npz --seeds 0 1 2 \\
        --train mobilenetv2 "mobilenetv2 --recipe finetune" efficientnet_lite1

This needs PyTorch in the environment of zoo, or in a separate one (``--torch-python``; with NumPy and OpenCV).
``--weights`` are the weights of torchvision as arrays, in the order of its state dict. There are four recipes, each of
which runs in a separate process with a tuned malloc of glibc:

- ``adamw``: all layers, AdamW, one cycle up to 3e-4, 10 epochs, batches of 32, bfloat16.
- ``adamw_frozen``: the same for the head alone, up to 3e-3.
- ``sgd``: torchvision's tutorial. SGD 1e-3, momentum 0.9, a tenth of the rate every 7 epochs, 25 epochs, batches of 4.
- ``sgd_frozen``: the same for the head alone.

All use random resized crops and mirroring, and predict the test photos (centre crop of 224 in 256) with the weights of
the last epoch, or of the best epoch if there are validation photos. The time includes decoding only once, because
photos are kept in memory.

Each line of ``--train`` is a whole ``zoo train``, which computes its features anew. PyTorch splits as the first of them
does. If other work runs, only the CPU time can be compared.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MALLOC = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864"
RECIPES = ("adamw_frozen", "adamw", "sgd_frozen", "sgd")
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
BLOCKS = (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train", nargs="+", default=["mobilenetv2"], metavar="ARGUMENTS", help="of zoo train")
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--one", nargs=3, metavar=("RECIPE", "SPLIT", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        recipe, split, seed = arguments.one
        print(train(arguments.data[0], Path(split), arguments.weights, recipe, int(seed)))
        return
    found: dict[str, list[float]] = {}
    print("| data | seed | recipe | test accuracy | seconds | CPU seconds |\n|---|---|---|---|---|---|", flush=True)
    for data in arguments.data:
        for seed in arguments.seeds:
            _compare(arguments, data, seed, found)
    from zoo.figures import percent  # not imported above, because the Python with PyTorch does not have it

    for recipe, accuracies in found.items():
        print(f"| mean | | {recipe} | {percent(statistics.mean(accuracies))} | | |")


def _compare(arguments: argparse.Namespace, data: Path, seed: int, found: dict[str, list[float]]) -> None:
    from zoo.figures import percent

    def run(recipe: str, command: list[str], environment: dict[str, str], accuracy: Callable[[str], float]) -> None:
        start, spent = time.perf_counter(), cpu_seconds()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        taken = f"{time.perf_counter() - start:.0f} | {cpu_seconds() - spent:.0f}"
        found.setdefault(recipe, []).append(accuracy(done.stdout))
        print(f"| {data.name} | {seed} | {recipe} | {percent(found[recipe][-1])} | {taken} |", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder, str(number)) for number, _ in enumerate(arguments.train)]
        for path, line in zip(runs, arguments.train, strict=True):
            command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "train", *line.split()]
            options = ["--data", str(data.resolve()), "--seed", str(seed), "--runs", str(path.parent)]
            metrics = path / "metrics.json"
            run(
                f"zoo train {line}",
                [*command, *options, "--name", path.name, "--quiet"],
                {"ZOO_CACHE_DIR": f"{path}-cache"},
                lambda _, metrics=metrics: json.loads(metrics.read_text())["accuracy"],
            )
        for recipe in arguments.recipes:
            command = [arguments.torch_python, __file__, str(data), "--weights", str(arguments.weights)]
            split = str(runs[0] / "split.csv")
            run(recipe, [*command, "--one", recipe, split, str(seed)], {"GLIBC_TUNABLES": MALLOC}, float)


def cpu_seconds() -> float:
    """Seconds of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def train(data: Path, split: Path, weights: Path, recipe: str, seed: int) -> float:
    """Accuracy on the test photos, 0 to 1."""
    import torch

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    with split.open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["label"] for row in rows})
    parts: dict[str, list[tuple[np.ndarray, int]]] = {"train": [], "val": [], "test": []}
    for row in rows:
        parts[row["split"]].append((decode(data / row["path"]), labels.index(row["label"])))

    model = mobilenetv2(weights, len(labels)).to(memory_format=torch.channels_last)
    head = model[-1]
    frozen, adamw = recipe.endswith("_frozen"), recipe.startswith("adamw")
    for parameter in model.parameters():
        parameter.requires_grad = not frozen
    for parameter in head.parameters():
        parameter.requires_grad = True
    epochs, batch = (10, 32) if adamw else (25, 4)
    steps = math.ceil(len(parts["train"]) / batch)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if adamw:
        rate = 3e-3 if frozen else 3e-4
        optimizer: Any = torch.optim.AdamW(learnt, lr=rate)
        schedule: Any = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps * epochs)
    else:
        optimizer = torch.optim.SGD(learnt, lr=1e-3, momentum=0.9)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 7 * steps, gamma=0.1)

    best, kept = -1.0, None
    for _ in range(epochs):
        model.train()
        order = random.permutation(len(parts["train"]))
        for start in range(0, len(order), batch):
            chosen = [parts["train"][index] for index in order[start : start + batch]]
            images = tensor([crop(image, random) for image, _ in chosen])
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=adamw):
                logits = model(images)
            loss = torch.nn.functional.cross_entropy(logits.float(), torch.tensor([label for _, label in chosen]))
            loss.backward()
            optimizer.step()
            schedule.step()
        # Without validation photos, as in a run with a chosen head, the last epoch is used.
        accuracy = measure(model, parts["val"], adamw) if parts["val"] else best + 1
        if accuracy > best:
            best, kept = accuracy, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return measure(model, parts["test"], adamw)


def measure(model: Any, part: list[tuple[np.ndarray, int]], bfloat16: bool) -> float:
    import torch

    model.eval()
    right = 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        for start in range(0, len(part), 32):
            some = part[start : start + 32]
            answers = model(tensor([centre(image) for image, _ in some])).argmax(1).tolist()
            right += sum(answer == label for answer, (_, label) in zip(answers, some, strict=True))
    return right / len(part)


def mobilenetv2(weights: Path, classes: int) -> Any:
    """torchvision's network: strided convolutions are padded on every side, and the epsilon of BatchNorm is 1e-5."""
    import torch
    from torch import nn

    def convolution(inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1) -> list[Any]:
        convolved = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        return [convolved, nn.BatchNorm2d(outputs)]

    class Residual(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int, factor: int) -> None:
            super().__init__()
            wide = inputs * factor
            parts = [] if factor == 1 else [*convolution(inputs, wide), nn.ReLU6()]
            parts += [*convolution(wide, wide, 3, stride, wide), nn.ReLU6(), *convolution(wide, outputs)]
            self.parts, self.adds = nn.Sequential(*parts), stride == 1 and inputs == outputs

        def forward(self, x: Any) -> Any:
            return x + self.parts(x) if self.adds else self.parts(x)

    layers, channels = [*convolution(3, 32, 3, 2), nn.ReLU6()], 32
    for factor, outputs, count, first_stride in BLOCKS:
        for number in range(count):
            layers.append(Residual(channels, outputs, first_stride if number == 0 else 1, factor))
            channels = outputs
    layers += [*convolution(320, 1280), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    model = nn.Sequential(*layers, nn.Linear(1280, classes))
    # Both list their tensors in the order of the network, except for the counters of BatchNorm and the head.
    with np.load(weights) as stored:
        ours = [value for name, value in model.state_dict().items() if "num_batches" not in name][:-2]
        for value, name in zip(ours, stored.files[:-2], strict=True):
            assert value.shape == stored[name].shape, name
            value.copy_(torch.from_numpy(stored[name]))
    return model


def decode(path: Path) -> np.ndarray:
    import cv2

    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def crop(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same as RandomResizedCrop(224) and RandomHorizontalFlip of torchvision."""
    import cv2

    height, width = image.shape[:2]
    for _ in range(10):
        area = height * width * random.uniform(0.08, 1)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top, left = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
            image = image[top : top + h, left : left + w]
            break
    how = cv2.INTER_AREA if min(image.shape[:2]) > 224 else cv2.INTER_LINEAR
    image = cv2.resize(image, (224, 224), interpolation=how)
    return image[:, ::-1] if random.random() < 0.5 else image


def centre(image: np.ndarray) -> np.ndarray:
    import cv2

    scale = 256 / min(image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = (max(224, round(image.shape[1] * scale)), max(224, round(image.shape[0] * scale)))
    image = cv2.resize(image, size, interpolation=how)
    top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
    return image[top : top + 224, left : left + 224]


def tensor(images: list[np.ndarray]) -> Any:
    import torch

    values = (np.stack(images).astype(np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2))).contiguous(
        memory_format=torch.channels_last
    )


if __name__ == "__main__":
    main()
