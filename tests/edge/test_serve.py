"""``run.py --serve`` of a bundle, over real connections to a process without zoo, Keras and TensorFlow."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from zoo_onnx import runtime

from tests.conftest import draw_photo
from tests.edge.conftest import RunBundle, runner_command
from tests.edge.test_deployment import instructions
from tests.images.pictures import png_that_declares
from tests.images.test_damage import JPEG, declare
from tests.images.test_listen import half_gray
from zoo.edge.bundle import read_bundle
from zoo.edge.classify import open_bundle
from zoo.edge.main import _parse
from zoo.edge.serve import serve_photos
from zoo.errors import UsageError

FORM = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="%s"\r\n\r\n%s\r\n--x--\r\n'
IS_FORM = {"Content-Type": 'multipart/form-data; boundary="x"'}


@contextlib.contextmanager
def serving(bundle: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Yields process and port of a service, then stops it if it still runs, and checks that it logged nothing."""
    command = runner_command(bundle, "--serve", "0", *options)
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline().decode()
            assert said.startswith("Serving on http://127.0.0.1:"), said + process.stderr.read().decode()
            yield process, int(said.split("/")[2].rpartition(":")[2])
            process.terminate()
            assert process.stderr.read() == b""
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


@pytest.fixture(scope="module")
def service(digits_exports: Path) -> Iterator[int]:
    """The port of a service."""
    options = ("--top", "3", "--allow-origin", "https://shop.example")
    with serving(digits_exports / "simple_cnn-onnx-float32", *options) as (_, port):
        yield port


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    draw_photo(path, 20, 1)
    return path.read_bytes()


def ask(
    port: int, body: bytes | None = None, path: str = "/", method: str = "", **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Status, headers by lower-case name, and the content of the JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method or ("GET" if body is None else "POST"), path, body, named)
        response = connection.getresponse()
        content = response.read()
    found = {name.lower(): value for name, value in response.getheaders()}
    return response.status, found, json.loads(content) if content else None


def until_refused(address: tuple[str, int]) -> None:
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            socket.create_connection(address).close()


