"""Limits on uploads from slow and greedy clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import requests

pytest.importorskip("fastapi")

from starlette.exceptions import HTTPException

from keyart.web.body_limits import MAX_UPLOAD_BYTES, Uploads
from keyart.web.forms import Form, parse_form
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


def test_slow_upload_times_out() -> None:
    assert status_of(Uploads(timeout_s=0.01), Sender([b"GIF89a"])) == 408


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
    assert parse_form(body, content_type) == Form(content, "käse.jpg", (("title", "Käse"), ("k", "")))


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
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "titel: Extra inputs are not permitted")
    large = requests.post(url, files={"image": ("2.jpg", bytes(MAX_UPLOAD_BYTES + 1))}, timeout=60)
    assert (large.status_code, large.json()["detail"]) == (413, "expected an image of at most 10 MiB")
