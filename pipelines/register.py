"""Stage *register*: the evidence becomes a decision, and all of it a record in MLflow."""

from relapse.ground.console import say, stage
from relapse.ground.files import write_json
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.params import read_params
from relapse.predictions import read_predictions
from relapse.promotion.policy import decide
from relapse.report.documents import documents, sealed
from relapse.report.material import Material
from relapse.tracking.client import connect
from relapse.tracking.opponent import opponent
from relapse.tracking.publishing.publish import publish
from relapse.tracking.publishing.published import published_decision, ready
from relapse.tracking.publishing.source import Source
from relapse.tracking.registry.receipts import receipt, standing


def main(cohort: str) -> None:
    """Decide whether the best candidate of a cohort becomes its champion, and publish everything."""
    at, params, client = Workspace(cohort), read_params(), connect(machinery())
    source, into = Source.of(at, params), ready(client, machinery(), cohort, say=say)
    record = published_decision(client, into, at, source)
    if record is None:
        material = Material.read(at, params.candidates, decision={})
        evidence = material.evidence
        risks, timed = evidence.endpoint.risk_columns, evidence.endpoint.timed
        decision = decide(
            evidence,
            {name: read_predictions(at.predictions(name), risks=risks, timed=timed) for name in material.titles},
            opponent(client, at),
            cohort=material.cohort,
            gate=material.gate,
            titles=material.titles,
            content_hash=source.content_hash,
            params=params.register_,
            seed=params.seed,
            added=material.added,
        )
        record = publish(
            client,
            into,
            at,
            machinery=machinery(),
            source=source,
            params=params,
            evidence=evidence,
            decision=decision,
            **sealed(material.after(decision.to_json())),
            documents=lambda decided: documents(material.after(decided)),
        )
    champion = standing(client, cohort)
    write_json(at.decision, record | {"champion": champion})
    write_json(at.published, receipt(client, cohort, source.content_hash))
    say(f"{cohort}: {record['summary']} Champion: {'version ' + champion['version'] if champion else 'none'}.")


if __name__ == "__main__":
    stage(main)
