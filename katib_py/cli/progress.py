"""How a running experiment looks: a live picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from katib_py.controller.board import Board
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.trial import TrialState

BARS: Final = "▁▂▃▄▅▆▇█"
SPARK_WIDTH: Final = 40
MIN_WIDTH: Final = 20
LABEL_WIDTH: Final = 20  # what stands before a bar, the space between included
LINE_SECONDS: Final = 2.0  # plain lines come no faster than this, but for a new incumbent
COLOURS: Final = {
    TrialState.SUCCEEDED: "green",
    TrialState.EARLY_STOPPED: "yellow",
    TrialState.FAILED: "red",
    TrialState.METRICS_UNAVAILABLE: "red",
    TrialState.KILLED: "magenta",
}
WORDS: Final = {
    TrialState.SUCCEEDED: "succeeded",
    TrialState.EARLY_STOPPED: "early stopped",
    TrialState.FAILED: "failed",
    TrialState.METRICS_UNAVAILABLE: "without metrics",
    TrialState.KILLED: "killed",
}


class Step(NamedTuple):
    """From this number of finished trials on, this was the best value."""

    finished: int
    value: float


class Pace:
    """How fast trials finish, and the incumbent's value over the finished trials."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start: tuple[float, int] | None = None
        self.bests: list[Step] = []

    def note(self, board: Board) -> None:
        """Take the board of this turn in."""
        if self._start is None:
            self._start = (self._clock(), board.tally.finished)
        best = board.tally.incumbent
        if best is not None and (not self.bests or self.bests[-1].value != best.value):
            self.bests.append(Step(board.tally.finished, best.value))

    def rate(self, board: Board) -> float:
        """Trials finished per second since the start of this run."""
        if self._start is None:
            return 0.0
        seconds = self._clock() - self._start[0]
        return (board.tally.finished - self._start[1]) / seconds if seconds > 0 else 0.0

    def left(self, board: Board) -> float | None:
        """Seconds until maxTrialCount at this rate; None where that cannot be said."""
        total, rate = most_trials(board), self.rate(board)
        if total is None or rate == 0:
            return None
        return max(0.0, (total - board.tally.finished) / rate)


class TerminalProgress:
    """A picture that is drawn anew a few times a second."""

    def __init__(self, console: Console) -> None:
        self._pace = Pace()
        self._board: Board | None = None
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._draw)
        self._live.start()

    def __call__(self, board: Board) -> None:
        """Show this board from now on."""
        self._board = board
        self._pace.note(board)

    def close(self) -> None:
        """Take the picture away."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        board = self._board
        if board is None:
            return Text("Starting …", style="dim")
        total = most_trials(board)
        room = max(MIN_WIDTH, min(SPARK_WIDTH, self._live.console.width - LABEL_WIDTH))
        lines = Table.grid(padding=(0, 2))
        lines.add_row(Text(board.key.name, style="bold"), _states(board))
        if total is not None:
            bar = ProgressBar(total=total, completed=board.tally.finished, width=room)
            lines.add_row(Text(f"{board.tally.finished} of {total}"), bar)
        lines.add_row(Text("best"), Text(best_words(board), style="bold green" if board.tally.incumbent else "dim"))
        if (history := history_line(self._pace.bests, board.tally.finished, room)) is not None:
            lines.add_row(Text("best so far"), Text(history, style="cyan"))
        lines.add_row(Text("pace"), Text(pace_words(self._pace, board), style="dim"))
        if (trouble := failure_words(board)) is not None:
            lines.add_row(Text("failing", style="red"), Text(trouble))
        for words in waiting_words(board):
            lines.add_row(Text("waiting", style="yellow"), Text(words))
        return Group(lines)


class PlainProgress:
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._pace = Pace(clock)
        self._shown: tuple[object, ...] = ()
        self._waiting: list[str] = []
        self._failing = False
        self._last = -math.inf

    def __call__(self, board: Board) -> None:
        """Say what is new: a new incumbent at once, the rest every few seconds."""
        self._pace.note(board)
        improved = len(self._pace.bests)
        state = (board.tally.finished, improved)
        if not self._failing and (trouble := failure_words(board)) is not None:
            self._failing = True
            self._print(f"failing: {trouble}")
        if (waiting := waiting_words(board)) != self._waiting:
            self._waiting = waiting
            for words in waiting:
                self._print(f"waiting: {words}")
        better = self._shown[1:] != (improved,)
        if state != self._shown and (better or self._clock() - self._last >= LINE_SECONDS):
            self._shown, self._last = state, self._clock()
            self._print(f"{states_text(board)} · best {best_words(board)} · {pace_words(self._pace, board)}")

    def close(self) -> None:
        """Nothing to take away."""

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _counted(trials: int) -> str:
    return "1 trial" if trials == 1 else f"{trials} trials"


def states_text(board: Board) -> str:
    """Trials by state: `12 of 30 trials: 11 succeeded, 1 failed, 2 running`."""
    total = most_trials(board)
    head = f"{board.tally.finished} of {total} trials" if total is not None else _counted(board.tally.finished)
    parts = [f"{count} {WORDS[state]}" for state, count in board.tally.counts.items() if count]
    running = sum(trial.state is TrialState.RUNNING for trial in board.live.values())
    parts += [f"{running} running"] if running else []
    pending = len(board.live) - running
    parts += [f"{pending} pending"] if pending else []
    return f"{head}: {', '.join(parts)}" if parts else head


def most_trials(board: Board) -> int | None:
    """How many trials there may be, repeats of the best among them; None without a bound."""
    most, confirm = board.experiment.spec.max_trial_count, board.experiment.spec.confirm
    return most if most is None or confirm is None else most + confirm.top * confirm.repeats


def best_words(board: Board) -> str:
    """The incumbent: `accuracy=0.9733 (digits-x2k9w7bq)`."""
    best = board.tally.incumbent
    if best is None:
        return "none yet"
    return f"{metric_words(board.objective, best.value)} ({best.trial.name})"


def metric_words(objective: ObjectiveSpec, value: float) -> str:
    """The objective's name and value, to six digits."""
    return f"{objective.objective_metric_name}={value:.6g}"


