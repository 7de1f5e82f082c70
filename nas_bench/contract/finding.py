"""One finding of the contract test, and how it comes about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from nas_bench.specs import said
from nas_bench.training.task import TaskError

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Check:
    """One thing a plugin must do, and whether it does.

    Attributes:
        name: what it must do, as the end of a sentence that begins with its name.
        ok: whether it does.
        message: why not, or what could not be looked at; else empty.
    """

    name: str
    ok: bool
    message: str = ""


class ContractError(Exception):
    """What a plugin did instead of what it must do."""


class NotCheckedError(Exception):
    """Why something could not be looked at."""


def require(condition: bool, message: str) -> None:
    """Raise a ContractError unless the condition holds."""
    if not condition:
        raise ContractError(message)


def run_checks(checks: Mapping[str, Callable[[Subject], None]], subject: Subject) -> list[Check]:
    """Every check on a subject; an exception of any kind is a finding."""
    return [_run(name, check, subject) for name, check in checks.items()]


def _run(name: str, check: Callable[[Subject], None], subject: Subject) -> Check:
    try:
        check(subject)
    except (ContractError, TaskError) as error:
        return Check(name, ok=False, message=str(error))
    except NotCheckedError as reason:
        return Check(name, ok=True, message=f"not checked: {reason}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Check(name, ok=False, message=said(error))
    return Check(name, ok=True)
