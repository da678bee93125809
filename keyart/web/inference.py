"""Pictures from clients: held to bounds, decoded, and put through the network together with others that wait."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from starlette.exceptions import HTTPException

from catalog.errors import DataError
from keyart.web.service import Service
from keyart.web.workers import BatchLine, Line

# A page asks for more of the same picture, and what may be expected of it; a quarter of a megabyte each.
_N_KEPT = 32

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """A picture, and what the network sees in it.

    Parameters
    ----------
    pixels : ndarray of shape (224, 224, 3), uint8
        As the network was given it.
    features : ndarray of shape (n_features,), float32, or None
        None where the workspace has no features to compare with.
    """

    pixels: Pixels
    features: Features | None


class Sight:
    """Sees pictures; what was seen a moment ago is remembered.

    Parameters
    ----------
    service : Service
        The open engine.
    reading : Line
        Where pictures are decoded.
    network : BatchLine
        Where they go through the network.
    """

    def __init__(self, service: Service, reading: Line, network: BatchLine[Pixels, Features | None]) -> None:
        self._service = service
        self._reading = reading
        self._network = network
        self._kept: OrderedDict[bytes, asyncio.Task[Seen]] = OrderedDict()

    async def see(self, picture: bytes) -> Seen:
        """See a picture.

        Parameters
        ----------
        picture : bytes
            An image file.

        Returns
        -------
        Seen
            What there is to it.

        Raises
        ------
        HTTPException
            It is no picture (422), or too many wait (503, 504).
        KeyartError
            The network is not to be had.
        """
        key = hashlib.sha256(picture).digest()
        task = self._kept.get(key)
        if task is None:
            # Two requests for one picture share a task, which the first one's end must not end.
            task = self._kept[key] = asyncio.create_task(self._look(picture))
            task.add_done_callback(lambda done: self._settle(key, done))
        return await asyncio.shield(task)

    async def _look(self, picture: bytes) -> Seen:
        try:
            pixels = await self._reading.run(self._service.read, picture)
        except DataError as error:
            raise HTTPException(422, str(error)) from error
        return Seen(pixels, await self._network.run(pixels))

    def _settle(self, key: bytes, task: asyncio.Task[Seen]) -> None:
        if task.cancelled() or task.exception():
            self._kept.pop(key, None)
        while len(self._kept) > _N_KEPT:
            self._kept.popitem(last=False)
