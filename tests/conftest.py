"""Fixtures used everywhere: real photos, real plugins on disk, the real command."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filelock import FileLock

from tests import warm
from zoo.memory import keep_freed_memory

REPOSITORY = Path(__file__).resolve().parents[1]

keep_freed_memory()  # like the command


#: Test files that take longest: half a minute of CPU time or more.
LONGEST = (
    *("test_foreign_models.py", "test_train.py", "test_teeth.py", "test_teachers.py", "test_export.py"),
    *("test_quantize.py", "test_html.py", "test_matrix.py", "test_page.py", "test_transfer.py", "test_onnx.py"),
    *("test_efficientnet_lite.py", "test_mobilenetv2.py", "test_api.py", "test_run.py", "test_zoo_mlflow.py"),
    *("test_applications_weights.py", "test_heads.py", "test_applications_model.py", "test_backends.py"),
    *("test_notebooks.py", "test_search.py", "test_every_page.py", "test_arm.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the quick tests first, so that a broken build fails within a minute, and then the longest ones, so that at
    the end no process runs one of them alone."""
    quick = REPOSITORY / "tests"
    items.sort(key=lambda item: (item.path.parent != quick, item.path.name not in LONGEST))


def pytest_collection_finish() -> None:
    warm.spare_collections()
    if "keras" in sys.modules:  # test modules import it; the few that do not train nothing
        warm.take_float32(pytest.MonkeyPatch().setattr)


#: Bytes of memory of this process after the last collection.
_kept = 0


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Returns the memory of former tests when the process has grown by a gigabyte.

    Garbage is collected rarely, and freed memory is kept, which saves time. Without this function, a process of the
    long tests grew to 8 GB.
    """
    global _kept
    if _resident() > _kept + 2**30:
        gc.collect()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # only the GNU C library has it
            trim(0)
        _kept = _resident()


def _resident() -> int:
    """Bytes of memory of this process. Zero if the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explains how two large values differ, without pytest's diff, which takes hours for the bytes of two models."""
    if op != "==" or max(len(repr(left)), len(repr(right))) < 50_000:
        return None
    if isinstance(left, dict) and isinstance(right, dict):
        other = sorted(str(name) for name in left.keys() & right.keys() if not _same(left[name], right[name]))
        one_side = sorted(map(str, left.keys() ^ right.keys()))
        return ["large dictionaries", f"different values of {other}", f"only in one of them: {one_side}"]
    one, two = (value if isinstance(value, bytes) else repr(value).encode() for value in (left, right))
    at = next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    around = slice(max(0, at - 40), at + 40)
    return [
        f"large values of {len(one)} and {len(two)} bytes, which differ from byte {at}",
        f"left:  {one[around]!r}",
        f"right: {two[around]!r}",
    ]


def _same(one: object, two: object) -> bool:
    return bool(np.array_equal(one, two)) if isinstance(one, np.ndarray) else one == two


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with photographs and original weights: ``ZOO_TEST_DATA``, or ``shared/data`` beside the repository."""
    folder = Path(os.environ.get("ZOO_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs the shared test data, and {folder} is not there (set ZOO_TEST_DATA)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One image cache for the whole session, separate from that of the user."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("ZOO_CACHE_DIR")
    os.environ["ZOO_CACHE_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["ZOO_CACHE_DIR"]
    else:
        os.environ["ZOO_CACHE_DIR"] = before


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty image cache for this test alone."""
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("ZOO_CACHE_DIR", str(folder))
    return folder


