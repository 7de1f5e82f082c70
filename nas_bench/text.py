"""Numbers and names as people read them."""

import json
import math
import os
import re
import traceback
from collections.abc import Iterable

_UNITS = ("", " k", " M", " G", " T", " P", " E")
_FORMULA = ("=", "+", "-", "@")
_HOMES = re.compile(r"(?<![^\s\"'(=:])/(?:home|Users)/[^/\s\"':]+(?=/)")
_ENTITIES = str.maketrans({c: f"&#{ord(c)};" for c in "|`*<>&~\\"})


def human(value: float) -> str:
    """Three significant digits with k, M, G, T: `1.23 M`."""
    if not math.isfinite(value):
        return "–"
    power = 0
    while abs(value) >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    value = float(f"{value:.3g}")
    digits = 0 if power == 0 and value == int(value) else max(0, 2 - _magnitude(value))
    return f"{value:.{digits}f}{_UNITS[power]}"


def counted(count: float, one: str, many: str = "") -> str:
    """`1 step`, `3 steps`; large numbers in the shortest form that is exact: `2e+09 flops`."""
    short = f"{count:g}"
    number = short if float(short) == count else f"{count}"
    return f"{number} {one if count == 1 else many or one + 's'}"


def multiple(value: float) -> str:
    """The shortest form that is exact: `400 G`, `1.25 M`, `1234567`."""
    number, _, unit = human(value).partition(" ")
    size = 1000.0 ** _UNITS.index(f" {unit}".rstrip())
    is_exact = math.isclose(float(number) * size, value, rel_tol=1e-12)
    return f"{float(number):g} {unit}".rstrip() if is_exact else f"{value:.15g}"


Ends = tuple[float, float]


def score(mean: float, margin: float | None, metric: str) -> str:
    """`97.31 ± 0.12` for accuracies in percent; losses have two digits of the margin.

    Without a margin, as of a single seed: `97.31`, and four digits of a loss.
    """
    if not math.isfinite(mean):
        return "–"
    form = _form(mean, margin, metric)
    spread = "" if margin is None else f" ± {margin:{form}}"
    return _signed(f"{mean:{form}}{spread}")


def score_between(mean: float, ends: Ends, metric: str) -> str:
    """The same with the ends of an interval: `67.30 (18.00 to 100.00)`."""
    form = _form(mean, _half(ends), metric)
    return _signed(f"{mean:{form}} ({ends[0]:{form}} to {ends[1]:{form}})")


def difference(mean: float, ends: Ends | None, metric: str) -> str:
    """With signs, and the ends of its interval: `+0.31 (+0.19 to +0.40)`."""
    if not math.isfinite(mean):
        return "–"
    form = _form(mean, ends and _half(ends), metric)
    signed = [_nought(f"{value:+{form}}") for value in (mean, *(ends or ()))]
    return _signed(f"{signed[0]} ({signed[1]} to {signed[2]})" if ends else signed[0])


def p_value(p: float) -> str:
    """Two significant digits: `0.031`."""
    return "< 0.0001" if p < 1e-4 else f"{float(f'{p:.2g}'):g}"


def p_equals(p: float) -> str:
    """`p = 0.031`, `p < 0.0001`."""
    return f"p {p_value(p)}" if p < 1e-4 else f"p = {p_value(p)}"


def percent(share: float) -> str:
    """A fraction in percent; what is not zero does not look like zero."""
    if math.isnan(share):
        return "–"
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def duration(seconds: float) -> str:
    """Seconds with at most one decimal."""
    if math.isnan(seconds):
        return "–"
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}"


def spoken(seconds: float) -> str:
    """Seconds as people say them: `12 s`, `5 min`, `3.2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers in order, such as `0-9` or `0-2,5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs) or "–"


def one_line(text: str) -> str:
    """The text without line breaks and control characters."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())


def without_homes(text: str) -> str:
    """The text with `~` for the home folders of people, this one's and any other's."""
    own = os.path.expanduser("~").rstrip("/")  # noqa: PTH111  raises nothing
    if len(own) > 1:
        text = re.sub(rf"(?<![^\s\"'(=:]){re.escape(own)}(?=[/\s\"')]|$)", "~", text)
    return _HOMES.sub("~", text)


def harmless(text: str) -> str:
    """A text in one line that no spreadsheet runs: a formula begins with an apostrophe.

    Characters that are not printable are written as escapes.
    """
    escapes = (c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    shown = "".join(escapes)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def markdown(text: str) -> str:
    """Markdown that renders as this text in one table cell or list item, whatever is in it."""
    escaped = one_line(text).translate(_ENTITIES).replace("](", "]&#40;")
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", "&#95;", escaped)


def escaped(text: str) -> str:
    """The text with line breaks and tabs, and escapes for all else that cannot be shown.

    Halves of characters, which file names and exceptions may have, cannot be stored either.
    """
    shown = (c if c.isprintable() or c in "\n\t" else _escape(c) for c in text)
    return text if text.isascii() and text.isprintable() else "".join(shown)


def text_of(error: BaseException) -> str:
    """What an exception says, escaped; the name of its class where it says nothing or cannot."""
    try:
        said = escaped(str(error).strip())
    except KeyboardInterrupt:
        raise
    except BaseException:  # its own code made the text
        said = "its text cannot be made"
    return said or type(error).__name__


def traceback_of(error: BaseException) -> str:
    """The traceback of an exception; empty where its own code does not let it be made."""
    try:
        return "".join(traceback.format_exception(error))
    except KeyboardInterrupt:
        raise
    except BaseException:
        return ""


def shortened(text: str, length: int) -> str:
    """The text with its middle left out where it is longer than length."""
    text = one_line(text)
    end = length // 3
    return text if len(text) <= length else f"{text[: length - end - 1]}…{text[-end:]}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _form(mean: float, margin: float | None, metric: str) -> str:
    """How a score and its margin are written: accuracies with two decimals.

    A loss has two digits of its margin and at most six of its own, with an exponent where it is
    very large or small.
    """
    if metric == "accuracy":
        return ".2f"
    largest = max(abs(mean), margin or 0.0)
    if largest >= 1e5 or 0 < largest < 1e-4:
        return ".3e"
    digits = 1 - _magnitude(margin) if margin else 3 - _magnitude(mean)
    return f".{min(8, max(0, min(digits, 5 - _magnitude(largest))))}f"


def _half(ends: Ends) -> float:
    return (ends[1] - ends[0]) / 2


def _nought(number: str) -> str:
    """Without a sign where only noughts are shown."""
    return number if float(number) else number[1:]


def _signed(shown: str) -> str:
    return re.sub(r"(?<!e)-", "−", shown)


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0
