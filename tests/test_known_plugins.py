"""The package to install for an architecture of a plugin in this repository."""

from __future__ import annotations

import pytest

from tests.conftest import Zoo
from zoo.known_plugins import KNOWN
from zoo.registry import architectures


@pytest.mark.parametrize("distribution", KNOWN)
def test_the_table_has_the_architectures_of_the_plugin(distribution: str) -> None:
    offered = {offer.record.name for offer in architectures() if offer.distribution == distribution}
    if not offered:
        pytest.skip(f"{distribution} is not installed")
    assert set(KNOWN[distribution]) == offered


@pytest.mark.parametrize("command", ["train", "evaluate", "export", "predict", "show"])
def test_the_line_that_installs_it_is_said(command: str, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KNOWN, "zoo-not-here", ("resnet9000",))
    done = zoo(command, "resnet9000", *(["photo.jpg"] if command == "predict" else []))
    assert done.code == 2
    assert "The architecture 'resnet9000' is in zoo-not-here, which is not installed." in done.err
    assert "python -m pip install zoo-not-here" in done.err


def test_a_plugin_that_is_installed_and_left_out_is_not_installed_again(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN, "pluggy", ("resnet9000",))
    done = zoo("train", "resnet9000")
    assert done.code == 2
    assert "is in pluggy, which is installed but was not loaded." in done.err
    assert "pip install" not in done.err
