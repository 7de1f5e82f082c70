"""The default executor: Ray Tune on this machine's or a cluster's CPUs and GPUs."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nas_bench
from nas_bench import plugins
from nas_bench.execution.asha import Searches, scheduler
from nas_bench.execution.job import Job, Settings, Sink, Stopping, is_last, never
from nas_bench.execution.overdue import GRACE, overdue
from nas_bench.execution.ray_session import gpus, session
from nas_bench.specs import absolute
from nas_bench.text import text_of
from nas_bench.trials.messages import Failure, as_dict

if TYPE_CHECKING:
    from ray.tune import Callback, PlacementGroupFactory, Stopper, Tuner

__all__ = ["execute", "gpus", "session"]

BEGINNING = "Starting Ray; its workers take some seconds to load torch"
"""See `Executor`."""
Report = Callable[[dict[str, Any]], None]
BREATH = 0.5
"""Seconds between reports of a trial, of which each costs some milliseconds."""


def execute(jobs: Sequence[Job], settings: Settings, sink: Sink, stop: Stopping = never) -> None:
    """See `Executor`."""
    stopping = settings.early_stopping
    searches = Searches(stopping) if stopping else None
    with session(settings):
        while jobs and not stop():
            jobs = _lost(jobs, settings, sink, stop, searches)
            settings = replace(settings, retries=settings.retries - 1)


def _lost(
    jobs: Sequence[Job],
    settings: Settings,
    sink: Sink,
    stop: Stopping,
    searches: Searches | None,
) -> list[Job]:
    """Run jobs; those that have retries left although Tune has given them up."""
    inbox = Inbox(jobs, sink, settings.timeout)
    with tempfile.TemporaryDirectory(prefix="nas-bench-") as folder:
        try:
            _tuner(jobs, settings, inbox, Path(folder), stop, searches).fit()
        except Exception:
            inbox.raise_own_error()
            raise
    if not stop():
        inbox.close()
    return [jobs[number] for number in inbox.put_back]


class Inbox:
    """Hands messages on to the sink and sees to it that every job comes to an end."""

    def __init__(self, jobs: Sequence[Job], sink: Sink, timeout: float | None = None) -> None:
        self._jobs, self._sink, self._timeout = jobs, sink, timeout
        self._open, self._begun = set(range(len(jobs))), set[int]()
        self._since = dict[int, float]()
        self._stopped = dict[int, str]()
        self._error: Exception | None = None
        self.put_back: list[int] = []

    @property
    def idle(self) -> bool:
        """Whether no job that has begun is still open."""
        return not self._begun & self._open

    def start(self, number: int) -> None:
        """A process begins with a job."""
        self._since[number] = time.monotonic()

    def end_overdue(self, number: int) -> bool:
        """End a job that has neither ended nor loaded its data long after it should have."""
        if self._timeout is None or number not in self._open or number not in self._since:
            return False
        if time.monotonic() - self._since[number] <= self._timeout + GRACE:
            return False
        self.lose(number, overdue(self._timeout))
        return True

    def receive(self, number: int, messages: Sequence[dict[str, Any]]) -> None:
        """Hand on messages of the job with this number; none after its end."""
        for message in messages:
            if message["type"] == "loaded":
                self.start(number)  # --timeout does not count what came before
            if number in self._open:
                self._hand_on(number, message)
        if why := self._stopped.pop(number, None):
            self.receive(number, [{"type": "stopped", "message": why}])

    def stop(self, number: int, why: str) -> None:
        """End a job once the messages that are on their way have been received."""
        self._stopped[number] = why

    def lose(self, number: int, failure: Failure) -> None:
        """End a job whose process did not live to say what happened."""
        self.receive(number, [as_dict(failure)])

    def keep(self, number: int) -> None:
        """Have a job run again, since its machine failed it."""
        self._begun.discard(number)
        self.put_back.append(number)

    def close(self) -> None:
        """End the jobs that Tune ended without a word."""
        message = "Ray Tune ended without running the trial"
        for number in sorted(self._open.difference(self.put_back)):
            self.lose(number, Failure("failed", "NoResultError", message, ""))

    def raise_own_error(self) -> None:
        """Raise what the sink raised, which Tune may have wrapped."""
        if self._error:
            raise self._error

    def _hand_on(self, number: int, message: dict[str, Any]) -> None:
        self._begun.add(number)
        if is_last(message):
            self._open.discard(number)
        try:
            self._sink(self._jobs[number].config, message)
        except Exception as error:
            self._error = error
            raise


class Outbox:
    """Reports the messages of a trial, those that come shortly after others together."""

    def __init__(self, report: Report, breath: float = BREATH) -> None:
        self._report, self._breath = report, breath
        self._waiting: list[dict[str, Any]] = []
        self._reported = -breath

    def add(self, message: dict[str, Any]) -> None:
        """Take a message, and report if it is time."""
        self._waiting.append(message)
        self.look()

    def look(self) -> None:
        """Report what waits, if it is time."""
        if time.monotonic() - self._reported >= self._breath:
            self.send()

    def send(self) -> None:
        """Report what waits."""
        if self._waiting:
            self._report({"messages": self._waiting})
            self._waiting, self._reported = [], time.monotonic()


def report_trial(values: dict[str, Any], report: Report) -> None:
    """Run a job in a worker and report its messages."""
    from nas_bench.execution.checkpoints import asked_to_stop
    from nas_bench.execution.storage import storage
    from nas_bench.execution.worker import messages, require_gpu

    job, settings = Job.from_dict(values["spec"]["job"]), Settings(**values["settings"])
    if settings.storage and asked_to_stop(storage(settings.storage), settings.lease):
        return
    require_gpu(job.device)  # raised, so that Tune tries another machine
    outbox = Outbox(report, values["spec"]["breath"])
    for message in messages(job, settings, outbox.look):
        outbox.add(message)
    outbox.send()


def _tuner(
    jobs: Sequence[Job],
    settings: Settings,
    inbox: Inbox,
    folder: Path,
    stop: Stopping,
    searches: Searches | None,
) -> "Tuner":
    from ray import tune

    breath = 0.0 if searches else BREATH  # a trial must not run on while its stopping is decided
    specs = [{"number": n, "job": j.as_dict(), "breath": breath} for n, j in enumerate(jobs)]
    return tune.Tuner(
        tune.with_resources(_trainable(nas_bench.__file__), _resources(settings)),
        param_space={"spec": tune.grid_search(specs), "settings": vars(_portable(settings))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=settings.max_concurrent,
            scheduler=searches and scheduler([j.config for j in jobs], searches, inbox.stop),
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="sweep",
            storage_path=str(folder),
            verbose=0,
            callbacks=[_callback(inbox, settings.retries)],
            stop=_stopper(inbox, stop),
            failure_config=tune.FailureConfig(max_failures=settings.retries),
        ),
    )


def _resources(settings: Settings) -> "Callable[[dict[str, Any]], PlacementGroupFactory]":
    """What Tune sets aside for each trial; pickled by value, as what it runs."""
    cpus = settings.cpus_per_trial

    def resources(config: dict[str, Any]) -> "PlacementGroupFactory":
        from ray import tune

        return tune.PlacementGroupFactory([{"CPU": cpus, "GPU": config["spec"]["job"]["gpus"]}])

    return resources


def _trainable(driver: str) -> Callable[[dict[str, Any]], None]:
    """What Tune runs. It is pickled by value, so that another copy is seen before it is used."""

    def trial(config: dict[str, Any]) -> None:
        from importlib.util import find_spec

        from ray import tune

        try:
            import nas_bench

            own = getattr(nas_bench, "__file__", None)
        except (Exception, SystemExit) as error:
            found = find_spec("nas_bench")
            own = f"{found and found.origin} ({type(error).__name__}: {error})"
        if own != driver:
            message = (
                f"this worker's nas_bench is {own}, the driver's is {driver}: run from a folder "
                "that holds no other copy, or install that copy with pip install -e ."
            )
            failure = {"status": "failed", "error": "OtherCopyError", "traceback": ""}
            tune.report({"messages": [{"type": "failure", "message": message, **failure}]})
            return
        from nas_bench.execution.ray_tune import report_trial

        report_trial(config, tune.report)

    return trial


def _callback(inbox: Inbox, retries: int) -> "Callback":
    from ray import tune
    from ray.tune.progress_reporter import TrialProgressCallback

    class Forward(TrialProgressCallback):
        """Brings what trials report to the inbox, and takes the place of what prints it."""

        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            inbox.start(_number(trial))

        def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
            for trial in trials:
                if inbox.end_overdue(_number(trial)):
                    _kill(trial)

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            """Its last report has said so."""

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            inbox.receive(_number(trial), result.get("messages", []))

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            """Tune itself does not retry a trial that was still about to begin."""
            if trial.num_failures <= retries:
                inbox.keep(_number(trial))
            else:
                inbox.lose(_number(trial), _cause(trial))

        def __reduce__(self) -> tuple[Any, ...]:
            """Nothing of ours goes into what Tune stores."""
            return tune.Callback, ()

    return Forward()


def _stopper(inbox: Inbox, stop: Stopping) -> "Stopper":
    from ray import tune
    from ray.tune.stopper import NoopStopper

    class Ended(tune.Stopper):
        """Ends the sweep once it was asked to end and no trial runs any more."""

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            """No trial is ended by what it reports."""
            return False

        def stop_all(self) -> bool:
            """Whether the sweep shall end now."""
            return stop() and inbox.idle

        def __reduce__(self) -> tuple[Any, ...]:
            """Tune stores the experiment, which is never restored: nothing of ours goes in."""
            return NoopStopper, ()

    return Ended()


def _kill(trial: Any) -> None:
    """End a trial's process for good."""
    import ray

    trial.max_failures = 0
    if actor := trial.temporary_state.ray_actor:
        ray.kill(actor)