def send(port: int, request: bytes) -> bytes:
    """The complete response to some bytes, after which the client sends nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_eight_clients_get_the_predictions_of_the_command_line(
    service: int, digits_exports: Path, run_bundle: RunBundle, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}.{'png' if number % 2 else 'jpg'}" for number in range(24)]
    for number, path in enumerate(paths):
        draw_photo(path, 7 * number, number, (40 + number, 60))
    done = run_bundle(digits_exports / "simple_cnn-onnx-float32", "--json", "--top", "3", *paths)
    expected = [json.loads(line) | {"file": "-"} for line in done.out.splitlines()]
    assert len({answer["probability"] for answer in expected}) > 12

    def client(first: int) -> list[Any]:
        connection = http.client.HTTPConnection("127.0.0.1", service, timeout=30)  # one for all requests
        answers = []
        for number in range(48):
            connection.request("POST", "/", paths[(first + number) % 24].read_bytes())
            answers.append(json.loads(connection.getresponse().read()))
        connection.close()
        return answers

    with ThreadPoolExecutor(8) as pool:
        for first, answers in enumerate(pool.map(client, range(8))):
            assert answers == [expected[(first + number) % 24] for number in range(48)]


def test_a_photo_in_a_form_keeps_its_name(service: int, photo: bytes) -> None:
    status, headers, raw = ask(service, photo, Content_Type="image/jpeg")
    assert (status, headers["content-type"], raw["file"], len(raw["top"])) == (200, "application/json", "-", 3)
    field = b'--x\r\nContent-Disposition: form-data; name="why"\r\n\r\nbecause\r\n'
    body = field + FORM % ("Löwe 2.jpg".encode(), photo)
    assert ask(service, body, **IS_FORM)[2] == raw | {"file": "Löwe 2.jpg"}
    for name in (b"filename*=utf-8''L%C3%B6we%202.jpg", b"filename*=UTF-8'de'L%c3%b6we%202.jpg"):
        other = body.replace('filename="Löwe 2.jpg"'.encode(), name)
        assert ask(service, other, **IS_FORM)[2]["file"] == "Löwe 2.jpg"
    assert ask(service, body.replace('"Löwe 2.jpg"'.encode(), b"a.jpg"), **IS_FORM)[2]["file"] == "a.jpg"
    # The form as browsers and curl write it.
    other = body.replace(b"--x", b"------Web")
    assert ask(service, other, Content_Type="multipart/form-data; boundary=----Web")[2]["top"] == raw["top"]


def test_a_photo_that_is_used_though_damaged_gets_a_note(service: int, photo: bytes) -> None:
    status, _, answer = ask(service, half_gray(photo))
    assert (status, answer["known"]) == (200, True)
    assert answer["note"] == "the decoder warns: Corrupt JPEG data: premature end of data segment"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "Expected a photo as the body of the request. Received: nothing."),
        (b"Taken on Monday.", 415, "Cannot read image: not an image: text."),
        (b"%PDF-1.7", 415, "Cannot read image: not an image: PDF."),
        (png_that_declares(40_000, 40_000, rows=1), 413, "declares 40000 x 40000 pixels, more than 67 Mpx"),
        (png_that_declares(10_000, 10_000, rows=1), 413, "declares 10000 x 10000 pixels, more than 67 Mpx"),
        (png_that_declares(40, 40, rows=1), 422, "Cannot read image:"),
        (declare(JPEG, JPEG.index(b"\xff\xc0") + 5, ">HH", 65500, 65500), 413, "declares 65500 x 65500 pixels"),
    ],
)
def test_what_is_no_usable_photo_is_said(service: int, body: bytes, status: int, said: str) -> None:
    found, _, answer = ask(service, body)
    assert (found, list(answer)) == (status, ["error"])
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (b"", "The form is damaged or ends early."),
        (b"--x--\r\n", "Expected one photo in the form. Received: none."),
        (FORM % (b"", b""), "Received: none."),
        (FORM.replace(b"--x--\r\n", b"") * 2 % (b"a", b"1", b"b", b"2") + b"--x--", "Received: several."),
        pytest.param(b"--x\r\n;filename=a\r\n\r\n1\r\n" * 10**6, "Received: several.", id="many files"),
        pytest.param(b"--x\r\nname=a\r\n\r\n1\r\n" * 10**6, "The form has more than 100 fields.", id="many fields"),
        ((FORM % (b"a.jpg", b"1234"))[:-9], "The form is damaged or ends early."),
        (b"--x\r\nno headers\r\n--x--\r\n", "The form is damaged or ends early."),
    ],
)
def test_a_form_without_one_photo_is_refused(service: int, form: bytes, said: str) -> None:
    status, _, answer = ask(service, form, **IS_FORM)
    assert (status, said in answer["error"]) == (400, True), answer
    status, _, answer = ask(service, form, Content_Type="multipart/form-data")
    assert (status, answer["error"]) == (400, "The Content-Type header of the form names no boundary.")


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("nonsense", "", 400),
        ("GET / HTTP/2.0", "", 505),
        ("GET / HTTP/1.1", "no colon\r\n", 400),
        ("POST / HTTP/1.1", "", 411),
        ("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", 411),
        ("POST / HTTP/1.1", "Content-Length: -1\r\n", 400),
        ("POST / HTTP/1.1", "Content-Length: 3\r\nContent-Length: 4\r\n", 400),
        ("POST / HTTP/1.1", f"Content-Length: {200 * 2**20}\r\n", 413),
        ("POST / HTTP/1.1", "Content-Length: 5\r\nExpect: miracles\r\n", 417),
        ("POST / HTTP/1.1", "Content-Length: 5\r\n", 400),  # then the client disconnects
        ("GET / HTTP/1.1", f"X: {'x' * 20_000}\r\n", 431),
        ("GET /etc/passwd HTTP/1.1", "", 404),
        ("GET /../run.py HTTP/1.1", "", 404),
        ("DELETE / HTTP/1.1", "", 405),
        ("POST /health HTTP/1.1", "Content-Length: 0\r\n", 405),
        ("POST /?top=3 HTTP/1.1", "Content-Length: 0\r\n", 400),
    ],
)
def test_a_request_that_cannot_be_served_gets_a_sentence(
    service: int, request_line: str, headers: str, status: int
) -> None:
    found = send(service, f"{request_line}\r\nHost: localhost\r\n{headers}\r\n".encode())
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), found
    assert b"\r\nConnection: close" in head
    sentence = json.loads(body)["error"]
    assert sentence.endswith(".")
    assert len(sentence) < 100


def test_a_client_that_sends_200_mb_all_the_same_reads_why(service: int) -> None:
    status, headers, answer = ask(service, bytes(200 * 2**20))
    assert (status, headers["connection"]) == (413, "close")
    assert answer["error"] == "The request has 200.0 MiB. The limit is 32 MiB."


def test_several_requests_on_a_connection_are_answered_in_order(service: int, photo: bytes) -> None:
    get = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    post = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(photo), photo)
    found = send(service, get + post + b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n" + get)
    answers = [part.partition(b"\r\n\r\n")[2].strip() for part in found.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert [next(iter(json.loads(answer))) if answer else "" for answer in answers] == ["status", "file", "", "status"]
    assert b"Connection: close" in send(service, b"GET /health HTTP/1.0\r\n\r\n")


def test_it_says_how_to_use_it_and_that_it_is_well(service: int) -> None:
    status, _, answer = ask(service)
    assert (status, answer["labels"]) == (200, [str(number) for number in range(10)])
    assert answer["use"].startswith("POST a photo to this address")
    assert answer["model"] == "simple_cnn.onnx"
    assert ask(service, path="/health")[::2] == (200, {"status": "ok", "waiting": 0})


def test_a_web_page_of_somebody_else_is_refused(service: int, photo: bytes) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://evil.example:{service}", "Host": f"evil.example:{service}"},  # resolves to this machine
        {"Host": "evil.example"},
    ):
        status, found, answer = ask(service, photo, **headers)
        assert (status, "access-control-allow-origin" in found) == (403, False), headers
        assert "--allow-origin" in answer["error"]
    own = f"127.0.0.1:{service}"
    assert ask(service, photo, Origin=f"http://{own}", Host=own)[0] == 200
    assert ask(service, photo, Origin=f"http://localhost:{service}", Host=f"localhost:{service}")[0] == 200
    for status, body in ((200, photo), (415, b"text")):
        found_status, found, _ = ask(service, body, Origin="https://shop.example")
        assert (found_status, found["access-control-allow-origin"]) == (status, "https://shop.example")
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    status, found, _ = ask(service, method="OPTIONS", **asked)
    assert (status, found["access-control-allow-headers"]) == (204, "content-type")


def test_a_browser_sends_a_photo_from_the_pages_that_may(service: int, browser: Any, photo: bytes) -> None:
    fetch = """async ([url, bytes]) => {
        const photo = new Blob([new Uint8Array(bytes)], {type: "image/jpeg"}), form = new FormData();
        form.append("photo", photo, "a.jpg");
        const ways = [photo, form].map(body => fetch(url, {method: "POST", body}).then(found => found.json()));
        return (await Promise.all(ways)).map(answer => answer.file);
    }"""
    page = browser.new_page()
    try:
        page.goto(f"http://127.0.0.1:{service}/")
        assert page.evaluate(fetch, ["/", list(photo)]) == ["-", "a.jpg"]
        page.goto(f"http://localhost:{service}/")  # another origin than the address
        with pytest.raises(Exception, match="Failed to fetch"):
            page.evaluate(fetch, [f"http://127.0.0.1:{service}/", list(photo)])
    finally:
        page.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_begun_requests_are_answered_before_the_service_ends(
    digits_exports: Path, photo: bytes, number: signal.Signals
) -> None:
    form = "onnx" if number == signal.SIGTERM else "tflite"
    with serving(digits_exports / f"simple_cnn-{form}-float32") as (process, port):
        address = ("127.0.0.1", port)
        with (
            socket.create_connection(address, timeout=30) as idle,
            socket.create_connection(address, timeout=30) as begun,
        ):
            begun.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(photo))
            begun.sendall(photo[:300])
            ask(port, path="/health")  # after this response, the others are accepted
            process.send_signal(number)
            assert idle.recv(10) == b""  # closed
            until_refused(address)
            begun.sendall(photo[300:])
            answer = b"".join(iter(lambda: begun.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["file"] == "-"
        assert process.wait(timeout=20) == 0


def test_the_health_check_of_the_container_calls_the_service(service: int, digits_exports: Path) -> None:
    dockerfile = digits_exports / "simple_cnn-onnx-float32" / "Dockerfile"
    check = dict(instructions(dockerfile.read_text()))["HEALTHCHECK"]
    _, *arguments = json.loads(check.partition("CMD ")[2])
    proxied = os.environ | {"http_proxy": "http://127.0.0.1:1"}  # as Docker sets it behind a proxy
    for port, healthy in ((service, True), (1, False)):
        here = [argument.replace("8080", str(port)) for argument in arguments]
        done = subprocess.run([sys.executable, *here], env=proxied, check=False, timeout=20, capture_output=True)
        assert (done.returncode == 0) == healthy


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--serve", "70000"], "expected a port from 1 to 65535"),
        (["--serve", "0", "photo.jpg"], "give pictures, or one of"),
        (["--host", "0.0.0.0", "photo.jpg"], "require --serve"),
        (["--show", "photo.jpg"], "--show and --save require --watch or --camera"),
        (["--serve", "0", "--save", "x"], "--show and --save require --watch or --camera"),
    ],
)
def test_a_wrong_call_ends_with_2(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _parse(options)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_an_address_that_cannot_be_had_is_said(service: int, digits_exports: Path) -> None:
    bundle = read_bundle(digits_exports / "simple_cnn-onnx-float32")
    classifiers = [open_bundle(bundle, runtime.load)]
    for options, said in (
        (["--serve", "0", "--host", "192.0.2.1"], "Cannot listen on 192.0.2.1, port 0:"),
        (["--serve", "0", "--host", "a" * 70], f"Cannot listen on {'a' * 70}, port 0:"),
        (["--serve", str(service)], f"Cannot listen on 127.0.0.1, port {service}:"),
        (["--serve", "0", "--allow-origin", "*"], "--allow-origin takes the address of a web server"),
    ):
        # In a thread: the browser of other tests keeps an event loop in this one.
        with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match=re.escape(said)):
            pool.submit(serve_photos, bundle, classifiers, _parse(options)).result()
    gc.collect()  # a socket that was left open fails the test here
