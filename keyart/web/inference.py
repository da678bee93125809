"""Pictures from clients: held to bounds, decoded, and put through the network together with others that wait."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

from starlette.exceptions import HTTPException

from catalog.errors import DataError
from keyart.similarity.query import Image
from keyart.web.service import Service
from keyart.web.workers import BatchLine, Line

# A page asks for more of the same picture, and what may be expected of it; a quarter of a megabyte each.
_N_KEPT = 32


class Sight:
    """Sees pictures; what was seen a moment ago is remembered."""

    def __init__(self, service: Service, reading: Line, network: BatchLine[Image, Image]) -> None:
        self._service = service
        self._reading = reading
        self._network = network
        self._kept: OrderedDict[bytes, asyncio.Task[Image]] = OrderedDict()

    async def see(self, picture: bytes) -> Image:
        """See a picture."""
        key = hashlib.sha256(picture).digest()
        task = self._kept.get(key)
        if task is None:
            # Two requests for one picture share a task, which the first one's end must not end.
            task = self._kept[key] = asyncio.create_task(self._look(picture))
            task.add_done_callback(lambda done: self._settle(key, done))
        return await asyncio.shield(task)

    async def _look(self, picture: bytes) -> Image:
        try:
            image = await self._reading.run(self._service.read, picture)
        except DataError as error:
            raise HTTPException(422, str(error)) from error
        return await self._network.run(image)

    def _settle(self, key: bytes, task: asyncio.Task[Image]) -> None:
        if task.cancelled() or task.exception():
            self._kept.pop(key, None)
        while len(self._kept) > _N_KEPT:
            self._kept.popitem(last=False)
