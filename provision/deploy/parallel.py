"""Work on many hosts side by side, which ends at once when it is interrupted."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TypeVar

from provision.errors import HubwrightError
from provision.ssh import Access, Target

HOSTS_AT_ONCE = 32
WAKE_EVERY = 0.5  # seconds: the kernel may give ctrl-C to another thread, which does not end a wait
CLOSE_TIMEOUT = 2.0  # seconds for threads to see that their connections are closed

T = TypeVar("T")


def for_each_host(targets: Sequence[Target], access: Access, work: Callable[[Target], T]) -> list[T]:
    """The results of `work` for every target, in their order.

    An interruption, or an exception that `work` raises, closes all connections and is raised here. The
    threads are no executor's: the program would wait for those at its end, and one may still be connecting.
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

    threads = [threading.Thread(target=serve, daemon=True) for _ in targets[:HOSTS_AT_ONCE]]
    try:
        for thread in threads:
            thread.start()
        while wait(futures, WAKE_EVERY, FIRST_EXCEPTION).not_done:
            _raise_first(futures)
        _raise_first(futures)
        return [future.result() for future in futures]
    except BaseException:
        access.connections.close()
        end = time.monotonic() + CLOSE_TIMEOUT
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))
        raise


def _raise_first(futures: Iterable[Future[T]]) -> None:
    for future in futures:
        if future.done() and (error := future.exception()):
            raise error


def fault(target: Target, error: Exception) -> HubwrightError:
    """An unexpected exception as an error of one host, so that the other hosts go on."""
    found = HubwrightError(
        f"{type(error).__name__}: {error}", where=target.name, hint="this is a fault; report it"
    )
    found.__cause__ = error
    return found
