package agentd_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectortest"
)

// Whatever people do to an adaptor while its file grows and a collector loses
// things, all of the file comes, as one stream that contradicts itself nowhere.
func TestControlLosesNothing(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	section := func(tag int) string {
		return fmt.Sprintf("resend_after: 1s\nallow_paths: [%s]\nadaptors:\n - {name: log, kind: tail, type: app, paths: [%s], rescan: 50ms, tags: {v: '%d'}}\n", dir, path, tag)
	}
	a := startFile(t, dir, section(0), c.URL)
	n := 0
	grow := func(r *rand.Rand) {
		from := n
		n += 1 + r.IntN(500)
		write(t, path, lines(from, n))
	}
	var wg sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	people := func(number uint64, ops ...func(r *rand.Rand)) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, number))
			for time.Now().Before(end) {
				ops[r.IntN(len(ops))](r)
				time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
			}
		})
	}
	ok := func(method, path, body string, also ...int) {
		status, answer := a.do(method, path, body)
		for _, s := range also {
			if status == s {
				return
			}
		}
		if status >= 300 {
			t.Errorf("%s %s %s: status %d: %s", method, path, body, status, answer)
		}
	}
	people(1, grow, func(*rand.Rand) { c.Settle() }, func(*rand.Rand) { c.Lose() })
	people(2,
		func(*rand.Rand) { ok("POST", "/v1/adaptors/log/stop", "") },
		func(*rand.Rand) { ok("POST", "/v1/adaptors/log/start", "") },
		func(r *rand.Rand) {
			ok("POST", "/v1/adaptors/log/rewind", fmt.Sprintf(`{"all": true, "offset": %d}`, r.IntN(20_000)))
		},
		func(r *rand.Rand) {
			ok("PUT", "/v1/adaptors/log", fmt.Sprintf(`{"name": "log", "kind": "tail", "type": "app", "paths": ["%s"], "rescan": "50ms", "tags": {"v": "rest %d"}}`, path, r.IntN(3)))
		},
		func(*rand.Rand) { ok("DELETE", "/v1/adaptors/log", "", 409) },
	)
	people(3,
		func(r *rand.Rand) {
			a.write(a.base + section(r.IntN(3)))
			ok("POST", "/v1/config/reload", "")
		},
		func(*rand.Rand) { ok("POST", "/v1/drain", `{"timeout": "20ms"}`) },
		func(*rand.Rand) { ok("DELETE", "/v1/drain", "") },
		func(*rand.Rand) { ok("GET", "/v1/adaptors", "") },
		func(*rand.Rand) { ok("GET", "/v1/streams", "") },
	)
	wg.Wait()
	ok("DELETE", "/v1/drain", "")
	ok("POST", "/v1/adaptors/log/start", "")
	c.SettleAll(true)
	c.Settle()
	whole := holds(t, "app", lines(0, n))
	c.Wait("the whole file", whole)
	a.wait("log", "settled", settled)
	if !whole(c.Published()) {
		t.Errorf("all is settled, and not all is published")
	}
	if strings.Contains(a.log.String(), "panic") {
		t.Errorf("something panicked:\n%s", a.log)
	}
}
