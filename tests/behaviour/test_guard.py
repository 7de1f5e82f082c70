"""The guard notices small changes of the engine, and lets pass what a version accounts for."""

import pytest
from behaviour import guard
from behaviour.fingerprints import fingerprints, measured
from behaviour.mutations import MUTATIONS, mutated

from nas_bench.behaviour import Change, Scope, changes, parsed_changes


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_moves_numbers(mutation):
    fingerprint = fingerprints()[mutation.seen_by]
    with mutated(mutation):
        numbers = measured(fingerprint)
    assert guard.unexpected(fingerprint, numbers, guard.stored())


def bumped(scope):
    return (*changes(), Change(version=len(changes()) + 1, changed="a test", scope=scope))


@pytest.mark.parametrize(
    ("scope", "moves"),
    [
        (None, True),
        (Scope(methods=("tiny",)), True),
        (Scope(methods=("tiny[exact=true]",)), False),
        (Scope(methods=("gradmax", "net2net")), False),
        (Scope(sites=("linear", "token")), True),
        (Scope(sites=("convolution",)), False),
        (Scope(methods=("tiny",), sites=("convolution",)), False),
        (Scope(options={"optimizer_policy": ("zeros", "transplant", "reset")}), True),
        (Scope(options={"optimizer_policy": ()}), False),
        (Scope(options={"recipe.optimizer": ("no such",)}), False),
    ],
)
def test_only_inside_the_scope_of_a_change_numbers_may_move(scope, moves):
    fingerprint = fingerprints()["tiny mlp"]
    assert guard.may_move(fingerprint, guard.stored(), bumped(scope)) == moves


def test_a_raised_method_version_lets_only_its_own_fingerprints_move():
    stored = {**guard.stored(), "methods": {**guard.stored()["methods"], "tiny": 99}}
    assert guard.may_move(fingerprints()["tiny mlp"], stored)
    assert not guard.may_move(fingerprints()["gradmax mlp"], stored)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {version: 2, changed: x}", "expected 1, 2, 3"),
        ("- {version: 1, changed: x, scope: {sites: [conv]}}", "convolution"),
        ("- {version: 1, changed: x, scope: {protocol: [lite]}}", "protocol"),
        ("- {version: 1, changed: x, scope: {methods: ['tiny[']}}", "tiny"),
        ("- {version: 1}", "changed"),
    ],
)
def test_a_malformed_list_of_changes_is_refused(text, message):
    with pytest.raises(Exception, match=message):
        parsed_changes(text)
