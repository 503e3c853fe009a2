"""The documentation site: it is built, its links are valid, and a browser displays it correctly."""

from __future__ import annotations

import html.parser
import importlib.util
import inspect
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt

import zoo
from tests.browser.conftest import OpenPage, Served
from tests.conftest import made_once
from tests.docs.pages import REPOSITORY, links

#: Matches a complete address.
ADDRESS = re.compile(
    r"https?://(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?(?:[/?#][^\s<>\"`]*)?|http://(?:127\.0\.0\.1|localhost)\S*"
)
#: Elements that are counted to check that a page has the same structure on the site as on a code host.
ELEMENTS = ("h1", "h2", "h3", "h4", "li", "ul", "ol", "pre", "table", "tr", "img", "blockquote", "strong", "em", "code")
#: Pages that are not in the navigation, because other pages link to them.
APART = re.compile(r"docs/(decisions/\d{4}-.*|report-picture)\.md|benchmarks/index\.md")


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docs" / f"{name}.py")
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@dataclass
class Page(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    path: Path
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    pictures_without_words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.links += [value for name in ("href", "src") if (value := values.get(name))]
        self.anchors |= {value for name in ("id", "name") if (value := values.get(name))}
        if tag == "img" and not values.get("alt"):
            self.pictures_without_words.append(values.get("src") or "")


@dataclass(frozen=True)
class Site:
    folder: Path
    pages_folder: Path

    @cached_property
    def pages(self) -> dict[Path, Page]:
        return {path: Page(path) for path in sorted(self.folder.rglob("*.html")) if path.name != "404.html"}


@pytest.fixture(scope="session")
def docs_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    pytest.importorskip("zensical", reason="needs zensical, which the extra `docs` brings")
    work = made_once(tmp_path_factory, "docs-site", lambda folder: (folder.mkdir(), module("build").build(folder)))
    return Site(work / "site", work / "build" / "pages")


def test_no_link_is_broken(docs_site: Site) -> None:
    broken = []
    checked = 0
    for path, page in docs_site.pages.items():
        for link in page.links:
            place = urlsplit(link)
            if place.scheme or place.netloc:
                if not ADDRESS.fullmatch(link) and not link.startswith("data:"):
                    broken.append(f"{path.name}: {link} is no address")
                continue
            target = (path.parent / unquote(place.path)).resolve() if place.path else path
            checked += 1
            target = target / "index.html" if target.is_dir() else target  # as a server resolves it
            if not target.is_file() or not target.is_relative_to(docs_site.folder.resolve()):
                broken.append(f"{path.name}: {link} leads nowhere")
            elif place.fragment and unquote(place.fragment) not in docs_site.pages[target].anchors:
                broken.append(f"{path.name}: {link} has no such anchor")
    assert not broken, "\n".join(broken)
    assert checked > 2000


def test_every_picture_says_what_it_shows(docs_site: Site) -> None:
    silent = {path.name: page.pictures_without_words for path, page in docs_site.pages.items()}
    assert not {name: pictures for name, pictures in silent.items() if pictures}


def test_every_page_is_in_the_navigation(docs_site: Site) -> None:
    config = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    assert "plugins" not in config
    named = list(module("build").leaves(config["nav"]))
    pages = {page.relative_to(docs_site.pages_folder).as_posix() for page in docs_site.pages_folder.rglob("*.md")}
    sources = {page for page in pages if (REPOSITORY / page.removesuffix(".md")).is_file() and ".ipynb" not in page}
    assert len(named) == len(set(named))
    assert set(named) == {page for page in pages - sources if not APART.fullmatch(page)}


def test_each_page_has_its_markdown_beside_it(docs_site: Site) -> None:
    for path in docs_site.pages:
        text = path.with_suffix(".md").read_text(encoding="utf-8")
        names = {link.partition("#")[0] for link in links(text)} - {""}
        broken = [name for name in names if not (path.parent / name).is_file()]
        assert not broken, path.name


def test_llms_txt_lists_the_pages(docs_site: Site) -> None:
    text = (docs_site.folder / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# zoo\n\n> ")
    entries = re.findall(r"^- \[([^\]]+)\]\(([^)]+)\)(?:: (\S.*))?$", text, re.MULTILINE)
    assert len(entries) == text.count("\n- ") > 30
    assert all((docs_site.folder / name).is_file() for _, name, _ in entries)
    assert sum(bool(sentence) for _, _, sentence in entries) > 30


def test_pages_read_on_the_site_as_on_a_code_host(docs_site: Site) -> None:
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    other = []
    for path in docs_site.pages:
        article = re.search(r"<article.*?</article>", path.read_text(encoding="utf-8"), re.DOTALL)
        assert article
        expected = markdown.render(path.with_suffix(".md").read_text(encoding="utf-8"))
        for element in ELEMENTS:
            shown, meant = (len(re.findall(rf"<{element}[ />]", text)) for text in (article[0], expected))
            if shown != meant:
                other.append(f"{path.name}: {shown} {element} in place of {meant}")
    assert not other, "\n".join(other)


def test_everything_public_is_in_the_reference(docs_site: Site) -> None:
    folder = docs_site.folder / "docs" / "reference" / "api"
    text = "".join(page.read_text(encoding="utf-8") for page in folder.glob("*.md"))
    for name in zoo.__all__:
        assert name in ("__version__", "hookimpl") or f"\n## `zoo.{name}`\n" in text, name
    assert ":meth:" not in text
    assert "<class" not in text
    functions = [getattr(zoo, name) for name in zoo.__all__ if inspect.isfunction(getattr(zoo, name))]
    assert len(functions) >= 10
    for function in functions:
        section = text.partition(f"\n## `zoo.{function.__name__}`\n")[2].partition("\n## ")[0]
        described = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^- (`.*?`): ", section, re.MULTILINE))))
        assert set(inspect.signature(function).parameters) <= described, function.__name__


@pytest.fixture
def served_site(docs_site: Site, served: Served) -> str:
    """Its address."""
    (served.folder / "docs").symlink_to(docs_site.folder)
    return served.address(served.folder / "docs")


#: Pixels by which the page can be scrolled sideways, and number of pictures that cannot be displayed.
TROUBLE = """() => [Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth),
    [...document.querySelectorAll('article img')].filter(i => i.complete && !i.naturalWidth).length]"""
#: Pages of each kind: long code, wide tables, pictures, a notebook, the reference of Python.
OF_EACH_KIND = (
    *("index.html", "docs/gallery.html", "docs/how-to/device.html", "docs/reference/hooks.html"),
    *("docs/notebooks/keras-to-device.ipynb.html", "docs/reference/api/functions.html"),
)


def test_no_page_is_wider_than_a_phone(docs_site: Site, served_site: str, browser: Any) -> None:
    """Scripts are disabled: they take half a second per page and do not move the text."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    for path in docs_site.pages:
        page.goto(f"{served_site}{path.relative_to(docs_site.folder).as_posix()}")
        assert page.evaluate(TROUBLE) == [0, 0], path.name
    context.close()


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_pages_of_each_kind_in_a_browser(served_site: str, open_page: OpenPage, name: str) -> None:
    opened = open_page(f"{served_site}{name}", wait="")
    for width_px in (390, 1280):
        for scheme in ("light", "dark"):
            opened.page.set_viewport_size({"width": width_px, "height": 844})
            opened.page.emulate_media(color_scheme=scheme)
            assert opened.page.evaluate(TROUBLE) == [0, 0], (width_px, scheme)
    opened.page.wait_for_load_state("networkidle")
    assert opened.trouble == []


def test_search_finds_a_page(served_site: str, open_page: OpenPage) -> None:
    opened = open_page(f"{served_site}index.html", wait="")
    opened.page.wait_for_load_state("networkidle")
    opened.page.locator(".md-search__button").click()
    opened.page.wait_for_function("document.activeElement.shadowRoot?.activeElement?.tagName === 'INPUT'")
    opened.page.keyboard.type("letterbox")
    opened.page.get_by_text("Size and shape").wait_for(timeout=20_000)
    assert opened.trouble == []


def test_the_dark_page_is_dark(served_site: str, open_page: OpenPage) -> None:
    def lightness(scheme: str) -> float:
        opened = open_page(f"{served_site}docs/tutorial.html", wait="", color_scheme=scheme)
        colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return max(float(part) for part in re.findall(r"[\d.]+", colour)[:3])

    assert lightness("dark") < lightness("light")
