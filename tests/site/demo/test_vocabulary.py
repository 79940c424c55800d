"""Whatever the demo city says is in the city's vocabulary: the door would refuse anything else."""

from datetime import timedelta

import pytest

from amb247.context.vocabulary import REGISTRY
from amb247.site.demo.simulation import Simulation
from amb247.site.demo.things import all_things

from .conftest import MORNING, NIGHT

pytestmark = pytest.mark.unit


def problems(entities):
    found = set()
    for entity in entities:
        declared = REGISTRY[entity["type"]].attributes
        for name, instance in entity.items():
            if name in ("id", "type"):
                continue
            problem = declared[name].problem(instance) if name in declared else "undeclared"
            if problem:
                found.add((entity["type"], name, str(problem)))
            if "unitCode" in instance and declared[name].unit:
                assert instance["unitCode"] == declared[name].unit
    return found


def required(entities):
    return {
        (entity["type"], name)
        for entity in entities
        for name, rule in REGISTRY[entity["type"]].attributes.items()
        if rule.required and name not in entity
    }


@pytest.mark.parametrize("now", [MORNING, NIGHT])
def test_things_fit_their_declared_types(small, now):
    things = list(all_things(small, now))

    assert problems(things) == set()
    assert required(things) == set()


def test_changes_fit_their_declared_types(small):
    simulation = Simulation(small)
    changes = []
    for minute in range(0, 24 * 60, 5):
        changes += simulation.step(MORNING + timedelta(minutes=minute), vehicles=False).entities

    assert problems(changes) == set()
    assert required(entity for entity in changes if entity["type"] == "Alert") == set()
