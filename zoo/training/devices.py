"""Trains one model on several devices, with the data parallelism of Keras on JAX."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from zoo.backend import devices as available
from zoo.backend import on_accelerator
from zoo.errors import UsageError
from zoo.keras_internals import lay_out_every_batch

#: Value of ``--devices`` for all devices.
ALL = "all"


def share_batches(devices: int | str, batch_size: int) -> int:
    """Divides every batch among devices from now on, and returns their number.

    Each device computes the gradient of its part of the batch, and the gradients are averaged. Therefore, losses and
    weights are the same as with one device and the same batch, apart from rounding. Evaluation and prediction are
    divided too.

    Args:
        devices: Number of devices, or ``"all"``.
        batch_size: Images per step, on all devices together.

    Raises:
        UsageError: The backend is not JAX, ``devices`` is not possible, or the batch cannot be divided.
    """
    import keras

    names = _chosen(devices, batch_size)
    if len(names) > 1:
        lay_out_every_batch()
        keras.distribution.set_distribution(_distribution(names))
    return len(names)


def augments_on_device() -> bool:
    """Whether the backend is JAX with an accelerator, which augments images faster than the host."""
    import keras

    return keras.backend.backend() == "jax" and on_accelerator()


def put_on_devices(arrays: tuple[NDArray[Any], ...], size: int) -> tuple[Any, ...]:
    """The arrays of a batch on the devices that share it, with Keras on JAX.

    Args:
        arrays: The arrays.
        size: Number of images, which is the length of each array.
    """
    import jax
    import keras

    distribution = keras.distribution.distribution()
    layout = None if distribution is None else distribution.get_data_layout((size,)).backend_layout
    return tuple(jax.device_put(arrays, layout))


def _chosen(devices: int | str, batch_size: int) -> list[str]:
    """Names of the chosen devices."""
    import keras

    backend = keras.backend.backend()
    if backend != "jax":
        raise UsageError(
            f"--devices {devices} needs Keras on JAX; the backend is {backend}.",
            "Set KERAS_BACKEND=jax, or leave --devices out to train on one device.",
        )
    names = available()
    kind = names[0].partition(":")[0]  # devices of one type: all CPUs or all accelerators
    names = [name for name in names if name.partition(":")[0] == kind]
    count = len(names) if devices == ALL else devices
    if not isinstance(count, int) or not 1 <= count <= len(names):
        raise UsageError(
            f"--devices {devices} is not possible: JAX has {len(names)} device(s), {', '.join(names)}.",
            f"Give a number from 1 to {len(names)}, or all.",
        )
    if batch_size % count:
        raise UsageError(
            f"A batch of {batch_size} images cannot be divided among {count} devices.",
            f"Give a --batch-size that is a multiple of {count}, such as {-(-batch_size // count) * count}.",
        )
    return names[:count]


def _distribution(names: list[str]) -> Any:
    import keras

    class DataParallel(keras.distribution.DataParallel):  # type: ignore[misc]
        """``DataParallel`` of Keras, except that every device computes the whole of a batch that cannot be divided."""

        def get_data_layout(self, data_shape: tuple[int, ...]) -> Any:
            if data_shape and data_shape[0] % len(names) == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    return DataParallel(devices=names, auto_shard_dataset=False)
