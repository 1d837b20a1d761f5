"""Reads tables with Spark through a Hadoop catalog over the store.

    spark.py ICEBERG_JAR WAREHOUSE_URI SQL...

The SQL sees a table as h.tables.TYPE. Prints, for each SQL, its rows as one
JSON array of arrays on a line.
"""

import json
import sys

from pyspark.sql import SparkSession

jar, warehouse, *statements = sys.argv[1:]
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
    .config("spark.sql.catalog.h.warehouse", warehouse)
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
for sql in statements:
    rows = [list(r) for r in spark.sql(sql).collect()]
    print("ROWS " + json.dumps(rows, default=str))
spark.stop()
