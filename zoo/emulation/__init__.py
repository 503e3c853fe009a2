"""A bundle on a processor that is not at hand: its own ``run.py`` on ARM, emulated.

QEMU's user-mode emulator runs an aarch64 Python of Debian with the aarch64 wheels that the bundle requires. Everything
lies in one folder of the cache, and nothing is installed:

    <cache>/arm64/qemu-aarch64      the emulator, where the system has none that is new enough
    <cache>/arm64/root/             Python and the libraries it needs, unpacked from Debian's packages
    <cache>/arm64/wheels-<digest>/  the packages of a ``requirements.txt``
    <cache>/arm64/compiled/         what that Python compiled, so that it starts faster the next time
    <cache>/arm64/downloads/        what is not unpacked yet

    place.py    what is there, and what is missing
    fetch.py    brings what is missing, by apt-get and pip, which check what they download
    device.py   a bundle on an emulated processor, asked as a runtime is
    worker.py   runs on that processor
"""

from zoo.emulation.device import EmulatedDevice
from zoo.emulation.fetch import fetch_emulator
from zoo.emulation.place import Emulator, find_emulator

__all__ = ["EmulatedDevice", "Emulator", "fetch_emulator", "find_emulator"]
