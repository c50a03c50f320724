"""Stage *ingest*: the declared sources become the canonical table, with a record of every row left out.

Where the cohort has volumes, each patient's become a picture beside the table; where it has films, their reader is kept
there.
"""

from dataclasses import replace

from relapse.cohorts.catalogue import files_of, read_cohort, to_yaml
from relapse.cohorts.sources import folder_of
from relapse.cohorts.table import ingest
from relapse.ground.console import say, stage
from relapse.ground.files import sha256_of_file, write_json, write_parquet, write_text
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery


def main(cohort: str) -> None:
    """Read the sources of a cohort into its canonical table, and write its declaration with their columns known."""
    at = Workspace(cohort)
    found = ingest(read_cohort(at.declaration), root=at.root)
    # There in any case: DVC looks for them.
    for folder in (at.pictures, at.contact_sheets, at.film_reader):
        folder.mkdir(parents=True, exist_ok=True)
    if found.cohort.volumes:
        from relapse.imaging.joined import Kept, join_images

        kept = Kept(at.kept_pictures, at.pictures, at.contact_sheets)
        found = join_images(found, found.cohort.volumes, kept, root=at.root, machinery=machinery())
        for one in found.flow.set_aside:
            say(f"{cohort}: {one.patient} is set aside: {one.fault}, {one.message}")
    if found.cohort.films:
        from relapse.imaging.films.parts import read_parts, write_parts

        write_parts(read_parts(folder_of(found.cohort.films.reader, root=at.root)), at.film_reader)
    table, flow, resolved = found
    declared = {path.relative_to(at.root).as_posix(): sha256_of_file(path) for path in files_of(at.declaration)}
    write_parquet(at.table, table)
    write_text(at.resolved, to_yaml(resolved))
    write_json(at.flow, replace(flow, declared=declared).to_json())
    say(f"{cohort}: {flow.rows_read} rows read, {flow.rows_kept} kept, {flow.patients_kept} patients")


if __name__ == "__main__":
    stage(main)
