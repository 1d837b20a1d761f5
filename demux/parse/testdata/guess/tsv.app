time	user	action
2026-11-30T10:00:00Z	anna	read
2026-11-30T10:00:01Z	bob	write
