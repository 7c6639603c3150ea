"""The local stores of a worker: in which directories they are, and what is done about one that is damaged or in use.

What is in a store is on its changelog too; a directory only saves reading that from the beginning. So one that is
damaged is deleted and made again, and one that another process has open is replaced by a private one meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import msgspec

from processors.common.errors import LockedStoreError, StateError
from processors.planes.base import Plane
from state.rocks import RocksStore, destroy
from state.store import PartitionStore
from streams.settings.sections import Settings

State = TypeVar("State", bound=msgspec.Struct)
Arguments = ParamSpec("Arguments")

logger = logging.getLogger(__name__)

_MOST_PRIVATE = 100

Name = tuple[str, int]
"""A plane's name and a partition."""


class Stores:
    """Opens and closes the stores of one process.

    Parameters
    ----------
    settings
        State directory and memory bounds.

    Attributes
    ----------
    copies : dict
        Open stores of partitions that other workers run (:mod:`streams.worker.standby`).
    copying : asyncio.Lock
        To be held by whoever opens, writes to or closes a copy, or takes one.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rebuilt: set[Path] = set()
        self.copies: dict[Name, PartitionStore[Any]] = {}
        self.copying = asyncio.Lock()

    async def take(self, plane: Plane[State], partition: int) -> PartitionStore[State]:
        """Return the open copy of a partition, which is none any more then, or :meth:`open` its store."""
        async with self.copying:
            copy = self.copies.pop((plane.name, partition), None)
        return await self._beside_the_loop(self.open, plane, partition) if copy is None else copy

    async def copy(self, plane: Plane[Any], partition: int) -> None:
        """Open the store of a partition that another worker runs, as a copy. The caller must hold :attr:`copying`.

        Raises
        ------
        LockedStoreError
            If somebody has it open.
        CorruptStoreError, StateFormatError, StateError
            As :meth:`open` does.
        """
        path = self._path(plane, partition)
        self.copies[plane.name, partition] = await self._beside_the_loop(self._open, path, plane)

    async def _beside_the_loop(
        self, open_: Callable[Arguments, PartitionStore[State]], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> PartitionStore[State]:
        """Open a store in a thread: a large one takes its time. Whoever is cancelled meanwhile leaves none open."""
        opening = asyncio.ensure_future(asyncio.to_thread(open_, *arguments, **named))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._close_opened)
            await asyncio.wait([opening])  # whoever comes next needs the files
            raise

    def _close_opened(self, opening: asyncio.Future[PartitionStore[Any]]) -> None:
        """Close a store that nobody waits for any more, if it could be opened."""
        if not opening.cancelled() and opening.exception() is None:
            self.close(opening.result())

    def open(self, plane: Plane[State], partition: int) -> PartitionStore[State]:
        """Open the store of a partition.

        Workers may share a state directory, and one that lost the partition while it was frozen still has the store
        open. Its successor uses a private directory then, such as ``users-0.1``, which :meth:`close` deletes.

        Raises
        ------
        CorruptStoreError
            If its files are damaged (see :meth:`rebuild`).
        StateFormatError
            If another release wrote it.
        StateError
            If the directory cannot be used.
        """
        own = self._path(plane, partition)
        try:
            store = self._open(own, plane)
        except LockedStoreError as error:
            return self._open_private(own, plane, error)
        for left in _private(own):
            with suppress(StateError):
                destroy(left)
        return store

    def close(self, store: PartitionStore[Any]) -> None:
        """Close a store. What could not be written any more is read from the changelog again.

        Errors of a store that is damaged are logged, not raised, so that one that is closed for its damage can be
        rebuilt next.
        """
        try:
            try:
                store.close()
            finally:
                if isinstance(store, RocksStore) and store.path.suffix:
                    destroy(store.path)
        except StateError as error:
            logger.warning("%s", error)

    def rebuild(self, plane: Plane[Any], partition: int) -> bool:
        """Delete a damaged store, so that the next one is made from the changelog. It must be closed.

        Returns
        -------
        bool
            Whether that was done. Each store is deleted once: if it is damaged again, its files are not the cause.
        """
        own = self._path(plane, partition)
        if own in self._rebuilt:
            return False
        self._rebuilt.add(own)
        for path in (own, *_private(own)):
            with suppress(LockedStoreError):
                destroy(path)
        return True

    def _path(self, plane: Plane[Any], partition: int) -> Path:
        return Path(self._settings.worker.state_dir) / f"{plane.name}-{partition}"

    def _open(self, path: Path, plane: Plane[State]) -> RocksStore[State]:
        return RocksStore(path, plane.state_type, self._settings.store)

    def _open_private(self, own: Path, plane: Plane[State], error: LockedStoreError) -> RocksStore[State]:
        for n in range(1, _MOST_PRIVATE):
            with suppress(LockedStoreError):
                store = self._open(own.with_suffix(f".{n}"), plane)
                logger.warning("%s; using %s meanwhile, made from the changelog", error, store.path)
                return store
        raise error


def _private(own: Path) -> Iterator[Path]:
    return (path for path in own.parent.glob(f"{own.name}.*") if path.suffix[1:].isdigit())
