"""Reads tables with Spark, with PyIceberg and with DuckDB's own Parquet reader.

    readers.py ICEBERG_JAR WAREHOUSE_URI WEBHDFS_ADDRESS

Reads names of tables from standard input, a line each, until it ends. Prints for
each a line of JSON: by reader, the table's rows, its columns' types, and of each
column what is known of its values; and as "sql" the statement that DuckDB was asked.
"""

import json
import sys
from urllib.parse import urlsplit

import duckdb
import pyarrow.compute as pc
import pyiceberg.io.fsspec as iceberg_fsspec
from fsspec.implementations.webhdfs import WebHDFS
from pyiceberg.table import StaticTable
from pyspark.sql import SparkSession

jar, warehouse, webhdfs = sys.argv[1:]
address = urlsplit(webhdfs)
hdfs = WebHDFS(host=address.hostname, port=address.port, user="root", use_listings_cache=False)
iceberg_fsspec.SCHEME_TO_FS["hdfs"] = lambda _: hdfs
duck = duckdb.connect()
duck.execute("SET TimeZone = 'UTC'")
duck.execute("SET enable_progress_bar = false")  # it would go to stdout
duck.register_filesystem(hdfs)
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.jars", jar)
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.catalog.h", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.h.type", "hadoop")
    .config("spark.sql.catalog.h.cache-enabled", "false")
    .config("spark.sql.catalog.h.warehouse", warehouse)
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")

# Iceberg's types, as others call them.
TYPES = {
    "timestamp": "timestamptz", "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "bigint": "long", "BIGINT": "long", "INTEGER": "int", "BOOLEAN": "boolean", "DOUBLE": "double", "FLOAT": "float",
    "DATE": "date", "VARCHAR": "string", "map<string,string>": "map", "map<string, string>": "map", "MAP(VARCHAR, VARCHAR)": "map",
}  # fmt: skip
DUCK = {v: k for k, v in TYPES.items() if k.isupper() or "(" in k}


def looks(kind, c, micros, day, size):
    """The expressions by which a column's values are looked at, in an SQL dialect."""
    v, total = c, f"sum({c})"
    if kind == "map":
        return f"count({c}), sum({size(c)})"
    if kind == "timestamptz":
        v = total = None
        return f"count({c}), {micros(f'min({c})')}, {micros(f'max({c})')}"
    if kind == "date":
        return f"count({c}), {day(f'min({c})')}, {day(f'max({c})')}"
    if kind == "boolean":
        return f"count({c}), sum(case when {c} then 1 else 0 end)"
    if kind == "string":
        return f"count({c}), min({c}), max({c}), sum(length({c}))"
    return f"count({v}), min({v}), max({v}), {total}"


def width(kind):
    return {"map": 2, "timestamptz": 3, "date": 3, "boolean": 2}.get(kind, 4)


def told(columns, row):
    """What a reader says, by column, of a row of looks."""
    out, at = {"rows": row[0], "types": [f"{n} {k}" for n, k in columns]}, 1
    for name, kind in columns:
        out[name], at = row[at : at + width(kind)], at + width(kind)
    return out


def plain(v):
    return int(v) if isinstance(v, float) and v.is_integer() else v if v is None or isinstance(v, (int, float, str)) else str(v)


def by_spark(table):
    name = f"h.tables.`{table}`"
    columns = [(f.name, TYPES.get(f.dataType.simpleString(), f.dataType.simpleString())) for f in spark.table(name).schema.fields]
    looked = [looks(k, f"`{n}`", lambda v: f"unix_micros({v})", lambda v: f"unix_date({v})", lambda c: f"size({c})") for n, k in columns]
    row = spark.sql(f"select count(*), {', '.join(looked)} from {name}").collect()[0]
    return told(columns, list(row))


def by_pyiceberg(table, columns):
    data = table.scan().to_arrow()
    row = [data.num_rows]
    for name, kind in columns:
        c = data.column(name)
        n = len(c) - c.null_count
        if kind == "map":
            row += [n, sum(len(chunk.keys) for chunk in c.chunks) if n else None]
            continue
        if kind == "boolean":
            row += [n, pc.sum(c).as_py()]
            continue
        if kind == "timestamptz":
            c = pc.cast(c, "int64")
        if kind == "date":
            c = pc.cast(c, "int32")
        ends = pc.min_max(c).as_py()
        row += [n, ends["min"], ends["max"]]
        if kind == "string":
            row.append(pc.sum(pc.utf8_length(c)).as_py())
        elif kind not in ("timestamptz", "date"):
            row.append(pc.sum(c).as_py())
    return told(columns, row)


def by_duckdb(table, columns):
    """DuckDB is told which files there are, and which columns, by their ids."""
    files = ["webhdfs://" + urlsplit(f.file.file_path).path for f in table.scan().plan_files()]
    fields = ", ".join(
        f"{f.field_id}: {{name: '{f.name}', type: '{DUCK[k]}', default_value: NULL}}"
        for f, (_, k) in zip(table.schema().fields, columns)
    )
    looked = [looks(k, f'"{n}"', lambda v: f"epoch_us({v})", lambda v: f"{v} - date '1970-01-01'", lambda c: f"cardinality({c})") for n, k in columns]
    select = f"select count(*), {', '.join(looked)} from "
    source = f"read_parquet({files}, schema = MAP {{{fields}}})" if files else "(select 1 limit 0)"
    described = duck.execute(f"describe from {source}").fetchall()
    columns = [(d[0], TYPES.get(d[1], d[1])) for d in described]
    return told(columns, list(duck.execute(select + source).fetchone())), select


def read(name):
    root = f"{urlsplit(warehouse).path}/tables/{name}/metadata"
    version = int(hdfs.cat_file(root + "/version-hint.text"))
    while hdfs.exists(f"{root}/v{version + 1}.metadata.json"):  # the hint may lag by one
        version += 1
    table = StaticTable.from_metadata(
        f"{warehouse}/tables/{name}/metadata/v{version}.metadata.json", {"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO"}
    )
    columns = [(f.name, TYPES.get(str(f.field_type), str(f.field_type))) for f in table.schema().fields]
    by_itself, sql = by_duckdb(table, columns)
    return {"sql": sql, "readers": {"PyIceberg": by_pyiceberg(table, columns), "DuckDB": by_itself, "Spark": by_spark(name)}}


print("READY", flush=True)
for line in sys.stdin:
    said = read(line.strip())
    for reader in said["readers"].values():
        for key, value in reader.items():
            reader[key] = [plain(v) for v in value] if isinstance(value, list) else value
    print("READ " + json.dumps(said), flush=True)
spark.stop()
