"""The command ``relapse explain``: what a code means, how grave it is, and what to do."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from relapse.ground.console import say

if TYPE_CHECKING:
    from relapse.ground.finding import Code, Family

_INTRODUCTION = """# Coded checks

The rules of a declaration, and what no rule on a single column can see. `relapse cohort check mine` and the stage
*gate* look for all of it but families S and W; those marked * also run where a rule is broken, as they often say why.
An **error** stops the pipeline and keeps a model from promotion. A **warning** is printed, stands in the report, and is
yours to judge. `relapse explain L003` says of one code what stands here; `relapse explain --page` prints this page.

Each finding names its code, the column, the first data rows (row 1 is the first below the header) and what to do; none
holds a patient's value. Checks that test something share their level among all predictors, so that a table of 500
features of noise raises none, and count patients, not rows. Of more than 8 warnings of one kind the last names the
remaining columns together.

What somebody has looked at and found right is silenced in the declaration, with the reason. It then stops nothing, and
stands with its reason in the report, the decision and the record of the gate:

```yaml
silence:
  - {check: F007, columns: [tgrade], reason: Grade I is rare in referrals; kept apart on purpose.}
```

`columns` are those of the findings, as they are told; without any, all findings of the check are meant. A silence that
silences nothing is a finding itself (G001). Those marked † cannot be silenced, since nothing could go on."""


def explain(
    code: Annotated[
        str | None, typer.Argument(help="A code, such as L003, M005 or mask-empty; none: all of them.")
    ] = None,
    page: Annotated[bool, typer.Option("--page", help="Print the docs' page of coded checks.")] = False,
) -> None:
    """Say what a code of a finding means, how grave it is, and what to do.

    Codes are those of checks of a table, of predictions and of monitoring (a letter and three digits), of what does
    not fit in the registry (M), and of faults of images (words).
    """
    from relapse.ground.errors import DeclarationError

    if page:
        say(_page())
        return
    known = _texts()
    if code is None:
        for name, text in known.items():
            say(f"{name:22} {text.splitlines()[0]}")
        return
    named = next((name for name in known if name.casefold() == code.casefold()), None)
    if named is None:
        near = [name for name in known if name[0].casefold() == code[:1].casefold()]
        raise DeclarationError(f"{code}: no such code. There are: {', '.join(near or known)}.")
    say(f"{named}: {known[named]}")


def _families() -> "list[Family]":
    from relapse.monitoring.codes import MONITORING
    from relapse.quality.codes import FAMILIES
    from relapse.quality.prediction_codes import PREDICTIONS

    return [*FAMILIES, PREDICTIONS, MONITORING]


def _texts() -> dict[str, str]:
    """Everything that has a code, and what is said of it; the first line stands for the rest in a list."""
    from relapse.imaging.faults import FAULTS, FILM_FAULTS, UPLOAD_FAULTS
    from relapse.tracking.registry.codes import CODES

    checks = {item.code: "\n".join(_of_check(item, family)) for family in _families() for item in family.codes}
    registry = {
        name: f"{item.found.rstrip(':')}\n`dvc repro`: {item.at_repro or 'goes on'}.\n"
        f"`relapse registry verify --repair`: {item.at_repair}."
        for name, item in CODES.items()
    }
    aside = "The patient is set aside, named in the patient flow with this reason, and the rest goes on."
    sent = "The service answers with this and computes nothing."
    images = {name: f"{text}\n{aside}" for name, text in (FAULTS | FILM_FAULTS).items()}
    return checks | registry | images | {name: f"{text}\n{sent}" for name, text in UPLOAD_FAULTS.items()}


def _of_check(item: "Code", family: "Family") -> Iterator[str]:
    yield f"{item.finds} ({item.severity})"
    yield f"What to do: {item.remedy}."
    if item.lasting:
        yield f"It cannot be silenced, since {item.lasting}."
    else:
        yield f"To silence it, in the declaration: silence: [{{check: {item.code}, columns: [...], reason: ...}}]"
    yield f"Of {family.title}. {family.about}"


def _page() -> str:
    parts = [_INTRODUCTION]
    for family in _families():
        parts += ["", f"## {family.letter}: {family.title}", "", family.about, ""]
        parts += ["| code | severity | what it finds | what to do |", "|---|---|---|---|"]
        for item in family.codes:
            marks = ("*" if item.in_broken else "") + ("†" if item.lasting else "")
            parts.append(f"| {item.code}{marks} | {item.severity} | {item.finds} | {item.remedy} |")
    return "\n".join(parts)
