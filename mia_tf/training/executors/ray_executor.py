"""Trains the models of a LOGDIR on the machines of a Ray cluster.

This process, the driver, claims models, hands them out to actors (`ray_trainer`) and stores what they send back: only
it needs to see the LOGDIR. Who is lost, a process or a whole machine, loses the models that were in its hands, and
these are trained again by another.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

import mia_tf
from mia_tf import backend, subsets
from mia_tf.config import ExperimentConfig, TaskConfig
from mia_tf.records import Dataset
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.task import Task
from mia_tf.training import worker
from mia_tf.training.engines import start_engine
from mia_tf.training.executors import ray_cluster
from mia_tf.training.executors.ledger import POLL_SECONDS, Ledger
from mia_tf.training.executors.ray_trainer import Trainer
from mia_tf.training.task_engine import start_task_engine
from mia_tf.validation import fail

_TRIES = 3  # of a model, and of a place for a worker: machines may be lost one after the other
_PROBE_SECONDS = 10.0  # between looks at the head of the cluster
_PATIENCE_SECONDS = 60.0  # without any worker before the cluster is looked at


@contextlib.contextmanager
def connected(options: RunOptions, source: Callable[[], Task] | None = None) -> Iterator["RayExecutor"]:
    """The executor of a running cluster, or of one that is started on this machine for as long as the block lasts.

    Args:
        options, source: as RayExecutor takes them.

    Raises:
        InputError: Ray is not installed, no cluster answers, or none of its machines could ever run a worker.
    """
    with ray_cluster.connected() as where:
        yield RayExecutor(options, where, source)


class RayExecutor:
    """Workers on a Ray cluster (`mia_tf.training.executors`), to which this process is connected.

    Args:
        options: how many workers, and what each of them takes.
        where: which cluster that is, for people.
        source: returns a user's task, on any machine; None for the networks of `mia_tf.models`.

    Raises:
        InputError: no machine has what a worker takes.
    """

    def __init__(self, options: RunOptions, where: str, source: Callable[[], Task] | None = None):
        self._options, self._source = options, source
        machines = ray_cluster.machines()
        self._cpus = options.threads_per_worker or 1
        has_gpus = any(machine.get("GPU") for machine in machines)
        self._gpus = float(has_gpus) if options.gpus_per_task is None else options.gpus_per_task
        most = {kind: max((machine.get(kind, 0) for machine in machines), default=0) for kind in ("CPU", "GPU")}
        room = ray_cluster.room(machines, self._cpus, self._gpus)
        if not room:
            most_of_one = f"{most['CPU']:g} CPUs and {most['GPU']:g} GPUs"
            allowed = f"must be what a machine of the cluster has: at most {most_of_one}"
            if self._cpus > most["CPU"]:
                fail("threads_per_worker", self._cpus, allowed)
            fail("gpus_per_task", self._gpus, allowed)
        self._workers = options.workers or room
        size = f"{self._cpus} CPUs and {self._gpus:g} GPUs each"
        print(f"Ray: {where}, {len(machines)} machines with room for {room} workers of {size}.", flush=True)

    def train_models(
        self, store: Store, config: ExperimentConfig | TaskConfig, indices: Sequence[int]
    ) -> dict[int, str]:
        """Trains models; see `mia_tf.training.executors`."""
        workers = min(self._workers, len(indices))
        if isinstance(config, ExperimentConfig):
            start = functools.partial(
                start_engine,
                config=config,
                threads=self._cpus,
                ensemble_size=self._options.ensemble_size,
                num_models=-(-len(indices) // workers),
            )
        else:
            source = cast(Callable[[], Task], self._source)  # a TaskConfig comes with a task
            num_members = subsets.nominal_size(config, len(store.examples().labels))
            start = functools.partial(
                start_task_engine,
                source=source,
                identity=dict(config.task),
                num_members=num_members,
                ensemble_size=self._options.ensemble_size,
                num_models=-(-len(indices) // workers),
            )
        return train_models(store, config, indices, start, workers, self._cpus, self._gpus)


def train_models(
    store: Store,
    config: ExperimentConfig | TaskConfig,
    indices: Sequence[int],
    start: Callable,
    workers: int,
    cpus: int,
    gpus: float,
) -> dict[int, str]:
    """Trains models that are not present yet; waits for models that another process is training.

    Args:
        store: where they go; only this process writes there.
        config: the store's configuration.
        indices: models to train.
        start: returns the engine for a data set, in an actor; can be pickled.
        workers: actors; more than there is room for wait until the cluster grows.
        cpus, gpus: what each of them takes.

    Returns:
        index -> one line, for every model that could not be trained.
    """
    import ray

    pool = store.pool()
    # Once for every machine, whose workers share it; a memory-mapped array would be copied for each of them.
    mapped = ("images", "test_images") if isinstance(pool, Dataset) else ()
    shared = ray.put(dataclasses.replace(pool, **{name: np.array(getattr(pool, name)) for name in mapped}))
    memory = 0.9 * gpus if 0 < gpus < 1 else None
    with Ledger(store, indices, config.epochs, workers) as ledger:
        plan = subsets.membership(config, len(pool.labels))
        run = _Run(ledger, store, plan, (shared, config, start, backend.name(), memory), cpus, gpus)
        try:
            for _ in range(workers):
                run.hire()
            run.go_on()
        finally:
            for member in list(run.pool):
                run.dismiss(member)
        return ledger.failures


@dataclass
class _Worker:
    actor: Any
    reply: Any  # the ObjectRef that is waited for; None if it is idle
    place: int  # how many were lost here, one after the other, before they were ready
    machine: str = ""
    ensemble_size: int = 0  # models that it trains at the same time, once it is ready
    indices: set[int] = field(default_factory=set)  # the models it is on
    claims: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


@dataclass
class _Run:
    """The state of `train_models`: who has which models."""

    ledger: Ledger
    store: Store
    plan: np.ndarray
    arguments: tuple  # of every engine
    cpus: int
    gpus: float
    pool: list[_Worker] = field(default_factory=list)
    reason: str = ""  # why the last worker that did not start did not
    without: float = field(default_factory=time.monotonic)  # since when there has been no worker that is ready
    waiting_said: bool = False
    probed: float = field(default_factory=time.monotonic)  # when the head was last looked at
    unreachable_said: bool = False

    def hire(self, place: int = 0) -> None:
        """Asks the cluster for a worker."""
        import ray

        actor = ray.remote(Trainer).options(num_cpus=self.cpus, num_gpus=self.gpus).remote()
        self.pool.append(_Worker(actor, actor.hello.remote(), place))

    def dismiss(self, member: _Worker) -> None:
        """Ends a worker, and releases its models."""
        import ray

        self.pool.remove(member)
        member.claims.close()
        ray.kill(member.actor)

    def go_on(self) -> None:
        """Trains until nothing is left, or nobody to train it."""
        import ray
        from ray.exceptions import RayError

        while not self.ledger.settled or any(member.indices for member in self.pool):
            if not self.pool:
                self.ledger.give_up(f"no worker could be started: {self.reason}")
                return
            waited = {member.reply: member for member in self.pool if member.reply is not None}
            if not waited:  # what is left is elsewhere
                time.sleep(POLL_SECONDS)
            for reply in ray.wait(list(waited), timeout=POLL_SECONDS)[0] if waited else ():
                try:
                    self.hear(waited[reply], ray.get(reply))
                except RayError as error:
                    self.bury(waited[reply], error)
            self.ledger.look_elsewhere()
            self.hand_out()
            self.look_at_cluster()

    def hear(self, member: _Worker, reply) -> None:
        """Takes in what a worker has answered."""
        if not member.machine:
            version, member.machine = reply
            if version != mia_tf.__version__:
                self.refuse(member, f"its mia_tf is {version}, and here it is {mia_tf.__version__}")
                return
            member.reply = member.actor.start.remote(*self.arguments)
        elif not member.ensemble_size:
            member.ensemble_size, member.reply = reply, None
        else:
            self._hear_events(member, reply)

    def _hear_events(self, member: _Worker, events: list[tuple]) -> None:
        for event, detail in events:
            if event == "epoch":
                self.ledger.epoch(member.indices)
            elif event == "outcome":
                member.indices.remove(detail.index)
                self.ledger.hear(*worker.keep(self.store, detail))
            elif event == "crashed":
                self.replace(member, detail)
                return
            else:
                self.ledger.lost(member.indices, "the training engine returned no result for this model", tries=1)
                member.claims.close()
                member.indices, member.reply = set(), None
                return
        member.reply = member.actor.events.remote()

    def bury(self, member: _Worker, error: Exception) -> None:
        """A worker, its machine or what it sent is lost, or it could not be started."""
        from ray.exceptions import ActorUnavailableError, RayTaskError

        if isinstance(error, RayTaskError):  # raised there; another would raise it too
            self.refuse(member, ray_cluster.first_line(error.cause))
        elif "creation task" in str(error):  # all that is done there is to import mia_tf
            self.refuse(member, ray_cluster.last_line(error))
        else:
            gone = isinstance(error, ActorUnavailableError)  # it goes on about sockets
            self.replace(member, "its connection broke" if gone else ray_cluster.first_line(error))

    def refuse(self, member: _Worker, reason: str) -> None:
        """A worker cannot be used, and another in its place could not either."""
        self.dismiss(member)
        self.reason = f"{reason} ({member.machine or 'a machine of the cluster'})"
        self.ledger.say(f"a worker could not be started: {self.reason}")

    def replace(self, member: _Worker, reason: str) -> None:
        """Lets another take a worker's place, and its models."""
        ready = bool(member.ensemble_size)
        self.reason = reason
        again = f"; its {len(member.indices)} models are tried again" if member.indices else ""
        self.ledger.say(f"a worker was lost ({member.machine or 'before it started'}){again}: {reason}")
        self.ledger.lost(member.indices, f"its worker was lost {_TRIES} times: {reason}", _TRIES)
        self.dismiss(member)
        if ready or member.place + 1 < _TRIES:
            self.hire(0 if ready else member.place + 1)

    def hand_out(self) -> None:
        """Hands models to idle workers; waits for models that another process holds."""
        for member in [m for m in self.pool if m.reply is None]:
            claimed = []
            while not claimed and (indices := self.ledger.next_models(member.ensemble_size)):
                claimed = member.claims.enter_context(self.store.claim_models(indices))
                for index in sorted(set(indices) - set(claimed)):
                    self.ledger.hear("elsewhere", index, None)
            if claimed:
                member.indices = set(claimed)
                member.actor.train.remote(self.plan[claimed], claimed)
                member.reply = member.actor.events.remote()

    def look_at_cluster(self) -> None:
        """Says so if the head is out of reach, or if there has long been no worker; gives up if no machine is left."""
        if not self.unreachable_said and time.monotonic() - self.probed > _PROBE_SECONDS:
            self.probed = time.monotonic()
            if not ray_cluster.head_answers():
                self.unreachable_said = True
                self.ledger.say(
                    "the head of the Ray cluster does not answer: if it stays away, Ray ends this command with exit "
                    "code 1 in about a minute; complete models are kept, and the same command goes on"
                )
        if any(member.ensemble_size for member in self.pool):
            self.without = time.monotonic()
        if time.monotonic() - self.without < _PATIENCE_SECONDS:
            return
        if not ray_cluster.room(ray_cluster.machines(), self.cpus, self.gpus):
            self.ledger.give_up("no machine is left in the cluster that could run a worker")
        elif not self.waiting_said:
            self.waiting_said = True
            self.ledger.say("waiting for a worker: the cluster is busy, or the first is still starting")
