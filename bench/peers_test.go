package bench

// Scripts of peers: each reads the log argv[1], and writes Parquet sorted by ts to
// argv[2], with zstd.

const duckdbPrelude = `
import duckdb, sys
db = duckdb.connect()
db.execute("SET TimeZone='UTC'")
db.execute("SET threads=2")
lines = f"read_csv('{sys.argv[1]}', columns={{'line': 'VARCHAR'}}, delim='\x01', quote='', escape='', header=false, auto_detect=false)"
target = f"'{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)"
`

const duckdbJSON = duckdbPrelude + `
db.execute(f"COPY (SELECT * FROM read_json('{sys.argv[1]}', format='newline_delimited') ORDER BY ts) TO {target}")
`

const duckdbAccess = duckdbPrelude + `
pattern = r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) (\S+)" (\d{3}) (\S+) "([^"]*)" "([^"]*)"'
names = "['client', 'ident', 'user', 'time', 'method', 'path', 'protocol', 'status', 'size', 'referer', 'user_agent']"
db.execute(f"""COPY (
  SELECT strptime(g.time, '%d/%b/%Y:%H:%M:%S %z') AS ts, g.client, g.ident, g.user, g.method, g.path, g.protocol,
    g.status::BIGINT AS status, try_cast(g.size AS BIGINT) AS size, g.referer, g.user_agent
  FROM (SELECT regexp_extract(line, '{pattern}', {names}) AS g FROM {lines}) ORDER BY ts) TO {target}""")
`

const polarsAccess = `
import os, sys
os.environ["POLARS_MAX_THREADS"] = "2"
import polars as pl
pattern = r'^(?<client>\S+) (?<ident>\S+) (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>\S+) (?<path>\S+) (?<protocol>\S+)" (?<status>\d{3}) (?<size>\S+) "(?<referer>[^"]*)" "(?<user_agent>[^"]*)"'
(pl.scan_csv(sys.argv[1], has_header=False, separator="\x01", quote_char=None, new_columns=["line"])
  .select(pl.col("line").str.extract_groups(pattern)).unnest("line")
  .with_columns(pl.col("time").str.to_datetime("%d/%b/%Y:%H:%M:%S %z").alias("ts"), pl.col("status").cast(pl.Int64), pl.col("size").cast(pl.Int64, strict=False))
  .drop("time").sort("ts").collect().write_parquet(sys.argv[2], compression="zstd"))
`

const duckdbLog4j = duckdbPrelude + `
pattern = r'(?s)^(\S+ \S+) (\S+) +\[([^\]]*)\] (\S+): (.*)'
db.execute(f"""COPY (
  WITH numbered AS (SELECT row_number() OVER () AS n, line FROM {lines}),
    recs AS (SELECT n, line, sum((line[1:2] = '20')::INT) OVER (ORDER BY n) AS rec FROM numbered),
    whole AS (SELECT string_agg(line, chr(10) ORDER BY n) AS text FROM recs GROUP BY rec)
  SELECT strptime(g.time, '%Y-%m-%d %H:%M:%S,%g') AS ts, g.level, g.thread, g.logger, g.message
  FROM (SELECT regexp_extract(text, '{pattern}', ['time', 'level', 'thread', 'logger', 'message']) AS g FROM whole) ORDER BY ts) TO {target}""")
`

const sparkLog4j = `
import sys
from pyspark.sql import SparkSession, functions as f
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
  .config("spark.driver.memory", "3g").config("spark.sql.shuffle.partitions", "2").getOrCreate())
pattern = r'(?s)^(\S+ \S+) (\S+) +\[([^\]]*)\] (\S+): (.*)'
recs = spark.read.text(sys.argv[1], lineSep="\n2026-")
text = f.when(f.col("value").startswith("2026-"), f.col("value")).otherwise(f.concat(f.lit("2026-"), f.col("value")))
group = lambda i: f.regexp_extract("text", pattern, i)
(recs.select(text.alias("text"))
  .select(f.to_timestamp(group(1), "yyyy-MM-dd HH:mm:ss,SSS").alias("ts"), group(2).alias("level"), group(3).alias("thread"), group(4).alias("logger"), group(5).alias("message"))
  .orderBy("ts").write.mode("overwrite").option("compression", "zstd").parquet(sys.argv[2]))
gateway = spark.sparkContext._gateway
spark.stop()
gateway.shutdown()
gateway.proc.stdin.close()
gateway.proc.wait()
`

// duckdbCopy writes the rows of a table's data files, argv[1] a pattern of their
// paths, in the order that they have.
const duckdbCopy = `
import duckdb, sys
db = duckdb.connect()
db.execute("SET threads=2")
db.execute(f"COPY (SELECT * FROM read_parquet('{sys.argv[1]}', hive_partitioning=false) ORDER BY ts, seq) TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)")
`
