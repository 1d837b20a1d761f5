time,user,action,"size (kB)",note
2026-11-30T10:00:00Z,anna,read,12,"a, b"
2026-11-30T10:00:01Z,bob,write,,
2026-11-30T10:00:02Z,bob,write,7,"of two
lines"
