"""Work on many hosts side by side, which ends at once when somebody interrupts it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TypeVar

from provision.errors import HubwrightError
from provision.ssh import Access, Target

AT_ONCE = 32
LOOK_UP = 0.5  # seconds: the kernel may give ctrl-C to another thread, and that wakes nobody who waits
GRACE = 2.0  # seconds for threads to see that their connections are closed

T = TypeVar("T")


def for_each_host(targets: Sequence[Target], access: Access, work: Callable[[Target], T]) -> list[T]:
    """What `work` returns for every target, in their order.

    An interruption, or an exception that `work` lets out, hangs up on all hosts and is raised here. The
    threads are no executor's: the program would not end before those do, and one may still be connecting.
    """
    jobs: queue.SimpleQueue[tuple[Target, Future[T]]] = queue.SimpleQueue()
    futures: list[Future[T]] = []
    over = threading.Event()
    for target in targets:
        futures.append(Future())
        jobs.put((target, futures[-1]))

    def serve() -> None:
        while not (over.is_set() or access.connections.closed):
            try:
                target, future = jobs.get_nowait()
            except queue.Empty:
                return
            try:
                future.set_result(work(target))
            except BaseException as error:
                over.set()
                future.set_exception(error)

    threads = [threading.Thread(target=serve, daemon=True) for _ in targets[:AT_ONCE]]
    try:
        for thread in threads:
            thread.start()
        while wait(futures, LOOK_UP, FIRST_EXCEPTION).not_done:
            _raise_first(futures)
        _raise_first(futures)
        return [future.result() for future in futures]
    except BaseException:
        access.connections.close()
        end = time.monotonic() + GRACE
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))
        raise


def _raise_first(futures: Iterable[Future[T]]) -> None:
    for future in futures:
        if future.done() and (error := future.exception()):
            raise error


def fault(target: Target, error: Exception) -> HubwrightError:
    """What nobody has foreseen is one host's error, and none of the others'."""
    found = HubwrightError(
        f"{type(error).__name__}: {error}", where=target.name, hint="this is a fault; report it"
    )
    found.__cause__ = error
    return found
