"""Runs a bundle on an emulated ARM processor, with its own ``run.py``.

QEMU's user-mode emulator runs an aarch64 Python from Debian with the aarch64 wheels that the bundle requires.
Everything is stored in one folder of the cache, and nothing is installed:

    <cache>/arm64/qemu-aarch64      the emulator, if the system has none that is new enough
    <cache>/arm64/system/           Python and the libraries it needs, unpacked from Debian's packages
    <cache>/arm64/wheels-<digest>/  the packages of a ``requirements.txt``
    <cache>/arm64/compiled/         bytecode of that Python, for a faster start
    <cache>/arm64/downloads/        packages that are not unpacked yet

    place.py    finds the emulator, the system and the wheels
    fetch.py    downloads them with apt-get and pip, which verify their downloads
    device.py   a bundle on an emulated processor, with the interface of a runtime
    worker.py   the program that runs on that processor
"""

from zoo.emulation.device import EmulatedDevice
from zoo.emulation.fetch import fetch_emulator
from zoo.emulation.place import Emulator, find_emulator

__all__ = ["EmulatedDevice", "Emulator", "fetch_emulator", "find_emulator"]
