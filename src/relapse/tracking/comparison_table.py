"""A comparison of two runs on a terminal."""

from relapse.evaluation.statistics.results import Estimate
from relapse.ground.console import print_table, say
from relapse.tracking.compare import Effect, RunComparison


def show_comparison(found: RunComparison) -> None:
    """Print what changed and what it did."""
    say(f"before: {found.before}")
    say(f"after:  {found.after}")
    if found.changes:
        rows = [(item.kind, item.what, item.before, item.after) for item in found.changes]
        print_table("What changed", ("kind", "what", "before", "after"), rows)
    else:
        say("Nothing that is recorded changed: data, declaration, parameters and code are the same.")
    print_table(
        f"What it did: {found.metric}, with 95% intervals",
        ("candidate", "before", "after", "after minus before", "p", "ground"),
        [_row(item) for item in found.effects],
    )


def _row(item: Effect) -> tuple[str, ...]:
    same = item.before_name == item.after_name
    name = item.after_name if same else f"{item.before_name} \N{RIGHTWARDS ARROW} {item.after_name}"
    if item.test is None:
        return name, _cell(item.before), _cell(item.after), "", "", item.note
    test = item.test
    difference = f"{test.difference:+.3f} ({test.lower:+.3f} to {test.upper:+.3f})"
    return name, _cell(item.before), _cell(item.after), difference, f"{test.p:.2g}", item.note


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.lower:.3f} to {estimate.upper:.3f})"
