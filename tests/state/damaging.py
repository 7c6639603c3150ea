"""Damage copies of a store, open each, and say what came of it. A process of its own: what hangs or crashes shows."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

from processors.common.errors import CorruptStoreError, StateError
from state.position import Position
from state.rocks import RocksSettings, RocksStore

COMMITS, KEYS = 90, 40
SMALL = RocksSettings(write_buffer_bytes=2**16)


def written_by(commit: int) -> dict[str, Position | None]:
    """What a commit writes under its own number: keys that nobody else writes, and some that others do."""
    own = [f"own-{commit:03}-{key:02}-{'x' * 300}" for key in range(10)]
    shared = [f"key-{key:03}-{'x' * 300}" for key in range(KEYS) if (key * 7 + commit) % 3 == 0]
    return {key: Position(commit) for key in own + shared}


def content_at(commit: int) -> dict[str, Position | None]:
    found: dict[str, Position | None] = {}
    for earlier in range(1, commit + 1):
        found.update(written_by(earlier))
    return found


def fill(folder: Path) -> None:
    """Make a store with tables and logs, and end as a process that is killed."""
    store = RocksStore(folder, Position, SMALL)
    for commit in range(1, COMMITS + 1):
        store.commit(store.encode(written_by(commit), Position(commit)), commit)
    os._exit(0)


def outcome(folder: Path) -> str:
    """Refused, intact, older (with all that was there at that time), or what is wrong."""
    try:
        store = RocksStore(folder, Position, SMALL)
    except StateError as error:
        return "refused" if isinstance(error, CorruptStoreError) else f"refused as {error}"
    try:
        offset = store.changelog_offset()
        found = dict(store.items())
    except CorruptStoreError:
        return "refused"
    finally:
        with contextlib.suppress(StateError):
            store.close()
    if found != content_at(offset):
        return f"wrong at {offset}"
    return "intact" if offset == COMMITS else "older"


def damage(folder: Path, chance: random.Random) -> str:
    """Flip a bit of a file of the store, or cut it short; what was done."""
    file = chance.choice([path for path in sorted(folder.iterdir()) if path.stat().st_size])
    data = bytearray(file.read_bytes())
    at = chance.randrange(len(data))
    if chance.random() < 0.5:
        file.write_bytes(data[:at])
        return f"{file.name} cut at {at}"
    data[at] ^= 1 << chance.randrange(8)
    file.write_bytes(data)
    return f"{file.name} byte {at}"


def main(folder: Path, first_seed: int, seeds: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(first_seed, first_seed + seeds):
        copy = folder.with_name(f"copy-{seed}")
        shutil.copytree(folder, copy)
        done = damage(copy, random.Random(seed))
        print(done, file=sys.stderr, flush=True)
        found = outcome(copy)
        counts[found if found in ("refused", "intact", "older") else f"{found}: {done}"] += 1
        shutil.rmtree(copy, ignore_errors=True)
    print(json.dumps(counts))


if __name__ == "__main__":
    if sys.argv[2] == "fill":
        fill(Path(sys.argv[1]))
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
