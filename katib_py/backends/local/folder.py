"""The folder of one attempt: what tells how its run is, for whoever looks, whenever."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, NamedTuple

from katib_py.core.errors import StoreUnavailable

TAIL_BYTES: Final = 4096
TAIL_LINES: Final = 5
VOID: Final = "void\n"  # the claim of a run that will never start


class Identity(NamedTuple):
    """A process, recognisable after its number was given to another: by the kernel's count of its birth."""

    pid: int
    birth: str


class Claim(NamedTuple):
    """The newest claim on a folder: by start number `number`, at `when`. What is not there yet is None.

    `server` made the claim and waits for the program's end, to write its exit status. `void`: the start was given up
    before it came.
    """

    number: int
    when: float
    void: bool = False
    server: Identity | None = None
    program: Identity | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`$KATIB_HOME/runs/NAMESPACE/EXPERIMENT/TRIAL/ATTEMPT`.

    `run-N` is the claim of start number N, made before anything is run, by one only: the fork server writes who it
    is, who the program is, and its exit status, a line each. `output` is what the program wrote; `stop` the
    reason why it was told to end.
    """

    path: str

    @property
    def output(self) -> str:
        """The file of standard output and standard error."""
        return f"{self.path}/output"

    @property
    def metrics(self) -> str:
        """The folder that stands for the collector's path."""
        return f"{self.path}/metrics"

    def create(self) -> bool:
        """Make the folder, for its owner alone; False where it is there already. Raises StoreUnavailable."""
        trial = os.path.dirname(self.path)
        try:
            if not os.path.isdir(trial):
                _make(trial)
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreUnavailable(f"the folder {self.path} cannot be made: {error.strerror}") from error
        return True

    def exists(self) -> bool:
        """Whether the attempt was begun."""
        return os.path.isdir(self.path)

    def claim_path(self, number: int) -> str:
        """The file that start number `number` must create before it runs anything."""
        return f"{self.path}/run-{number}"

    def claim_void(self, number: int) -> bool:
        """Take the claim so that a start which comes late runs nothing; False where it came in time."""
        try:
            with open(self.claim_path(number), "x", encoding="ascii") as file:
                file.write(VOID)
        except FileExistsError:
            return False
        return True

    def newest_claim(self) -> Claim | None:
        """The newest claim; None where nobody has claimed the folder yet."""
        number = 0
        while os.path.exists(self.claim_path(number + 1)):
            number += 1
        if number == 0:
            return None
        text, when = _read(self.claim_path(number)), os.stat(self.claim_path(number)).st_mtime
        if text == VOID:
            return Claim(number, when, void=True)
        # A line without its end is none.
        lines = [line.split(" ") for line in text.split("\n")[:-1]]
        said = {word: values for word, *values in reversed(lines)}
        status = int(said["exit"][0]) if "exit" in said else None
        return Claim(number, when, False, _identity(said.get("server")), _identity(said.get("program")), status)

    def exit_status(self) -> int | None:
        """The program's exit status; None while there is none."""
        claim = self.newest_claim()
        return claim.status if claim is not None else None

    def tell_to_stop(self, reason: str) -> None:
        """Leave the reason for whoever finds the run after us; the first one stays."""
        try:
            with open(f"{self.path}/stop", "x", encoding="utf-8") as file:
                file.write(reason)
        except FileExistsError:
            return

    def stop_reason(self) -> str | None:
        """Why the run was told to end; None where it was not, or where it had ended by itself before."""
        try:
            told = os.stat(f"{self.path}/stop").st_mtime_ns
        except FileNotFoundError:
            return None
        claim = self.newest_claim()
        if claim is not None and claim.status is not None and os.stat(self.claim_path(claim.number)).st_mtime_ns < told:
            return None
        return _read(f"{self.path}/stop")

    def tail(self) -> str:
        """The last lines of the output."""
        try:
            with open(self.output, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-TAIL_LINES:])


def run_folder(runs: str, owner: tuple[str, str], trial: str, attempt: int) -> RunFolder:
    """The folder of an attempt; `owner` is the experiment's namespace and name."""
    return RunFolder(f"{runs}/{owner[0]}/{owner[1]}/{trial}/{attempt}")


def _make(trial: str) -> None:
    try:
        os.mkdir(trial)
    except FileNotFoundError:
        os.makedirs(trial, exist_ok=True)


def _identity(values: list[str] | None) -> Identity | None:
    return Identity(int(values[0]), values[1]) if values is not None else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
