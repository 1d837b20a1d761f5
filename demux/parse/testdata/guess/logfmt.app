ts=2026-02-28T10:00:00.5Z level=warn msg="disk \"sda\" is\tfull" size=4096 ratio=0.25 ok=true retry
time="2026-02-28T10:00:01Z" level=error msg=plain caller=main.go:12 size=big empty= took=1.5ms
level=info msg="no time" n=1
level=info ts=2026-02-28T10:00:02Z caller=head.go:613 component=tsdb msg="WAL segment loaded" segment=0 maxSegment=1
