"""The commands start quickly, and use a proxy if one is set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RunZoo
from tests.fetch.conftest import UrlList, images_in, picture
from tests.fetch.server import LoopbackServer, Served
from tests.test_imports import HEAVY
from zoo.atomic import read_csv


@pytest.mark.parametrize("command", ["", "openimages", "imagenet", "urls"])
def test_help_loads_nothing_heavy(command: str) -> None:
    code = (
        f"import sys; sys.argv = ['zoo', 'data', 'fetch', *{command.split()!r}, '--help']\n"
        "from zoo.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', [name for name in {(*HEAVY, 'urllib3')!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "LOADED []"


def test_a_proxy_is_used_and_private_addresses_are_refused_all_the_same(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    server.files["http://photos.example/x.jpg"] = Served(picture(1))
    rows = [("http://photos.example/x.jpg", "ball"), ("http://169.254.169.254/x.jpg", "ball")]
    proxy = {"http_proxy": server.url.removeprefix("http://"), "no_proxy": ""}
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos", env=proxy)
    assert done.code == 0, done.err
    assert len(images_in(tmp_path / "photos")) == 1
    assert "private network" in read_csv(tmp_path / "photos" / "failed.csv")[0]["reason"]
    assert [answer.path for answer in server.answers] == ["http://photos.example/x.jpg"]


def test_a_proxy_that_cannot_be_used_is_said(run_zoo: RunZoo, url_list: UrlList) -> None:
    rows = url_list([("http://photos.example/x.jpg", "ball")])
    done = run_zoo("data", "fetch", "urls", rows, "--out", "photos", env={"http_proxy": "socks5://127.0.0.1:9"})
    assert done.code == 2
    assert "The proxy socks5://127.0.0.1:9 cannot be used" in done.err
