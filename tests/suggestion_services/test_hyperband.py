from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from support.rungs import Play, space

from suggestion_services.contract import EARLY_STOPPED, FAILED, KILLED, RUNNING, SUCCEEDED, SearchEnded
from suggestion_services.hyperband import Hyperband

SCHEDULE = {
    (3, 0): 27,
    (3, 1): 9,
    (3, 2): 3,
    (3, 3): 1,
    (2, 0): 12,
    (2, 1): 4,
    (2, 2): 1,
    (1, 0): 6,
    (1, 1): 2,
    (0, 0): 4,
}


def hyperband(most=27.0, **settings):
    return Hyperband(r_l=most, resource_name="epochs", **settings)


def small(**more):
    """9 trials of 1 epoch, then 3 of 3, then 1 of 9; then brackets of 5 and 1, and of 3."""
    return Play(hyperband(9.0), space(9), **more)


@pytest.mark.parametrize("parallel", [1, 4, 9, 81])
@pytest.mark.parametrize("labelled", [True, False])
def test_the_whole_schedule_is_run_whatever_is_parallel_and_then_it_ends(parallel, labelled):
    play = Play(hyperband(), labelled=labelled).run(parallel)
    if labelled:
        assert play.counted() == SCHEDULE
    epochs = Counter(int(play.values(name)["epochs"]) for name in play.known)
    assert epochs == {1: 27, 3: 9 + 12, 9: 3 + 4 + 6, 27: 1 + 1 + 2 + 4}


@pytest.mark.parametrize("parallel", [1, 4, 9, 81])
def test_failures_are_the_worst_of_their_rung_and_do_not_change_its_size(parallel):
    play = Play(hyperband()).run(parallel, lambda name: FAILED if int(name[1:]) % 10 == 3 else SUCCEEDED)
    assert play.counted() == SCHEDULE
    parents = {play.label(name, "parent") for name in play.known} - {None}
    assert all(play.known[parent].state == SUCCEEDED for parent in parents)


def test_a_promoted_trial_has_its_parents_values_to_the_letter_and_more_of_the_resource():
    play = Play(hyperband()).run(4)
    for name in play.known:
        if parent := play.label(name, "parent"):
            before, after = play.values(parent), play.values(name)
            assert after["x"] == before["x"]
            assert int(after["epochs"]) == 3 * int(before["epochs"])


def test_the_best_of_a_rung_go_on_when_all_of_it_has_ended():
    play = small()
    first = play.ask(9)
    for name in first[:8]:
        play.end(name)
    assert {play.label(name, "bracket") for name in play.ask(20)} == {"1", "0"}
    play.end(first[8])
    best = sorted(first, key=lambda name: float(play.values(name)["x"]))[:3]
    assert {play.label(name, "parent") for name in play.ask(20)} == set(best)


def test_a_trial_that_was_stopped_early_goes_on_only_for_want_of_others():
    play = small()
    first = play.ask(9)
    for name in first[:7]:
        play.end(name, EARLY_STOPPED, -1.0)
    for name in first[7:]:
        play.end(name)
    parents = [play.label(name, "parent") for name in play.ask(3)]
    assert parents[:2] == sorted(first[7:], key=lambda name: play.known[name].loss)
    assert parents[2] in first[:7]


def test_a_killed_trial_is_replaced_and_a_killed_promotion_is_tried_once_more():
    play = small()
    first = play.ask(9)
    play.end(first[0], KILLED)
    [again] = [name for name in play.ask(9) if play.label(name, "bracket") == "2"]
    for name in [*first[1:], again]:
        play.end(name)
    promoted = play.ask(3)
    play.end(promoted[0], KILLED)
    [repeated] = play.ask(3)
    assert play.label(repeated, "parent") == play.label(promoted[0], "parent")
    play.end(repeated, KILLED)
    assert play.ask(3) == []


def test_a_rung_of_failures_ends_its_bracket():
    play = small().run(9, lambda name: FAILED)
    assert play.counted() == {(2, 0): 9, (1, 0): 5, (0, 0): 3}


def test_it_waits_while_trials_run_and_ends_when_none_does():
    play = small()
    running = play.ask(100)
    assert len(running) == 9 + 5 + 3
    assert play.ask(5) == []
    for name in running:
        play.end(name, FAILED, np.nan)
    with pytest.raises(SearchEnded, match="every bracket"):
        play.ask(5)


def test_the_schedule_may_be_run_more_than_once():
    play = Play(hyperband(9.0, cycles=2), space(9)).run(9)
    assert play.counted() == {(2, 0): 18, (2, 1): 6, (2, 2): 2, (1, 0): 10, (1, 1): 2, (0, 0): 6}


def test_no_configuration_is_begun_twice_while_unused_ones_remain():
    play = Play(hyperband(9.0), space(9)).run(3)
    begun = [play.values(name)["x"] for name in play.known if play.label(name, "rung") == "0"]
    assert len(set(begun)) == len(begun) == 17


def test_katibs_readers_find_its_bookkeeping():
    play = small()
    for name in play.ask(9):
        play.end(name)
    play.ask(2)
    written = dict(play.algorithm.bookkeeping(play.request(1)))
    assert (written["s_max"], written["current_s"], written["current_i"]) == ("2", "2", "1")
    assert (written["r_l"], written["eta"], written["evaluating_trials"]) == ("9.0", "3.0", "3")
    over = dict(small().run(9).algorithm.bookkeeping(small().run(9).request(1)))
    assert over["current_s"] == "-1"


def test_a_request_that_knows_a_running_trial_does_not_promote_past_it():
    play = small()
    names = play.ask(9)
    for name in names[:-1]:
        play.end(name)
    assert play.known[names[-1]].state == RUNNING
    assert all(play.label(name, "rung") == "0" for name in play.ask(30))
