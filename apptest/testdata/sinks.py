"""Reads sink files with fastavro, through WebHDFS, and joins their bodies.

    sinks.py WEBHDFS FOLDER...

WEBHDFS is http://HOST:PORT/webhdfs/v1, a FOLDER an absolute path on HDFS; with
"local" for WEBHDFS, on the local disk.
Prints one JSON object: of each source the SHA-256 of its streams' bytes, joined
in the order of their offsets, the bytes, the chunks and the fields of a record.
"""

import glob
import hashlib
import io
import json
import sys
import urllib.parse
import urllib.request

import fastavro

base, *folders = sys.argv[1:]


def call(path, op):
    url = base + urllib.parse.quote(path) + "?user.name=root&op=" + op
    with urllib.request.urlopen(url, timeout=60) as r:
        return r.read()


def read(path):
    if base == "local":
        with open(path, "rb") as f:
            return f.read()
    return call(path, "OPEN")


def walk(path):
    if base == "local":
        yield from glob.glob(glob.escape(path) + "/**/*.avro", recursive=True)
        return
    for s in json.loads(call(path, "LISTSTATUS"))["FileStatuses"]["FileStatus"]:
        p = path + "/" + s["pathSuffix"]
        if s["type"] == "DIRECTORY":
            yield from walk(p)
        elif p.endswith(".avro"):
            yield p


chunks = {}
for folder in folders:
    for path in walk(folder):
        for record in fastavro.reader(io.BytesIO(read(path))):
            if record["kind"] == "data":
                chunks.setdefault((record["source"], record["stream"]), {})[record["first"]] = record

out = {}
for (source, _), stream in sorted(chunks.items()):
    body, at = b"", 0
    for first, record in sorted(stream.items()):
        if first != at or record["last"] - first != len(record["body"]):
            sys.exit(f"{source}: the chunk at {first} does not go on at {at}, or is not as long as it says")
        body, at = body + record["body"], record["last"]
    out[source] = {
        "sha256": hashlib.sha256(body).hexdigest(),
        "bytes": len(body),
        "chunks": len(stream),
        "fields": sorted(next(iter(stream.values()))),
    }
print(json.dumps(out))
