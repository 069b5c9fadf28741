"""Another process at the store: appends reports, or dies while it does.

Arguments: URL, 'append' or 'hang', first number, count. Reads a report's JSON on stdin.
"""

import sys
import time

from sqlalchemy.orm import Session

from edgeq.records.report import Report
from edgeq.store import open_store
from edgeq.store.connection import connect, parse
from edgeq.store.runs import row
from edgeq.store.schema import begin_writing

url, verb, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
template = Report.model_validate_json(sys.stdin.read())
reports = [template.model_copy(update={"id": f"{n:08x}"}) for n in range(first, first + count)]

if verb == "append":
    store = open_store(url)
    for report in reports:
        store.add(report)
else:
    with Session(connect(parse(url))) as session:
        begin_writing(session)
        session.add_all([row(report) for report in reports])
        session.flush()
        print("written, not committed", flush=True)
        time.sleep(600)
