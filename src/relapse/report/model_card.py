"""The model card of the model that a run put forward, from the run's own files.

Mitchell M et al. (2019). Model cards for model reporting. FAccT, 220-229.
"""

from relapse.candidates.catalogue import REFERENCE
from relapse.cohorts.declared.features import Categorical
from relapse.documents import Document, Section, Table
from relapse.preprocessing.treatment import Handled
from relapse.report.caveats import caveats
from relapse.report.material import Material
from relapse.report.missing import handled_by, in_words
from relapse.wording import count, horizon_words, interval, listing, number, people, sentence


def model_card(material: Material) -> Document:
    """Write the card."""
    name = material.decision["challenger"]
    title = material.decision["challenger_title"]
    return Document(
        f"Model card: {title} for {material.cohort.title}",
        (
            _details(material, name),
            _use(material),
            _input(material, name),
            _training(material, name),
            _performance(material, name),
            _calibration(material, name),
            *_subgroups(material, name),
            _promotion(material),
            Section(
                "Caveats",
                tuple(
                    f"{head}. {text}" for head, text in caveats(material.cohort, material.evidence, material.records)
                ),
            ),
        ),
    )


def _details(m: Material, name: str) -> Section:
    record = m.records[name]
    chosen = ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in record["params"].items()
    )
    return Section(
        "Model",
        (
            sentence(record["description"]),
            f"Hyperparameters: {chosen or 'nothing to choose'}; seed {record['seed']}.",
            f"Content hash {m.decision['content_hash']}.",
        ),
    )


def _use(m: Material) -> Section:
    simulated = ("The data are simulated: no patient stands behind this model.",) if m.cohort.simulated else ()
    return Section(
        "Intended use",
        (
            f"Research on the risk of {m.cohort.endpoint.label} in patients like those of the cohort. Not a medical "
            "device: no answer of this model may guide the care of a patient.",
            "It was not made for patients with other disease stages, other treatments or features measured in another "
            "way, and had not been validated in another cohort when this card was sealed.",
            *simulated,
        ),
    )


def _input(m: Material, name: str) -> Section:
    done = handled_by(m.records[name])
    rows: list[tuple[str, str, str, str]] = []
    for feature_name in m.cohort.one_by_one.predictors:
        feature = m.cohort.features[feature_name]
        allowed = (
            ", ".join(feature.names)
            if isinstance(feature, Categorical)
            else f"{feature.range[0]:g} to {feature.range[1]:g}"
        )
        rows.append(
            (
                m.cohort.label(feature_name),
                feature.type,
                allowed,
                _may_lack(done.get(feature_name)) if feature.max_missing else "needed",
            )
        )
    for block, width in m.cohort.wide_blocks.items():
        rows.append((m.cohort.block_title(block), f"{width} numbers", "each its own range", "all of them, or none"))
    if m.cohort.survival:
        output = f"the risk by {listing([horizon_words(item.label) for item in m.cohort.survival.horizons])}"
    else:
        output = "the risk, and a call at the threshold chosen on inner predictions"
    return Section(
        "Input and output", (f"Gives {output}.",), Table(("Feature", "Type", "Allowed", "Value"), tuple(rows))
    )


def _may_lack(handled: Handled | None) -> str:
    return f"may be left out: {handled.done if handled else 'not used by this model'}"


def _training(m: Material, name: str) -> Section:
    e, record = m.evidence, m.records[name]
    return Section(
        "Training data",
        (
            f"{people(e.size)}; from {m.flow['source']} ({m.flow['fingerprint']}). {m.cohort.citation}",
            f"Fitted on all rows after a search of {record['trials']} trials over all folds; performance was measured "
            "by nested cross-validation on patients that the fitted models had not seen.",
            f"Missing values. {in_words(m.cohort)}",
        ),
    )


def _performance(m: Material, name: str) -> Section:
    rows = tuple(
        (metric.label, number(found.value), interval(found.lower, found.upper))
        for metric in m.evidence.endpoint.metrics
        for found in [m.evidence.candidate(name).metrics[metric.key]]
    )
    said: tuple[str, ...] = ("Pooled out-of-fold predictions; intervals resample patients.",)
    if name != REFERENCE:
        test = m.evidence.paired(name, REFERENCE).test
        said += (
            f"Difference from the clinical reference in {m.evidence.primary_label}: {number(test.difference)} "
            f"({interval(test.lower, test.upper)}).",
        )
    if (chosen := m.evidence.selection) is not None:
        said += (
            f"The largest {m.evidence.primary_label} among {count(len(m.evidence.candidates), 'candidate')} was "
            f"{number(chosen.plain)}; corrected for having been chosen as the largest it is "
            f"{number(chosen.corrected.value)} ({interval(chosen.corrected.lower, chosen.corrected.upper)}).",
        )
    return Section("Performance", said, Table(("Metric", "Value", "95% interval"), rows))


def _calibration(m: Material, name: str) -> Section:
    rows = []
    for found in m.evidence.candidate(name).calibration.values():
        cells = [
            f"{number(one.value)} ({interval(one.lower, one.upper)})" for one in (found.slope, found.observed_expected)
        ]
        rows.append(
            (horizon_words(found.label.removeprefix("at ")) if found.label else "risk", *cells, number(found.ici))
        )
    columns = ("At", "Slope (1 is right)", "Observed / expected (1 is right)", "ICI (0 is right)")
    return Section("Calibration", (), Table(columns, tuple(rows)))


def _subgroups(m: Material, name: str) -> list[Section]:
    rows = []
    for found in m.evidence.candidate(name).subgroups:
        label = m.cohort.label(found.column) if found.column in m.cohort.features else found.column
        estimate = found.metrics.get(m.evidence.primary) if found.metrics else None
        cell = f"{number(estimate.value)} ({interval(estimate.lower, estimate.upper)})" if estimate else found.note
        rows.append((f"{label}: {found.level}", str(found.patients), str(found.size.with_event), cell))
    if not rows:
        return []
    columns = ("Subgroup", "Patients", "With the event", m.evidence.primary_label)
    return [Section("Subgroups", (), Table(columns, tuple(rows)))]


def _promotion(m: Material) -> Section:
    rows = tuple(
        (rule["name"], rule["requirement"], rule["figure"], "passed" if rule["passed"] else "not passed")
        for rule in m.decision["rules"]
    )
    # The card is sealed before the decision is carried out.
    verdict = "May be promoted." if m.decision["promoted"] else "May not be promoted."
    return Section(
        "Promotion", (f"{verdict} {m.decision['summary']}",), Table(("Rule", "Asks for", "Found", "Verdict"), rows)
    )
