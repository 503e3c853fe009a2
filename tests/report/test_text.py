from __future__ import annotations

import pytest

from zoo.report.page import environment
from zoo.report.text import duration, magnitude, percent, plural, shorten, thousands
from zoo.terminal import readable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("класс_é", "класс_é"),
        ("日本語", "日本語"),
        ("caf\udce9.jpg", r"caf\xe9.jpg"),
        ("lone\ud800", r"lone\ud800"),
        ("a\nb\tc\x00\x1b[31m", r"a\nb\tc\x00\x1b[31m"),
        ("evil\u202egpj.exe", r"evil\u202egpj.exe"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_any_name_becomes_one_line_of_valid_text(name: str, shown: str) -> None:
    assert readable(name) == shown
    readable(name).encode("utf-8")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a,b\"c'&\udcff", "a,b&#34;c&#39;&amp;\\xff"),
        ("up\u202egpj.exe", "up\\u202egpj.exe"),
    ],
)
def test_markup_in_names_is_text_whatever_a_template_does_with_them(name: str, shown: str) -> None:
    for template in ("{{ it }}", '{{ "%s"|format(it) }}', '{{ "" ~ it }}', "{{ [it]|join }}"):
        assert environment().from_string(template).render(it=name) == shown
    with_places_to_break = environment().from_string("{{ it|name }}").render(it=name)
    assert with_places_to_break.replace("<wbr>", "") == f"<bdi>{shown}</bdi>"


def test_long_names_keep_both_ends() -> None:
    assert shorten("a" * 50 + ".jpg", 20) == "aaaaaaaaaa…aaaaa.jpg"
    assert shorten("short", 20) == "short"
    assert shorten("日本語日本語日本語", 9) == "日本…本語"  # each character is two columns wide


def test_figures_read_like_prose() -> None:
    assert percent(0.94) == "94.0\u00a0%"
    assert percent(0.99999) == "99.9\u00a0%"  # 100 % is only shown if all are correct
    assert percent(1.0) == "100.0\u00a0%"
    assert percent(None) == "\u2013"
    assert (duration(0.42), duration(59.7), duration(192), duration(7500)) == (
        "0.4\u00a0s",
        "1\u00a0min 0\u00a0s",
        "3\u00a0min 12\u00a0s",
        "2\u00a0h 5\u00a0min",
    )
    assert (magnitude(2257984), magnitude(999), magnitude(None)) == ("2.26\u00a0M", "999", "\u2013")
    assert (plural(1, "image"), plural(2, "class"), plural(3, "epoch")) == ("1 image", "2 classes", "3 epochs")
    assert thousands(1234567) == "1\u202f234\u202f567"
