"""Limits on uploads from slow and greedy clients."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from PIL import Image

pytest.importorskip("fastapi")

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from keyart.web.body_limits import MAX_UPLOAD_BYTES, BodyMiddleware, Uploads
from keyart.web.forms import Form, FormFile, parse_form
from keyart.web.schemas.films import MixQuery, SimilarPage
from keyart.web.services.films import FilmService
from posters import validation
from tests.keyart.web.conftest import serving
from tests.posters.pictures import draw_poster


class Sender:
    """A request whose body ends when `let_go` is set."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts, self.let_go = parts, asyncio.Event()

    async def stream(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        await self.let_go.wait()


def status_of(uploads: Uploads, sender: Sender) -> int:
    with pytest.raises(HTTPException) as refused:
        asyncio.run(uploads.read(sender))  # type: ignore[arg-type]
    return refused.value.status_code


def answer(middleware: BodyMiddleware, receive: Receive) -> None:
    async def send(_message: Message) -> None: ...

    asyncio.run(middleware({"type": "http"}, receive, send))


async def read_whole(_scope: Scope, receive: Receive, _send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


def test_slow_body_times_out() -> None:
    async def receive() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"a", "more_body": True}

    with pytest.raises(HTTPException) as refused:
        answer(BodyMiddleware(read_whole, timeout_s=0.1), receive)
    assert (refused.value.status_code, refused.value.detail) == (408, "expected the whole body within 0.1 s")


def test_bodies_of_unanswered_requests_are_bounded_together() -> None:
    async def scenario() -> None:
        answered, refusals = asyncio.Event(), list[HTTPException]()

        async def answer_later(scope: Scope, receive: Receive, send: Send) -> None:
            await read_whole(scope, receive, send)
            await answered.wait()

        async def receive() -> Message:
            return {"type": "http.request", "body": b"abcd"}

        async def send(_message: Message) -> None: ...

        middleware = BodyMiddleware(answer_later, max_held_bytes=10)
        for _ in range(2):
            held = [asyncio.create_task(middleware({"type": "http"}, receive, send)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(HTTPException) as refused:
                await middleware({"type": "http"}, receive, send)
            refusals.append(refused.value)
            answered.set()
            await asyncio.gather(*held)
            answered.clear()
        assert [(one.status_code, one.headers) for one in refusals] == [(503, {"Retry-After": "1"})] * 2

    asyncio.run(scenario())


def test_upload_over_the_limit_is_refused() -> None:
    assert status_of(Uploads(), Sender([bytes(MAX_UPLOAD_BYTES), b"!"])) == 413


def test_concurrent_uploads_are_limited() -> None:
    async def scenario() -> None:
        uploads = Uploads(max_concurrent=2)
        senders = [Sender([b"a", b"b"]), Sender([b"c"]), Sender([b"d"])]
        waiting = [asyncio.create_task(uploads.read(sender)) for sender in senders[:2]]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await uploads.read(senders[2])  # type: ignore[arg-type]
        assert (refused.value.status_code, refused.value.headers) == (503, {"Retry-After": "1"})
        for sender in senders:
            sender.let_go.set()
        assert await asyncio.gather(*waiting) == [b"ab", b"c"]
        assert await uploads.read(senders[2]) == b"d"  # type: ignore[arg-type]

    asyncio.run(scenario())


def form_of(*parts: tuple[str, bytes], end: bytes = b"--") -> tuple[bytes, str]:
    """Write a form, each part with its Content-Disposition."""
    body = b"".join(b"--x y\r\nContent-Disposition: %s\r\n\r\n%s\r\n" % (d.encode(), c) for d, c in parts)
    return b"a preamble\r\n" + body + b"--x y" + end, 'Multipart/Form-Data; boundary="x y"'


FILE = 'form-data; name="image"; filename="käse.jpg"'


def test_a_form_is_split_at_its_boundaries_only() -> None:
    content = b"\r\n--x\r\n\r\n\x00--x y\n\r"
    body, content_type = form_of(
        ("form-data; name=title", "Käse".encode()), (FILE, content), ("form-data; name=k", b"")
    )
    file = FormFile("image", "käse.jpg", content)
    assert parse_form(body, content_type) == Form((file,), (("title", "Käse"), ("k", "")))


def test_a_form_may_have_several_files_where_they_are_taken() -> None:
    form = form_of((FILE, b"a"), (FILE.replace("image", "unlike_image"), b"b"))
    assert [(file.field, file.content) for file in parse_form(*form, 2).files] == [
        ("image", b"a"),
        ("unlike_image", b"b"),
    ]
    with pytest.raises(HTTPException, match="expected 1 to 2 files in the form, received 3"):
        parse_form(*form_of(*[(FILE, b"a")] * 3), 2)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (form_of((FILE, b"a"), end=b""), 400),
        (form_of((FILE, b"a\r\n--x yz")), 400),
        (form_of(("form-data; filename=a.jpg", b"a")), 400),
        ((form_of((FILE, b"a"))[0], "multipart/form-data"), 400),
        ((form_of((FILE, b"a"))[0], "multipart/form-data; boundary=other"), 400),
        (form_of(("form-data; name=image", b"a")), 422),
        (form_of((FILE, b"a"), (FILE, b"a")), 422),
        (form_of(('form-data; name=image; filename=""', b"")), 422),
        (form_of((FILE, b"a"), ("form-data; name=k", b"\xff")), 422),
        (form_of((FILE, b"a"), *[("form-data; name=k", b"1")] * 70), 413),
        (form_of((FILE, b"a"), ("form-data; name=k", bytes(70_000))), 413),
        ((b"", "multipart/form-data; boundary=x"), 400),
    ],
)
def test_a_bad_form_is_refused(form: tuple[bytes, str], status: int) -> None:
    with pytest.raises(HTTPException) as refused:
        parse_form(*form)
    assert refused.value.status_code == status


def test_a_form_is_answered_as_the_raw_image_is(address: str) -> None:
    picture, url = draw_poster(2), f"{address}/api/similar"
    raw = requests.post(url, picture, params={"k": 2, "like": [1, 5]}, timeout=60)
    form = requests.post(url, {"k": 2, "like": [1, 5]}, files={"image": ("2.jpg", picture)}, timeout=60)
    assert raw.status_code == 200
    assert form.json() == raw.json()
    wrong = requests.post(url, {"titel": "X"}, files={"image": ("2.jpg", picture)}, timeout=60)
    assert wrong.status_code == 422
    assert wrong.json()["detail"].startswith("titel: this address has no such parameter; it takes alpha, ")
    large = requests.post(url, files={"image": ("2.jpg", bytes(MAX_UPLOAD_BYTES + 1))}, timeout=60)
    assert (large.status_code, large.json()["detail"]) == (413, "expected an image of at most 10 MiB")


def test_thumbnails_wait_for_no_upload(address: str) -> None:
    png = io.BytesIO()
    Image.effect_mandelbrot((64, 96), (-2, -1, 1, 1), 50).save(png, "PNG")
    with ThreadPoolExecutor(4) as clients, ExitStack() as busy:
        # As if two large images were being decoded.
        for _ in range(2):
            busy.enter_context(validation._LARGE)
        uploads = [
            clients.submit(requests.post, f"{address}/api/similar", png.getvalue() + bytes(number), timeout=60)
            for number in range(4)
        ]
        while not all(one.running() for one in uploads):
            pass
        for width in (160, 320, 640):
            assert requests.get(f"{address}/posters/3?width={width}", timeout=60).status_code == 200
        assert not any(one.done() for one in uploads)
        busy.close()
        assert [one.result().status_code for one in uploads] == [200] * 4


def test_look_ups_wait_for_no_comparison(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over, compare = threading.Event(), FilmService.similar_to_mix

    def compare_later(service: FilmService, query: MixQuery) -> SimilarPage:
        is_over.wait(60)
        return compare(service, query)

    monkeypatch.setattr(FilmService, "similar_to_mix", compare_later)
    with serving(home) as url, ThreadPoolExecutor(1) as client:
        comparison = client.submit(requests.get, f"{url}/api/similar?like=1&like=2", timeout=60)
        for path in ("api/films/1/similar", "api/films?query=twin", "api/genres"):
            assert requests.get(f"{url}/{path}", timeout=60).status_code == 200
        assert not comparison.done()
        is_over.set()
        assert comparison.result().status_code == 200
