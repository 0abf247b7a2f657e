"""Work that is the same for many attacks, done by as many threads as there are cores.

NumPy lets other threads run while it computes. Its own threads, in matrix products, only get in the way of these: on
small matrices they wait for one another longer than they compute.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

_MOST_BYTES = 1 << 32
"""Memory for what runs at the same time."""


class Threads:
    """Threads of this process, as a context; NumPy's matrix products have one thread each meanwhile."""

    def __enter__(self) -> "Threads":
        import joblib
        from threadpoolctl import threadpool_limits

        self._count = joblib.cpu_count()
        self._pool = ThreadPoolExecutor(self._count)
        self._ended = contextlib.ExitStack()
        self._ended.enter_context(threadpool_limits(1, "blas"))
        self._ended.callback(self._pool.shutdown, cancel_futures=True)
        return self

    def __exit__(self, *error) -> None:
        self._ended.close()

    def map(self, work: Callable, tasks: Iterable[tuple], num_bytes: int = 0) -> Iterator:
        """Yields `work(*task)` for each task, in order.

        Args:
            work: may run in several threads at the same time.
            tasks: its arguments.
            num_bytes: memory that each piece of work needs; as many run at the same time as fit in 4 GiB, at least one.
        """
        at_once = max(1, min(self._count, _MOST_BYTES // max(num_bytes, 1)))
        if at_once == self._count:
            yield from self._pool.map(lambda task: work(*task), tasks)
            return
        with ThreadPoolExecutor(at_once) as fewer:
            yield from fewer.map(lambda task: work(*task), tasks)
