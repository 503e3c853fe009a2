"""Web bundles that the command exports, each served under its own path, and a real browser that opens them."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from zoo_web.onnxruntime_web import PACKAGE, VARIABLE, install_command, runtime_files

from tests.conftest import made_once, run_command, zoo_environment
from zoo import ExportError

PRECISIONS = ("float32", "float16", "int8")


@pytest.fixture(scope="session")
def onnxruntime_web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with onnxruntime-web: that of ``ZOO_ONNXRUNTIME_WEB``, or one to which npm installs it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("npm")
        if VARIABLE not in os.environ:
            patch.setenv(VARIABLE, str(folder))
            if shutil.which("npm") is None:
                pytest.skip(f"needs {PACKAGE}, and there is neither a folder in {VARIABLE} nor npm")
            done = subprocess.run(install_command().split(), capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.skip(f"needs {PACKAGE}, and npm could not install it: {done.stderr[-200:]}")
        try:
            runtime_files()
        except ExportError as error:
            pytest.skip(f"needs {PACKAGE}: {error}")
        return Path(os.environ[VARIABLE])


@pytest.fixture(scope="session")
def web_exports(digits_run: Path, onnxruntime_web: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The web bundles of the digits run in every precision. Tests must not change them."""

    def make(folder: Path) -> None:
        precisions = [part for name in PRECISIONS for part in ("--precision", name)]
        environment = zoo_environment(folder) | {VARIABLE: str(onnxruntime_web)}
        arguments = ("export", digits_run, "--format", "web", *precisions, "--out", folder)
        done = run_command(*arguments, cwd=folder.parent, environment=environment, check=True)
        (folder / "said.txt").write_text(done.out.replace(str(folder), "OUT"))

    return made_once(tmp_path_factory, "web-exports", make)


@pytest.fixture
def web_bundle(web_exports: Path, tmp_path: Path) -> Path:
    """A copy of the float32 bundle, in a nested folder of the served folder."""
    place = tmp_path / "served" / "some where" / "digits"
    return Path(shutil.copytree(web_exports / "simple_cnn-web-float32", place))


@dataclass
class Served:
    """A folder that a plain static server serves, and the requests that the server received."""

    server: http.server.ThreadingHTTPServer
    folder: Path
    asked: list[str] = field(default_factory=list)

    def address(self, path: Path, host: str = "127.0.0.1") -> str:
        name = "/".join(part.replace(" ", "%20") for part in path.relative_to(self.folder).parts)
        return f"http://{host}:{self.server.server_port}/{name}/"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Serves ``tmp_path/served`` like ``python -m http.server``."""
    folder = tmp_path / "served"
    folder.mkdir(exist_ok=True)
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Served(server, folder, asked)
    server.shutdown()
    server.server_close()


@dataclass
class Opened:
    """A page, its errors, and its requests to other servers."""

    page: Any
    trouble: list[str]

    def wait(self, state: str) -> None:
        self.page.wait_for_selector(f"body[data-selftest={state}]", timeout=60_000)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def visible(self, selector: str) -> bool:
        return bool(self.page.locator(selector).is_visible())

    def answer(self) -> str:
        """Waits for a prediction, and returns its label."""
        self.page.wait_for_selector("body:not(.busy) #result:not([hidden])")
        return self.text("#label")


OpenPage = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """``open_page(address, **options)`` opens a page in a new context. The options are those of Playwright."""
    contexts = []

    def start(address: str, *, wait: str = "passed", **options: Any) -> Opened:
        context = browser.new_context(**options)
        contexts.append(context)
        opened = Opened(context.new_page(), [])
        host = urlsplit(address).netloc

        def watch(request: Any) -> None:
            asked = urlsplit(request.url)
            if asked.scheme not in ("blob", "data") and asked.netloc != host:
                opened.trouble.append(f"request: {request.url}")

        context.on("request", watch)
        opened.page.on("console", lambda message: opened.trouble.append(f"console: {message.text}"))
        opened.page.on("pageerror", lambda error: opened.trouble.append(f"error: {error}"))
        opened.page.on("dialog", lambda dialog: (opened.trouble.append(dialog.message), dialog.dismiss()))
        opened.page.goto(address)
        if wait:
            opened.wait(wait)
        return opened

    yield start
    for context in contexts:
        context.close()
