"""``zoo search`` from photos to a verified file: killed and continued, its page, and bad input."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import (
    PhotoFolder,
    Result,
    RunZoo,
    Zoo,
    draw_photo,
    hash_of,
    install,
    interrupt,
    run_command,
    zoo_environment,
)
from zoo import Architecture, UsageError, Weights
from zoo.registry import Offer, Registry
from zoo.searching import options

TINY = (Path(__file__).parents[1] / "tiny_net.py").read_text()

#: At 8 px, all sizes are the same, so only three resize rules are searched. One architecture fails.
PLUGIN = TINY.replace("height_px=32, width_px=32", "height_px=8, width_px=8").replace(
    'recipes={"default": recipe}',
    'recipes={"default": recipe, "finetune": Recipe(head="chosen", epochs=1, precision="float32")}',
)
BROKEN = (
    PLUGIN.replace('"tiny_net"', '"broken_net"')
    .replace("random = np.random.default_rng(0)", "raise RuntimeError('no such weights')")
    .replace("Two convolutions, for tests", "Fails when its weights are loaded")
)
#: Kills the process before it writes the file that KILL_AT names.
KILLER = (
    "import os, signal\n"
    "from pathlib import Path\n"
    "write_bytes = Path.write_bytes\n"
    "def write(self, data):\n"
    "    if os.environ.get('KILL_AT') and self.name.startswith('.' + os.environ['KILL_AT']):\n"
    "        os.kill(os.getpid(), signal.SIGKILL)\n"
    "    return write_bytes(self, data)\n"
    "Path.write_bytes = write\n"
)
ARCHITECTURES = ("--arch", "tiny_net", "--arch", "broken_net")
COMMAND = ("search", "--data", "photos", "--format", "onnx", "--time", "20m", "--max-size-mb", "5", *ARCHITECTURES)


def draw_photos(root: Path, each: int = 14) -> None:
    for place, label in enumerate(("grass", "sky")):
        for number in range(each):
            draw_photo(root / label / f"{number}.jpg", 60 + 45 * place, hash_of(f"{label}/{number}"))


def stamps(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in [*folder.glob("candidates/*/result.json"), *folder.glob("costs/*.json")]
    }


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> tuple[Path, Result]:
    """A search that was killed when its winner was known, and then continued. Tests must not change it."""
    folder = tmp_path_factory.mktemp("searched")
    draw_photos(folder / "photos")
    site = folder / "site"
    site.mkdir()
    install(site, "zoo-tiny", PLUGIN)
    install(site, "zoo-broken", BROKEN)
    install(site, "zoo-killer", KILLER)
    environment = zoo_environment(site)
    killed = run_command(*COMMAND, cwd=folder, environment={**environment, "KILL_AT": "winner"})
    assert killed.code == -signal.SIGKILL, killed.err
    before = stamps(folder / "runs" / "best-photos.search")
    assert len(before) >= 5
    done = run_command(*COMMAND, "--json", cwd=folder, environment=environment)
    assert done.code == 0, done.err
    assert stamps(folder / "runs" / "best-photos.search") == before  # nothing was measured or tried again
    return folder, done


@pytest.fixture
def found(searched: tuple[Path, Result]) -> dict[str, Any]:
    return dict(json.loads(searched[1].out))


def test_the_winner_is_a_run_with_a_verified_file(searched: tuple[Path, Result], found: dict[str, Any]) -> None:
    folder = searched[0]
    run = folder / found["run"]
    assert run == folder / "runs" / "best-photos"
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["accuracy"] == found["test_accuracy"]
    file = folder / found["file"]
    assert file.suffix == ".onnx"
    assert json.loads((file.parent / "verify.json").read_text())["passed"] is True
    size = file.stat().st_size
    assert found["cost"]["size_bytes"] == size
    winner = found["candidates"][0]
    assert winner["key"] == found["winner"]
    assert abs(winner["cost"]["size_bytes"] - size) < 0.2 * size  # known before the training
    image = json.loads((run / "run.json").read_text())["image"]
    assert image == winner["candidate"]["image"]
    assert any("All layers of the winner were fine-tuned" in note for note in found["notes"])


@pytest.mark.long
def test_the_winner_is_fine_tuned_where_there_is_time(searched: tuple[Path, Result], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    search = folder / "runs" / "best-photos.search"
    shutil.rmtree(folder / "runs" / "best-photos")
    (search / "winner.json").unlink()
    (search / "time.json").write_text('{"elapsed_s": 1199}')
    environment = zoo_environment(folder / "site")
    for time, run, recipe in (("20m", "best-photos", "default"), ("2h", "best-photos-2", "finetune"), ("2h", "", "")):
        done = run_command(*COMMAND, "--time", time, "--json", cwd=folder, environment=environment)
        assert done.code == 0, done.err
        found = json.loads(done.out)
        if run:
            assert found["run"] == f"runs/{run}"
            assert json.loads((folder / found["run"] / "run.json").read_text())["recipe_name"] == recipe
            assert any("fine-tuned in the time that was left" in note for note in found["notes"]) == (
                recipe == "finetune"
            )
    assert found["run"] == "runs/best-photos-2"  # the model is not trained again


def test_test_images_choose_nothing(searched: tuple[Path, Result], found: dict[str, Any]) -> None:
    folder = searched[0]
    split = (folder / found["run"] / "split.csv").read_text()
    tests = set(re.findall(r'^"([^"]+)","\w+","test"', split, re.MULTILINE))
    assert tests
    for candidate in found["candidates"]:
        if not candidate["error"]:
            predictions = folder / "runs" / "best-photos.search" / "candidates" / candidate["key"] / "predictions.csv"
            judged = {line.split(",")[0].strip('"') for line in predictions.read_text().splitlines()[1:]}
            assert len(judged) == candidate["judged"]["n"]
            assert not judged & tests


def test_a_plugin_that_fails_is_noted_and_the_search_goes_on(
    searched: tuple[Path, Result], found: dict[str, Any]
) -> None:
    failed = [candidate for candidate in found["candidates"] if candidate["error"]]
    assert {candidate["candidate"]["architecture"] for candidate in failed} == {"broken_net"}
    assert "zoo-broken" in failed[0]["error"]
    judged = [candidate for candidate in found["candidates"] if not candidate["error"]]
    assert {candidate["candidate"]["image"]["resize"] for candidate in judged} == {"squash", "crop", "letterbox"}
    assert found["tried"] == len(failed) + len(judged)
    assert found["second"] in {candidate["key"] for candidate in judged} - {found["winner"]}


def test_every_point_of_the_page_opens_a_report(searched: tuple[Path, Result], found: dict[str, Any]) -> None:
    page = searched[0] / found["page"]
    text = page.read_text()
    links = set(re.findall(r'href="([^"]+)"', text))
    assert len(links) == 3
    assert all((page.parent / link).is_file() for link in links)
    assert f"{found['tried']} candidates" in text
    assert "no such weights" in text
    assert "The test images were not used to compare candidates." in text


@pytest.mark.parametrize("width_px", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window(
    searched: tuple[Path, Result], found: dict[str, Any], browser: Any, width_px: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width_px, "height": 844}, color_scheme=scheme)
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    address = (searched[0] / found["page"]).as_uri()
    page.on("request", lambda request: None if request.url == address else trouble.append(request.url))
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    letters = page.evaluate("document.querySelector('.pareto text').getBoundingClientRect().height")
    assert letters >= 9
    assert trouble == []
    page.locator(".pareto a.winner").first.click()
    assert page.url.endswith("/best-photos/report.html")
    page.close()


def test_a_finished_search_gives_the_same_again(searched: tuple[Path, Result], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    before = stamps(folder / "runs" / "best-photos.search")
    again = run_command(*COMMAND, cwd=folder, environment=zoo_environment(folder / "site"))
    assert again.code == 0, again.err
    assert stamps(folder / "runs" / "best-photos.search") == before
    assert [path.name for path in (folder / "runs").iterdir() if path.is_dir()].count("best-photos") == 1
    assert "candidates were tried. The winner on the test images, which were not used to compare them:" in again.out
    assert "The second best is tiny_net at 8x8" in again.out


def test_a_winner_whose_file_exceeds_a_limit_is_replaced_by_the_next_best(
    searched: tuple[Path, Result], found: dict[str, Any], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    record = folder / "runs" / "best-photos.search" / "winner.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "size_bytes": 6_000_000, "recipe": ""}))
    done = run_command(*COMMAND, "--json", cwd=folder, environment=zoo_environment(folder / "site"))
    assert done.code == 0, done.err
    now = json.loads(done.out)
    assert now["winner"] == found["second"]
    assert now["run"] == "runs/best-photos-2"
    assert json.loads((folder / now["file"]).with_name("verify.json").read_text())["passed"] is True
    reason = "cannot be the winner: The exported file takes 6.00 MB of at most 5 MB"
    assert any(reason in note for note in now["notes"])
    assert reason in (folder / now["page"]).read_text()


def test_a_finished_search_is_shown_after_the_plugin_of_its_winner_was_removed(
    searched: tuple[Path, Result], found: dict[str, Any], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    search = folder / "runs" / "best-photos.search"
    goal = json.loads((search / "search.json").read_text())
    goal |= {"asked": [], "architectures": [*goal["architectures"], "mobilenetv2"]}
    (search / "search.json").write_text(json.dumps(goal))
    large = {**found["cost"], "size_bytes": 6_000_000}  # so that mobilenetv2 exceeds the limit and is not tried
    (search / "costs" / "mobilenetv2-224x224.json").write_text(json.dumps(large))
    shutil.rmtree(folder / "site")
    command = COMMAND[: -len(ARCHITECTURES)]
    done = run_command(*command, "--json", cwd=folder, environment=zoo_environment(folder / "site"))
    assert done.code == 0, done.err
    now = json.loads(done.out)
    assert (now["winner"], now["run"], now["file"]) == (found["winner"], found["run"], found["file"])
    assert "No longer installed, and therefore not tried any more: broken_net, tiny_net." in now["notes"]
    shutil.rmtree(folder / "runs" / "best-photos")
    done = run_command(*command, cwd=folder, environment=zoo_environment(folder / "site"))
    assert done.code == 5
    assert "Its architecture is no longer installed." in done.err


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("--max-size-mb", "4"), "other limits: 5 MB. Received: 4 MB"),
        (("--precision", "float16"), "another --precision: float32. Received: float16"),
        (("--arch", "simple_net"), None),
    ],
)
def test_a_folder_of_another_search_is_refused(
    searched: tuple[Path, Result], tmp_path: Path, options: tuple[str, ...], kind: str | None
) -> None:
    folder = searched[0]
    done = run_command(*COMMAND, *options, cwd=folder, environment=zoo_environment(folder / "site"))
    assert done.code == 2
    assert (f"is a search with {kind}" if kind else "Unknown architecture 'simple_net'") in done.err


def test_a_folder_of_other_data_is_refused(searched: tuple[Path, Result], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    draw_photo(folder / "photos" / "sky" / "new.jpg", 100, 5)
    done = run_command(*COMMAND, cwd=folder, environment=zoo_environment(folder / "site"))
    assert done.code == 2
    assert "is a search with other images or splits" in done.err


def test_a_damaged_journal_ends_with_4_and_says_what_to_do(searched: tuple[Path, Result], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    (folder / "runs" / "best-photos.search" / "journal.log").write_text("no journal\nat all\n")
    done = run_command(*COMMAND, cwd=folder, environment=zoo_environment(folder / "site"))
    assert done.code == 4
    assert "journal.log is damaged" in done.err
    assert "run the same command again" in done.err


def test_ctrl_c_says_how_to_continue(searched: tuple[Path, Result], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(searched[0], tmp_path / "copy"))
    search = folder / "runs" / "best-photos.search"
    shutil.rmtree(search / "candidates")
    (search / "journal.log").unlink()
    environment = zoo_environment(folder / "site")
    done = interrupt(signal.SIGINT, "Trying tiny_net", *COMMAND, cwd=folder, environment=environment)
    assert done.code == 130
    assert "Interrupted. The results so far are kept. To continue: zoo search --data photos --time 1200s" in done.err
    assert list((search / "workers").iterdir()) == []


def test_limits_that_nothing_meets_name_the_nearest(photo_folder: PhotoFolder, site: Path, run_zoo: RunZoo) -> None:
    install(site, "zoo-tiny", PLUGIN)
    photos = photo_folder({"a": 10, "b": 10})
    done = run_zoo("search", "--data", photos, "--arch", "tiny_net", "--format", "onnx", "--max-size-mb", "0.001")
    assert done.code == 2
    assert re.search(
        r"The nearest is tiny_net at 8x8 squash, area, [\d.]+ MB of at most 0.001 MB: [\d.]+ times", done.err
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--time", "0s"), "--time must be above 0"),
        (("--max-latency-ms", "-1"), "--max-latency-ms must be above 0"),
        (("--precision", "int4"), "Unknown precision 'int4'"),
        (("--format", "web"), "cannot be timed"),
        (("--format", "tflit"), "Did you mean 'tflite'?"),
        (("--arch", "simple_cnn"), "has no pretrained weights"),
        (("--name", "../x"), "--name must be the name of a folder"),
        (("--name", "mobilenetv2"), "--name cannot be 'mobilenetv2', because an architecture has that name"),
        (("--device", "photos.json"), "'photos.json' is JSON, but not a benchmark"),
    ],
)
def test_options_that_cannot_be(options: tuple[str, ...], said: str, photo_folder: PhotoFolder, zoo: Zoo) -> None:
    photos = photo_folder({"a": 4, "b": 4})
    (photos.parent / "photos.json").write_text("{}")
    done = zoo("search", "--data", photos, *options)
    assert done.code == 2
    assert said in done.err
    assert not (photos.parent / "runs").exists()


def test_one_photo_a_class_is_told(photo_folder: PhotoFolder, zoo: Zoo) -> None:
    done = zoo("search", "--data", photo_folder({"train/a": 1, "train/b": 9, "test/a": 1, "test/b": 1}))
    assert done.code == 4
    assert "Too few images in class(es) 'a'" in done.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(("weights", "said"), [((), "Install a plugin"), (("far",), "downloaded: any")])
def test_without_pretrained_architectures_it_says_so(
    weights: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = tuple(Weights(name=name, summary="By download", labels=tuple, load=print) for name in weights)
    record = Architecture(name="any", summary="", build=print, backbone="features", weights=offered)
    installed = Registry("architecture", [Offer(record, "zoo-any", "1.0")])
    monkeypatch.setattr(options, "architectures", lambda: installed)
    with pytest.raises(UsageError, match="A search requires an architecture") as error:
        options.find_architectures((), "photos")
    assert said in str(error.value)
