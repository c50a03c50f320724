"""Stage *register*: the evidence becomes a decision, and all of it a record in MLflow."""

from dataclasses import replace

from relapse.cohorts.catalogue import read_cohort
from relapse.console import say, stage
from relapse.evaluation.evidence import read_evidence
from relapse.files import read_json, write_json
from relapse.predictions import read_predictions
from relapse.promotion.policy import decide
from relapse.report.documents import documents, sealed
from relapse.report.material import Material
from relapse.settings import Workspace, machinery, read_params
from relapse.tracking.client import connect
from relapse.tracking.opponent import opponent
from relapse.tracking.publish import publish
from relapse.tracking.published import published_decision, ready
from relapse.tracking.receipts import receipt, standing
from relapse.tracking.source import Source


def main(cohort: str) -> None:
    """Decide whether the best candidate of a cohort becomes its champion, and publish everything."""
    at, params, client = Workspace(cohort), read_params(), connect(machinery())
    source, into = Source.of(at, params), ready(client, machinery(), cohort, say=say)
    record = published_decision(client, into, at, source)
    if record is None:
        evidence, names = read_evidence(at.evidence), at.succeeded(params.candidates)
        risks, timed = evidence.endpoint.risk_columns, evidence.endpoint.timed
        decision = decide(
            evidence,
            {name: read_predictions(at.predictions(name), risks=risks, timed=timed) for name in names},
            opponent(client, at),
            cohort=read_cohort(at.declaration),
            gate=read_json(at.gate),
            titles={name: read_json(at.record(name))["title"] for name in names},
            content_hash=source.content_hash,
            params=params.register_,
        )
        material = Material.read(at, params.candidates, decision=decision.to_json())
        record = publish(
            client,
            into,
            at,
            machinery=machinery(),
            source=source,
            params=params,
            evidence=evidence,
            decision=decision,
            **sealed(material),
            documents=lambda decided: documents(replace(material, decision=decided)),
        )
    champion = standing(client, cohort)
    write_json(at.decision, record | {"champion": champion})
    write_json(at.published, receipt(client, cohort, source.content_hash))
    say(f"{cohort}: {record['summary']} Champion: {'version ' + champion['version'] if champion else 'none'}.")


if __name__ == "__main__":
    stage(main)
