"""A population that is trained in generations, rebuilt from the labels of its trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from katib_py.core.names import LABELS_OF_ALGORITHMS
from suggestion_services.contract import ACTIVE, KILLED, Marked
from suggestion_services.rungs import best_first

# Katib's two, and the one that it lacks: a member that took another's weights is still the same member.
GENERATION: Final = f"pbt.{LABELS_OF_ALGORITHMS}/generation"
PARENT: Final = f"pbt.{LABELS_OF_ALGORITHMS}/parent"
MEMBER: Final = f"pbt.{LABELS_OF_ALGORITHMS}/member"

# A trial that was killed says nothing of its values; one that is killed so often counts as failed.
MOST_KILLED: Final = 3
# Who has ended may go on when this share of the generation has: a straggler holds nobody up.
QUORUM: Final = 0.5


class Post(NamedTuple):
    """The part of one member in one generation."""

    generation: int
    member: int


def labels_of(post: Post, parent: str) -> tuple[tuple[str, str], ...]:
    """The labels of a proposal; `parent` is the trial whose checkpoint it continues, empty in the first generation."""
    pairs = [(GENERATION, str(post.generation)), (MEMBER, str(post.member))]
    return tuple(pairs + ([(PARENT, parent)] if parent else []))


@dataclass(slots=True)
class Part:
    """The trials of one member in one generation: more than one where some were killed."""

    trials: list[Marked] = field(default_factory=list)

    @property
    def vacant(self) -> bool:
        """Whether it is to be run, or run again."""
        return len(self.trials) < MOST_KILLED and all(trial.state == KILLED for trial in self.trials)

    @property
    def ended(self) -> bool:
        """Whether it has its end, with or without a result."""
        return not self.vacant and self.trials[-1].state not in ACTIVE


NOTHING: Final = Part()


class Population:
    """Every trial of a request at its post; `size` members."""

    def __init__(self, trials: Iterable[Marked], size: int) -> None:
        self.size = size
        self._generations: dict[int, dict[int, Part]] = {}
        unknown: list[Marked] = []
        posts: dict[str, Post] = {}
        for trial in trials:
            post = _post(trial.labels, size)
            if post is None:
                unknown.append(trial)
            else:
                self._add(trial, post, posts)
        free = iter([member for member in range(size) if self.part(Post(0, member)) is NOTHING])
        for trial in unknown:
            post = _inferred(trial.labels, posts, free)
            if post is not None:
                self._add(trial, post, posts)

    def part(self, post: Post) -> Part:
        """What was run at a post."""
        return self._generations.get(post.generation, {}).get(post.member, NOTHING)

    def begun(self) -> range:
        """The generations that there are."""
        return range(max(self._generations, default=-1) + 1)

    def vacancies(self) -> Iterator[Post]:
        """The posts that want a trial, the earliest generations first."""
        for generation in range(len(self.begun()) + 1):
            for member in range(self.size):
                post = Post(generation, member)
                if self.part(post).vacant and self._may_begin(post):
                    yield post

    def ranked(self, generation: int) -> dict[int, Marked]:
        """The trials of a generation that have a result, by member, the best first."""
        last = [(part.trials[-1], member) for member, part in self._generations.get(generation, {}).items()]
        members = {trial.name: member for trial, member in last}
        return {members[trial.name]: trial for trial in best_first(trial for trial, _ in last)}

    def _may_begin(self, post: Post) -> bool:
        if post.generation == 0:
            return True
        before = [self.part(Post(post.generation - 1, member)).ended for member in range(self.size)]
        return before[post.member] and sum(before) >= QUORUM * self.size

    def _add(self, trial: Marked, post: Post, posts: dict[str, Post]) -> None:
        posts[trial.name] = post
        parts = self._generations.setdefault(post.generation, {})
        if post.member not in parts:
            parts[post.member] = Part()
        parts[post.member].trials.append(trial)


def _post(labels: Mapping[str, str], size: int) -> Post | None:
    try:
        generation, member = int(labels[GENERATION]), int(labels[MEMBER])
    except (KeyError, ValueError):
        return None
    return Post(generation, member) if generation >= 0 and 0 <= member < size else None


def _inferred(labels: Mapping[str, str], posts: Mapping[str, Post], free: Iterator[int]) -> Post | None:
    """Katib's service names no member: it is the parent's. Where labels do not come back, there is one generation."""
    if (parent := posts.get(labels.get(PARENT, ""))) is not None:
        return Post(parent.generation + 1, parent.member)
    member = next(free, None) if labels.get(GENERATION, "0") == "0" else None
    return None if member is None else Post(0, member)
