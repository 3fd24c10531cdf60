"""The delays between a worker's death and the next start in its slot."""

from __future__ import annotations

from portway.config import Settings
from portway.server.assignment import Shared
from portway.server.backoff import FIRST_DELAY_S, HEALTHY_LIFE_S, LONGEST_DELAY_S, Backoff
from portway.server.children import Generation
from portway.server.logs import ErrorLog
from portway.server.slots import Slots
from portway.server.vacancies import Vacancies

SLOTS = Slots(1)
SLOTS.close()
SHARED = Shared(Settings(), ErrorLog("-"), None, None, [], SLOTS)
FIRST, SECOND = Generation(1, SHARED, target=1), Generation(2, SHARED, target=1)


def test_first_death_is_answered_at_once_and_further_ones_later_and_later() -> None:
    backoff = Backoff()
    delays = [backoff.delay_after(0.1) for _ in range(10)]
    assert delays[:4] == [0.0, FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]
    assert delays[-1] == LONGEST_DELAY_S
    assert delays == sorted(delays)


def test_a_worker_that_lived_long_enough_starts_the_count_again() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.delay_after(0.1)
    assert backoff.delay_after(HEALTHY_LIFE_S) == 0.0
    assert backoff.delay_after(0.1) == FIRST_DELAY_S


def test_failing_for_weeks_stays_at_the_ceiling() -> None:
    backoff = Backoff()
    delays = [backoff.delay_after(0.1) for _ in range(5000)]
    assert delays[-1] == LONGEST_DELAY_S


def test_a_vacancy_is_due_once_and_its_slot_remembers_how_often_it_failed() -> None:
    vacancies = Vacancies()
    assert vacancies.add(3, generation=FIRST, lived_s=0.1, now=100.0) == 0.0
    assert [vacancy.slot for vacancy in vacancies.take_due(100.0)] == [3]
    assert vacancies.take_due(100.0) == []
    assert vacancies.add(3, generation=FIRST, lived_s=0.1, now=100.0) == FIRST_DELAY_S
    assert vacancies.take_due(100.0) == []
    assert vacancies.next_due() == 100.0 + FIRST_DELAY_S


def test_a_slot_given_back_is_forgotten() -> None:
    vacancies = Vacancies()
    vacancies.add(3, generation=FIRST, lived_s=0.1, now=100.0)
    vacancies.forget(3)
    assert vacancies.all() == []
    assert vacancies.add(3, generation=SECOND, lived_s=0.1, now=100.0) == 0.0


def test_vacancies_are_told_apart_by_generation() -> None:
    vacancies = Vacancies()
    vacancies.add(0, generation=FIRST, lived_s=0.1, now=0.0)
    vacancies.add(1, generation=SECOND, lived_s=0.1, now=0.0)
    assert [vacancy.slot for vacancy in vacancies.of(SECOND)] == [1]
