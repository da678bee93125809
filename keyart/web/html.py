"""Pages: templates in English that are translated, and filled in with what the server knows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl, urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from keyart.web.conditional import is_unchanged
from keyart.web.markup import Markup, element, joined
from keyart.web.words import ENGLISH, PARAMETER, Words, offered, words_for

_STATIC = Path(__file__).parent / "static"
_ATTRIBUTE = re.compile(r'(?<=\s)(aria-label|placeholder|title|alt)="([^"]+)"')


def wants_page(request: Request) -> bool:
    """Return whether a person waits for an answer: a browser that goes to an address, not a program or a script."""
    return "text/html" in request.headers.get("accept", "")


def path_below(request: Request) -> str:
    """Return the path of a request below the prefix of all addresses."""
    return request.url.path.removeprefix(str(request.scope.get("root_path", "")))


def address_without(request: Request, parameter: str) -> str:
    """Return the path and the query of a request, without one parameter: where to send a browser on to."""
    url = request.url.remove_query_params(parameter)
    # Of "//elsewhere" a browser would make another host.
    path = f"{request.scope.get('root_path', '')}/{path_below(request).lstrip('/')}"
    return f"{path}?{url.query}" if url.query else path


def page(name: str, words: Words, query: str, **values: str) -> str:
    """Translate a page, and then fill it in with texts, which are escaped, or markup.

    The links to other languages keep `query`, what the address has after its `?`.
    """
    path = _STATIC / name
    template = _translated(path, path.stat().st_mtime_ns, words)
    filled = {key: joined(value) for key, value in values.items()}
    return Template(template).substitute(filled, languages=language_choice(words, offered(), query))


def answer(request: Request, content: str, words: Words) -> Response:
    """Answer with a page that a browser may keep, and ask for again in this language."""
    etag = f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, **language_headers(words)}
    if words is not ENGLISH:
        # Before the scripts ask for it, which go on once it is there.
        headers["Link"] = f"<static/words/{words.tag}.json>; rel=preload; as=fetch; crossorigin"
    if is_unchanged(request, etag):
        return Response(status_code=304, headers=headers)
    return HTMLResponse(content, headers=headers)


def filled_in(
    request: Request, name: str, status: int, headers: Mapping[str, str] | None = None, **values: str
) -> HTMLResponse:
    """Answer with a page that is for this request alone."""
    words = words_for(request)
    content = page(name, words, request.url.query, **values)
    return HTMLResponse(content, status, {"Cache-Control": "no-store", **language_headers(words), **(headers or {})})


def language_headers(words: Words) -> dict[str, str]:
    """Return headers for what is in one of several languages, by what the browser prefers or a page has chosen."""
    return {"Content-Language": words.tag, "Vary": "Accept-Language, Cookie"}


def language_choice(words: Words, languages: tuple[Words, ...], query: str) -> Markup:
    """Write links to the same page in other languages, each in its own; nothing where there are none."""
    if len(languages) == 1:
        return Markup()
    links = [_language_link(each, query, is_current=each.tag == words.tag) for each in languages]
    return element("nav", *links, class_="languages", aria_label=words("Language"))


def _language_link(words: Words, query: str, *, is_current: bool) -> Markup:
    current = {"aria_current": "true"} if is_current else {}
    # Once it is loaded, words.js takes the click, and the page keeps what is not in its address.
    others = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != PARAMETER]
    return element(
        "a",
        words.name,
        href=f"?{urlencode([*others, (PARAMETER, words.tag)])}",
        lang=words.tag,
        hreflang=words.tag,
        translate="no",
        **current,
    )


@lru_cache(maxsize=64)
def _translated(path: Path, _modified: int, words: Words) -> str:
    parser = _Translator(words)
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    return "".join(parser.written)


class _Translator(HTMLParser):
    """Writes a page as it was read, but for its language, its texts and what its attributes say in words."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self._words = words
        self.written: list[str] = []

    def handle_decl(self, decl: str) -> None:
        self.written.append(f"<!{decl}>")

    def handle_starttag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        written = self.get_starttag_text() or ""
        if tag == "html":
            written = f'<html lang="{self._words.tag}">'
        self.written.append(
            _ATTRIBUTE.sub(lambda match: f'{match[1]}="{self._translated_attribute(match[2])}"', written)
        )

    def handle_endtag(self, tag: str) -> None:
        self.written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        translated = self._words(text)
        whole = data if translated == text else data.replace(data.strip(), translated)
        self.written.append(escape(whole, quote=False))

    def _translated_attribute(self, text: str) -> str:
        return escape(self._words(" ".join(unescape(text).split())))