def draw_photo(path: Path, hue: int, seed: int, size: tuple[int, int] = (96, 72)) -> None:
    """A shaded background in the hue of the class, with circles; different for every seed."""
    random = np.random.default_rng(seed)
    width, height = size
    shade = np.repeat(np.linspace(90, 220, height, dtype=np.uint8)[:, None], width, 1)
    colour = np.full((height, width), hue, np.uint8)
    image = cv2.cvtColor(np.stack([colour, np.full_like(colour, 190), shade], -1), cv2.COLOR_HSV2BGR)
    for _ in range(4):
        centre = (int(random.integers(width)), int(random.integers(height)))
        cv2.circle(image, centre, int(random.integers(4, 16)), [int(c) for c in random.integers(0, 255, 3)], -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    # imencode, not imwrite: OpenCV cannot open every name that a file system can hold.
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


PhotoFolder = Callable[..., Path]


@pytest.fixture
def photo_folder(tmp_path: Path) -> PhotoFolder:
    """``photo_folder({"rugby": 20, "train/soccer": 20})`` creates class folders of drawn photos, one hue per class."""

    def make(counts: dict[str, int], name: str = "photos") -> Path:
        root = tmp_path / name
        labels = sorted({folder.rsplit("/", 1)[-1] for folder in counts})
        for folder, count in counts.items():
            hue = 170 * labels.index(folder.rsplit("/", 1)[-1]) // len(labels)
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed = hash_of(f"{folder}/{number}")
                draw_photo(root / folder / f"photo_{number:03d}.jpg", hue, seed)
        return root

    return make


def hash_of(text: str) -> int:
    """A hash that is the same in every process, unlike ``hash``."""
    return int.from_bytes(text.encode()[-8:], "big")


FakePlugin = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed distributions, on the path of ``run_zoo``."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def fake_plugin(site: Path) -> FakePlugin:
    """``fake_plugin("zoo-resnet", code)`` creates a distribution with one entry point, as installed by pip."""
    return partial(install, site)


def install(site: Path, distribution: str, code: str | None, *, version: str = "1.0") -> None:
    """Creates a distribution in a folder of installed distributions. Without ``code``, its module is missing."""
    module = distribution.replace("-", "_")
    if code is not None:
        (site / f"{module}.py").write_text(code)
    info = site / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[zoo]\n{module} = {module}\n")


@pytest.fixture
def tiny_net(site: Path) -> None:
    """The architecture ``tiny_net``, for ``run_zoo``."""
    install_tiny_net(site)


def install_tiny_net(site: Path) -> None:
    install(site, "zoo-tiny", (REPOSITORY / "tests" / "tiny_net.py").read_text())


@dataclass(frozen=True)
class Result:
    """The result of a command: exit code and output."""

    code: int
    out: str
    err: str


Zoo = Callable[..., Result]


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Zoo:
    """Runs the command in this process, in which TensorFlow is loaded already, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr("signal.signal", lambda *arguments: None)
    warm.draw_little(monkeypatch.setattr)

    from zoo.cli.main import main

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return Result(int(end.value.code or 0), out, err)

    return run


RunZoo = Callable[..., Result]


@pytest.fixture
def run_zoo(tmp_path: Path, site: Path) -> RunZoo:
    """``run_zoo("list", "--json", env={...})`` runs the real command in a separate process, in an empty folder."""

    def run(*arguments: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> Result:
        return run_command(*arguments, cwd=cwd or tmp_path, environment=zoo_environment(site) | (env or {}))

    return run


def run_command(*arguments: str | Path, cwd: Path, environment: dict[str, str], check: bool = False) -> Result:
    """Runs the real command in a separate process. With ``check``, an error is raised if it fails."""
    words = [str(argument) for argument in arguments]
    if warm.can_run(words, environment):
        code, out, err = warm.run(words, cwd, environment)
    else:
        done = subprocess.run(zoo_command(*words), cwd=cwd, env=environment, capture_output=True, timeout=600)
        code, out, err = done.returncode, done.stdout, done.stderr
    result = Result(code, out.decode(), err.decode())
    assert not (check and code), result.err
    return result


def interrupt(
    number: signal.Signals, shown: str, *arguments: str | Path, cwd: Path, environment: dict[str, str]
) -> Result:
    """Runs the real command, and sends it a signal as soon as it has printed a text to stderr."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = warm.start([str(argument) for argument in arguments], cwd, environment, out, err)
        deadline = time.monotonic() + 300
        while not err.is_file() or shown not in err.read_text():
            assert process.exitcode is None, err.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert process.pid
        os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode is not None
        return Result(process.exitcode, out.read_text(), err.read_text())


def zoo_command(*arguments: str | Path) -> Sequence[str]:
    return [sys.executable, "-c", "from zoo.cli.main import main; main()", *map(str, arguments)]


def zoo_environment(site: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "100"}


FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    # A fake camera that shows a clock, and a host name that is neither https nor localhost.
    *("--use-fake-device-for-media-stream", "--host-resolver-rules=MAP plain.test 127.0.0.1"),
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium: one for the session, because Playwright does not allow a second one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first test process fills, and that all test processes read."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each process has its own folder inside one folder of the session
    folder = base / name
    with FileLock(base / f"{name}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=base) as aside:
                make(Path(aside) / "made")
                (Path(aside) / "made").rename(folder)
    return folder


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Path:
    """A finished run of ``simple_cnn`` on the digits with a few epochs, trained by the command. Do not change it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        arguments = ("train", "simple_cnn", "--epochs", "6", "--precision", "float32")
        run_command(*arguments, cwd=folder, environment=zoo_environment(folder) | {warm.DRAWN: "1"}, check=True)

    (run,) = (made_once(tmp_path_factory, "digits", make) / "runs").iterdir()
    return run


@pytest.fixture(scope="module")
def digits_exports(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verified float32 bundles of both formats that ``zoo export`` writes for the digits run. Do not change them.

    Each module gets its own copy, because Python writes ``__pycache__`` into a bundle that is run.
    """

    def make(folder: Path) -> None:
        environment = zoo_environment(folder)
        run_command("export", digits_run, "--out", folder, cwd=folder.parent, environment=environment, check=True)

    made = made_once(tmp_path_factory, "digits-exports", make)
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("exports") / "out"))