def _number(trial: Any) -> int:
    return trial.config["spec"]["number"]


def _trial_name(trial: Any) -> str:
    return f"trial-{_number(trial)}"


def _cause(trial: Any) -> Failure:
    """What ended a trial's process or function."""
    from ray import cloudpickle

    text = Path(trial.error_file).read_text("utf-8", "replace")
    return lost(cloudpickle.loads(Path(trial.pickled_error_file).read_bytes()), text)


def lost(error: BaseException, text: str) -> Failure:
    """The row of a trial that Ray ended.

    Args:
        error: what Ray raised.
        text: everything Ray said, which names a possible OOM killer at every death.
    """
    from ray.exceptions import OutOfMemoryError, RayActorError

    causes = (error, error.__cause__, getattr(error, "cause", None))
    starved = "NODE_OUT_OF_MEMORY" in text or any(isinstance(c, OutOfMemoryError) for c in causes)
    said = text_of(error).splitlines()[-1]
    if "NoGpuError" in said:  # whatever Ray and Tune wrapped it in
        return Failure("failed", "NoGpuError", said.partition("NoGpuError: ")[2] or said, text)
    if starved:
        said = "Ray ended the worker process because the machine ran out of memory"
    elif isinstance(error, RayActorError):
        said = "the worker process died (killed, out of memory, or left by os._exit)"
    return Failure("oom" if starved else "failed", type(error).__name__, said, text)


def _portable(settings: Settings) -> Settings:
    """The settings as workers understand them, wherever they are."""
    paths = tuple(map(absolute, settings.plugins))
    return replace(
        settings,
        data=settings.data and absolute(settings.data),
        plugins=paths,
        contents=tuple(map(plugins.content, paths)),
        definitions=plugins.definitions(),
        early_stopping=None,
    )
