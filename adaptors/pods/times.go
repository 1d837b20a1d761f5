package pods

import (
	"time"
)

// times are the waits that tests shorten.
type times struct {
	settle   time.Duration // a rotated file that may still be written to is still for so long before the next one is read
	still    time.Duration // the same for a deleted one, where nobody can tell who has it open
	linger   time.Duration // a deleted file that somebody has open is given up
	missing  time.Duration // a container whose files are not found for so long counts as deleted
	unseen   time.Duration // a file that is found under no name for so long counts as lost
	retry    time.Duration // after an error with one container
	poll     time.Duration // between scans when folders can't be watched
	throttle time.Duration // between looks at the watcher's events
	metadata time.Duration // an unknown pod's first chunk waits for its metadata
}

func defaultTimes() times {
	return times{
		settle: 500 * time.Millisecond, still: 5 * time.Second, linger: 10 * time.Minute,
		missing: time.Minute, unseen: 3 * time.Second, retry: time.Second,
		poll: time.Second, throttle: 5 * time.Millisecond, metadata: 2 * time.Second,
	}
}
