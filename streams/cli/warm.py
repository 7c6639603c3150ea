"""``nearstream warm``: compile the kernels once, for all later processes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from streams.cli.common import JsonOption, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = """[bold]Examples[/bold]
  nearstream warm                                   after an installation
  NUMBA_CACHE_DIR=/var/cache/kernels nearstream warm
"""

_LOOK_EVERY_S = 0.1


def warm(as_json: JsonOption = False) -> None:
    """Compile the kernels, so that no worker has to when it starts.

    They are kept on disk, in the first of these places that can be written
    to: the directory that NUMBA_CACHE_DIR names, beside the sources, the
    user's cache. Needs no broker and no settings, and touches no state.
    """
    from streams.engine.warm import note
    from streams.engine.warm import warm as run

    with _shown(not as_json):
        warmed = run()
        if warmed.compiled and warmed.cache:
            note()
    if as_json:
        print_json({**vars(warmed), "advice": warmed.advice})
        return
    typer.echo(
        f"{warmed.compiled + warmed.loaded} kernels ready in {warmed.seconds:.1f} s: "
        f"{warmed.compiled} compiled, {warmed.loaded} from the cache."
    )
    typer.echo(f"Cache: {warmed.cache}." if warmed.cache else "Cache: none.")
    if warmed.advice and not warmed.cache:
        typer.echo(f"Note: {warmed.advice}.")


@contextmanager
def _shown(wanted: bool) -> Iterator[None]:
    """Show on standard error how many kernels are ready, while the context is open."""
    from threading import Event, Thread

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from streams.engine.warm import progress

    columns = TextColumn("Compiling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    over, bar = Event(), Progress(*columns, console=Console(stderr=True), disable=not wanted)
    task = bar.add_task("", total=progress()[1])

    def look() -> None:
        while not over.wait(_LOOK_EVERY_S):
            bar.update(task, completed=progress()[0])

    looking = Thread(target=look, daemon=True)
    with bar:
        looking.start()
        try:
            yield
            # Kernels that only others call are part of those, so the count may end one or two early.
            bar.update(task, completed=progress()[1])
        finally:
            over.set()
            looking.join()
