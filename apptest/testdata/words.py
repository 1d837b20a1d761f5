"""Counts the rows of a table that each record's word is in, as PyIceberg reads it.

    words.py TABLE_URI SUMS

Prints the number of rows, of different (stream, seq), how many rows have the word
"recNx" for each N from 0 on, and what DuckDB makes of the SUMS over PyIceberg's
rows that have attributes.
"""

import json
import re
import sys

import duckdb
from pyiceberg.table import StaticTable
from pathlib import Path

uri, sums = sys.argv[1:]
metadata = Path(uri.removeprefix("file://")) / "metadata"
version = int((metadata / "version-hint.text").read_text())
while (metadata / f"v{version + 1}.metadata.json").exists():
    version += 1
table = StaticTable.from_metadata(f"{uri}/metadata/v{version}.metadata.json", {})
t = table.scan().to_arrow()
words = [0] * 10_000
keys = set()
for batch in t.to_batches():
    for row in batch.to_pylist():
        keys.add((row["stream"], row["seq"]))
        # Maps are lists of pairs: their text has all there is.
        for n in {int(w) for w in re.findall(r"rec(\d+)x", str(row))}:
            words[n] += 1
db = duckdb.connect()
db.execute("SET enable_progress_bar = false")  # it would go to stdout
db.register("t", t)
got = db.execute(f"select {sums} from t where attributes is not null").fetchone()
print(json.dumps({"Rows": t.num_rows, "Distinct": len(keys), "Words": words, "Sums": [int(x or 0) for x in got]}))
