"""What a coded check may know beside the table and its declaration: what the run asks for, and the table before."""

from dataclasses import dataclass

from relapse.cohorts.size import AUDIT_SETTING, PROTOCOL_SETTING, Folds
from relapse.params import Params
from relapse.quality.accepted import Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Every set of folds that will be drawn, and the events for each parameter that the promotion policy asks for.

    The defaults are those of the budget ``default``, for a cohort that is checked where there is no ``params.yaml``.
    None for ``events_per_parameter`` where nothing is going to be trained. ``accepted`` is the version of the table
    that was accepted last, None where none was.
    """

    folds: tuple[Folds, ...] = (Folds(5, 3, PROTOCOL_SETTING), Folds(5, 2, AUDIT_SETTING))
    events_per_parameter: float | None = 10
    accepted: Accepted | None = None

    @classmethod
    def of(cls, params: Params, accepted: Accepted | None = None) -> "Context":
        """What a run with these settings asks for, and the accepted version that it holds the table against."""
        return cls(
            folds=(
                Folds(params.split.folds, params.train.inner_folds, PROTOCOL_SETTING),
                Folds(params.audit.folds, params.audit.inner_folds, AUDIT_SETTING),
            ),
            events_per_parameter=params.register_.events_per_parameter,
            accepted=accepted,
        )


DEFAULT = Context()
