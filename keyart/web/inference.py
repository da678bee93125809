"""Uploaded images: decoded in a worker pool, embedded in batches, remembered for a while."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

from starlette.exceptions import HTTPException

from catalog.errors import DataError
from keyart.similarity.query import Image
from keyart.web.services.films import FilmService
from keyart.web.workers import MicroBatcher, WorkerPool

# A page sends the same image again for more results and for the cold start. Each keeps its file beside its pixels.
_N_REMEMBERED, _MAX_REMEMBERED_BYTES = 32, 32 << 20


class ImageEncoder:
    """Decodes and embeds uploaded images."""

    def __init__(
        self,
        service: FilmService,
        decoding: WorkerPool,
        embedding: MicroBatcher[Image, Image],
        embedding_by_name: WorkerPool,
    ) -> None:
        self._service = service
        self._decoding = decoding
        self._embedding = embedding
        self._embedding_by_name = embedding_by_name
        self._tasks: OrderedDict[bytes, asyncio.Task[Image]] = OrderedDict()
        self._n_bytes: dict[bytes, int] = {}

    async def encode(self, content: bytes) -> Image:
        """Decode and embed an image; it remembers both."""
        key = hashlib.sha256(content).digest()
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._encode(content))
            self._n_bytes[key] = len(content)
            task.add_done_callback(lambda done: self._forget(key, done))
        # Two requests for one image share a task; the end of the first one must not cancel it.
        return await asyncio.shield(task)

    async def encode_by(self, encoder: str | None, content: bytes) -> Image:
        """Decode and embed an image by an encoder that a request names; by the default one without."""
        if encoder is None:
            return await self.encode(content)
        return await self._embedding_by_name.run(self._service.embed_by, encoder, await self._decode(content))

    async def _decode(self, content: bytes) -> Image:
        try:
            return await self._decoding.run(self._service.decode, content)
        except DataError as error:
            raise HTTPException(422, str(error)) from error

    async def _encode(self, content: bytes) -> Image:
        return await self._embedding.run(await self._decode(content))

    def _forget(self, key: bytes, task: asyncio.Task[Image]) -> None:
        if task.cancelled() or task.exception():
            self._drop(key)
        while len(self._tasks) > _N_REMEMBERED or sum(self._n_bytes.values()) > _MAX_REMEMBERED_BYTES:
            self._drop(next(iter(self._tasks)))

    def _drop(self, key: bytes) -> None:
        self._tasks.pop(key, None)
        self._n_bytes.pop(key, None)