def pace_words(pace: Pace, board: Board) -> str:
    """The rate and the time left."""
    rate = pace.rate(board)
    if rate == 0:
        return "no trial has finished yet" if board.tally.finished == 0 else "going on"
    words = f"{rate:.2g} trials/s" if rate >= 1 else f"{1 / rate:.1f} s per trial"
    left = pace.left(board)
    return words if left is None else f"{words}, about {span(left)} left"


def span(seconds: float) -> str:
    """A duration in words: 45 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def waiting_words(board: Board) -> list[str]:
    """What the experiment and its trials wait for, each reason once."""
    waits = [board.waiting, *(trial.waiting for trial in board.live.values())]
    return sorted({f"{wait.reason}: {wait.message}" for wait in waits if wait is not None})


def failure_words(board: Board) -> str | None:
    """Why the newest failed trial failed, while no trial has brought a result."""
    trial = board.tally.failure
    if trial is None or board.tally.incumbent is not None:
        return None
    return f"{trial.name}: {trial.message}"


def history_line(bests: Sequence[Step], end: int, width: int) -> str | None:
    """The best value so far over the `end` finished trials, between its first and last; None before it has changed."""
    if len(bests) < 2:
        return None
    first, last = f"{bests[0].value:.4g}", f"{bests[-1].value:.4g}"
    return f"{first} {sparkline(curve(bests, end, width - len(first) - len(last) - 2))} {last}"


def curve(bests: Sequence[Step], end: int, width: int) -> list[float]:
    """The best value after as many numbers of finished trials as there is room for, from the first step to `end`."""
    begin = bests[0].finished
    count = max(2, min(width, end - begin + 1))
    places = [begin + round(index * (end - begin) / (count - 1)) for index in range(count)]
    return [bests[bisect_right(bests, place, key=lambda step: step.finished) - 1].value for place in places]


def sparkline(values: Sequence[float]) -> str:
    """The values as bars between the lowest and the highest of them."""
    shown = [value for value in values if math.isfinite(value)]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in shown)


def _states(board: Board) -> Text:
    text = Text()
    for state, count in board.tally.counts.items():
        text.append(f"{count} {WORDS[state]}  ", style=COLOURS[state])
    running = sum(trial.state is TrialState.RUNNING for trial in board.live.values())
    text.append(f"{running} running  ", style="blue")
    if len(board.live) > running:
        text.append(f"{len(board.live) - running} pending", style="dim")
    return text
