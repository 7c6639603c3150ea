"""What a process used, as the kernel reports it: CPU-seconds, memory, the size of its files."""

from __future__ import annotations

import os
import platform
import threading
from bisect import bisect_left
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Self

_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 2**20


class Sample(NamedTuple):
    """What a process had used at a moment of the monotonic clock."""

    at: float
    cpu_s: float
    rss_mb: float


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process, all its threads, and the children it has waited for.

    Parameters
    ----------
    pid
        Id of a running process.

    Examples
    --------
    >>> cpu_seconds(os.getpid()) > 0
    True
    """
    # The name stands in parentheses and may hold anything, so count from the last one.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS


def thread_cpu_seconds(pid: int) -> dict[int, float]:
    """Return user and system time of each thread of a process, by the thread's number.

    Examples
    --------
    >>> os.getpid() in thread_cpu_seconds(os.getpid())
    True
    """
    found = {}
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        found[int(stat.parent.name)] = sum(int(field) for field in fields[11:13]) / _TICKS
    return found


def memory_mb(pid: int, *, peak: bool = False) -> float:
    """Return the resident memory of a process in MiB, now or at its peak.

    Examples
    --------
    >>> 1 < memory_mb(os.getpid()) <= memory_mb(os.getpid(), peak=True)
    True
    """
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) / 1024.0
    raise ProcessLookupError(f"process {pid} has no memory any more")


def directory_mb(path: Path) -> float:
    """Return the size of all files below a directory in MiB; files that vanish meanwhile count nothing.

    Examples
    --------
    >>> directory_mb(Path(__file__).parent) > 0
    True
    """
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total / _MIB


def describe() -> str:
    """Describe the machine in a line: cores, processor, memory, system.

    Examples
    --------
    >>> "cores" in describe()
    True
    """
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()} {platform.release()}"


class Busy:
    """How busy the whole machine was, everything on it included: near 1 a figure says little.

    Examples
    --------
    >>> 0.0 <= Busy().share() <= 1.0
    True
    """

    def __init__(self) -> None:
        self._begin = _machine_ticks()

    def share(self) -> float:
        """Return the share of all cores' time that was not idle since this was made."""
        idle, total = (now - then for now, then in zip(_machine_ticks(), self._begin, strict=True))
        return round(1.0 - idle / total, 2) if total else 0.0


def _machine_ticks() -> tuple[int, int]:
    """Return idle and total ticks of all cores since the machine started."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


class Sampler:
    """Samples a process from a thread of its own while its context is open.

    Parameters
    ----------
    pid
        Id of the process. Sampling ends by itself when the process does.
    every_s
        Seconds between samples.

    Attributes
    ----------
    samples : list of Sample
        The samples so far, oldest first.
    """

    def __init__(self, pid: int, every_s: float = 0.05) -> None:
        self.samples: list[Sample] = []
        self._pid, self._every = pid, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def at(self, moment: float) -> Sample:
        """Return the first sample taken at the moment or after it; the last one if there is none."""
        found = bisect_left(self.samples, moment, key=lambda sample: sample.at)
        return self.samples[min(found, len(self.samples) - 1)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                sample = Sample(monotonic(), cpu_seconds(self._pid), memory_mb(self._pid))
            except (FileNotFoundError, ProcessLookupError):
                return
            self.samples.append(sample)
            self._stop.wait(self._every)
