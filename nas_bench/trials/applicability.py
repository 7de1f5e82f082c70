"""Whether a method can grow a task's network: it may refuse a site, and say why."""

from collections.abc import Iterable

from nas_bench.growth import GrowthMethod, Site, SiteError


class NotApplicableError(ValueError):
    """A method that cannot grow a site of the task's network; the message is its reason."""


def refusal(method: GrowthMethod, sites: Iterable[Site]) -> str | None:
    """Why a method cannot grow one of these sites, in its own words; None if it can grow all.

    A method refuses a site by a `SiteError` of its `needs`.
    """
    for site in sites if method.grows else ():
        try:
            method.needs(site)
        except SiteError as error:
            return str(error)
    return None


def require_applicable(method: GrowthMethod, sites: Iterable[Site]) -> None:
    """Refuse a trial that could not grow.

    Raises:
        NotApplicableError: with the reason of the method.
    """
    if reason := refusal(method, sites):
        raise NotApplicableError(reason)
