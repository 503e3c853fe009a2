"""Simulates data-parallel training on up to 64 GPUs: loader, step and all-reduce as events.

    python benchmarks/scaling.py --cores 16 --decode 220 --gpu 10387

zoo trains on the devices of one machine, so more than eight GPUs are only simulated. The model and its assumptions are
in docs/decisions/0028-scaling-of-training.md. The arguments are photos per second of one core and of one GPU alone, as
measured, and properties of machines and networks, as their vendors state them.
"""

from __future__ import annotations

import argparse
from collections import deque
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Cluster:
    """Machines with GPUs.

    Args:
        gpus: Number of GPUs in total.
        per_host: Maximum number of GPUs in one machine.
        cores: Cores per GPU that decode.
        decode: Photos per second of one core.
        gpu: Photos per second of one GPU, with its photos in memory.
        batch: Photos of one GPU in a step.
        parameters: Trained parameters, with 4 bytes of gradient each.
        inside, between: Bandwidth of the all-reduce in a machine and between machines, in 10^9 bytes per second.
        latency_us: Latency of one message between machines, in microseconds.
        jitter: Standard deviation of the logarithm of the times of steps and batches.
        prefetch: Maximum number of batches that wait for a GPU.
    """

    gpus: int = 1
    per_host: int = 8
    cores: int = 16
    decode: float = 220.0
    gpu: float = 10_387.0
    batch: int = 256
    parameters: float = 3.5e6
    inside: float = 300.0
    between: float = 25.0
    latency_us: float = 10.0
    jitter: float = 0.03
    prefetch: int = 4

    @property
    def all_reduce_s(self) -> float:
        """Seconds of an all-reduce with one ring in each machine and one ring between the machines."""
        size = 4 * self.parameters
        inside = min(self.gpus, self.per_host)
        hosts = -(-self.gpus // self.per_host)
        ring = 2 * (inside - 1) / inside * size / (self.inside * 1e9)
        between = 2 * (hosts - 1) / hosts * size / (self.between * 1e9) + 2 * (hosts - 1) * self.latency_us * 1e-6
        return ring + between


def photos_per_second(cluster: Cluster, steps: int = 400, seed: int = 0) -> float:
    """Simulates ``steps`` steps, of which the first tenth fills the queues and is not counted."""
    random = np.random.default_rng(seed)
    loading_s = cluster.batch / (cluster.cores * cluster.decode)
    step_s = cluster.batch / cluster.gpu
    backward_s = step_s * 2 / 3
    ready = np.zeros(cluster.gpus)  # when the newest batch of each GPU is decoded
    taken = deque([np.zeros(cluster.gpus)] * cluster.prefetch, cluster.prefetch)  # when batches left the queue
    updated = begun = 0.0
    for step in range(steps):
        if step == steps // 10:
            begun = updated
        noise = np.exp(random.normal(-(cluster.jitter**2) / 2, cluster.jitter, (2, cluster.gpus)))
        # A loader continues as soon as its queue has room.
        ready = np.maximum(ready, taken[0]) + loading_s * noise[0]
        start = np.maximum(ready, updated)
        taken.append(start)
        # Gradients are sent during the backward pass. If sending takes longer, the update is delayed.
        slowest = float((start + step_s * noise[1]).max())
        updated = slowest + max(0.0, cluster.all_reduce_s - backward_s)
    return cluster.gpus * cluster.batch * (steps - steps // 10) / (updated - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("cores", "decode", "gpu", "batch", "parameters", "between", "jitter"):
        kind = type(getattr(Cluster(), name))
        parser.add_argument(f"--{name}", type=kind, default=getattr(Cluster(), name))
    one = Cluster(**vars(parser.parse_args()))
    alone = photos_per_second(one)
    print("gpus  photos/s  efficiency  all-reduce ms  without loader")
    for gpus in (1, 2, 4, 8, 16, 32, 64):
        cluster = replace(one, gpus=gpus)
        rate, fed = photos_per_second(cluster), photos_per_second(replace(cluster, decode=1e9))
        print(
            f"{gpus:4}  {rate:8.0f}  {rate / (gpus * alone):10.3f}  {1000 * cluster.all_reduce_s:13.3f}  {fed:14.0f}",
        )


if __name__ == "__main__":
    main()
