"""Great Expectations' Data Docs, made to work offline.

The pages come with scripts and styles from content delivery networks: without a network they are bare, with one
every view of a hospital's data is announced to strangers. Those references are taken out and one small style sheet
is put in.
"""

import re
import shutil
from pathlib import Path
from typing import Any

from relapse.cohorts.schema import Cohort

_OUTSIDE = re.compile(
    r"<script[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>\s*</script>|<link[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>|<img[^>]*\bsrc=[\"']?https?://[^>]*>",
    re.IGNORECASE | re.DOTALL,
)
_STYLE = """<style>
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem;color:#1c2833}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
td,th{border:1px solid #d5d8dc;padding:.3rem .5rem;vertical-align:top;text-align:left}
nav ol,.breadcrumb{list-style:none;display:flex;gap:1rem;padding:0}
.badge{background:#eaf2f8;border-radius:3px;padding:0 .3rem}
h1,h2,h3,h4,h5{line-height:1.25}a{color:#1f618d}.modal,.d-none,footer,.cooltip{display:none}i.fa-check-circle:after{content:"passed";color:#1e8449}
i.fa-times:after{content:"broken";color:#b03a2e}img{max-width:12rem}pre{white-space:pre-wrap}
</style></head>"""


def write_data_docs(context: Any, folder: Path, *, cohort: Cohort) -> None:
    """Build the Data Docs of ``context`` and put them, free of outside references, in ``folder``."""
    addresses = context.build_data_docs()
    built = Path(next(iter(addresses.values())).removeprefix("file://")).parent
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(built, folder)
    for page in folder.rglob("*.html"):
        text = _OUTSIDE.sub("", page.read_text(encoding="utf-8"))
        page.write_text(text.replace("</head>", _STYLE, 1), encoding="utf-8")
