"""Reads a table with PyIceberg and asks DuckDB about it: neither is Akupara's.

    read.py TABLE_URI SQL [WEBHDFS_ADDRESS]

TABLE_URI is the table's folder, file:///... or hdfs://...; the SQL sees the
table as t. Prints the rows as one JSON array of arrays.
"""

import json
import sys
from urllib.parse import urlsplit

import duckdb
import pyiceberg.io.fsspec as iceberg_fsspec
from pyiceberg.table import StaticTable


def main(table_uri, sql, webhdfs=None):
    properties = {}
    if table_uri.startswith("hdfs://"):
        # No registry has libhdfs: go through the NameNode's HTTP port.
        from fsspec.implementations.webhdfs import WebHDFS

        address = urlsplit(webhdfs if "//" in webhdfs else "//" + webhdfs)
        fs = WebHDFS(host=address.hostname, port=address.port, user="root")
        iceberg_fsspec.SCHEME_TO_FS["hdfs"] = lambda _: fs
        properties["py-io-impl"] = "pyiceberg.io.fsspec.FsspecFileIO"
        root = "/" + table_uri.removeprefix("hdfs://").split("/", 1)[1]
        hint = fs.cat_file(root + "/metadata/version-hint.text")
        # The hint may lag by one.
        version = int(hint)
        while fs.exists(f"{root}/metadata/v{version + 1}.metadata.json"):
            version += 1
    else:
        from pathlib import Path

        metadata = Path(table_uri.removeprefix("file://")) / "metadata"
        version = int((metadata / "version-hint.text").read_text())
        while (metadata / f"v{version + 1}.metadata.json").exists():
            version += 1
    table = StaticTable.from_metadata(f"{table_uri}/metadata/v{version}.metadata.json", properties)
    t = table.scan().to_arrow()  # DuckDB finds it by its name
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    db.execute("SET enable_progress_bar = false")  # it would go to stdout
    db.register("t", t)
    print(json.dumps(db.execute(sql).fetchall(), default=str))


main(*sys.argv[1:])
