{"time":"2026-11-22T21:09:57Z","level":"info","msg":"hello","user":{"id":1}}
{"time":"2026-11-22T21:09:58Z","level":"info","msg":"hello"}
{"no":"time"}
{"time":"2026-11-22T21:09:59Z","msg":"x"}
