"""The local stores of a worker: where they lie, and what becomes of a directory that is damaged or in use.

The changelog is the truth about a store; a directory only saves reading it from the beginning. So a damaged one is made
anew, and who finds one in use takes another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from processors.common.errors import LockedStoreError, StateError
from processors.planes.base import Plane
from state.rocks import RocksStore, destroy
from state.store import PartitionStore
from streams.settings.sections import Settings

State = TypeVar("State", bound=msgspec.Struct)

logger = logging.getLogger(__name__)

_SHARERS = 100


class Stores:
    """Opens and closes the stores of one process.

    Parameters
    ----------
    settings
        State directory and memory bounds.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rebuilt: set[Path] = set()

    def open(self, plane: Plane[State], partition: int) -> PartitionStore[State]:
        """Store of a partition.

        Workers may share a state directory, and one that lost the partition while it was frozen still has the store
        open. Its successor takes a directory of its own then, ``users-0.1``, which goes when it is closed.

        Raises
        ------
        CorruptStoreError
            If its files are damaged (see :meth:`rebuild`).
        StateError
            If the directory cannot be used.
        StateFormatError
            If another release wrote it.
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

        It never raises for a store that is damaged, so that who closes one because of that can go on to
        :meth:`rebuild`; it is told in the log.
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
        """Delete a damaged store, which must be closed, so that the next one begins anew.

        Returns
        -------
        bool
            Whether that was done: a partition whose store is damaged again has another problem than its files.
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
        for n in range(1, _SHARERS):
            with suppress(LockedStoreError):
                store = self._open(own.with_suffix(f".{n}"), plane)
                logger.warning("%s; using %s meanwhile, made from the changelog", error, store.path)
                return store
        raise error


def _private(own: Path) -> Iterator[Path]:
    return (path for path in own.parent.glob(f"{own.name}.*") if path.suffix[1:].isdigit())
