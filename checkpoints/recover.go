package checkpoints

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/akupara/akupara/disk"
	"golang.org/x/sys/unix"
)

const machineIDPath = "/etc/machine-id"

func open(d disk.Disk, dir, machineID string, log *slog.Logger) (*Store, error) {
	if err := makeDir(d, dir); err != nil {
		return nil, err
	}
	lock, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, log: log, disk: d, lock: lock, minRoll: defaultRoll}
	if err := s.recover(hashOfMachineID(machineID)); err != nil {
		return nil, errors.Join(fmt.Errorf("recover checkpoints in %s: %w", dir, err), lock.Close())
	}
	return s, nil
}

// recover reads the state and begins a new generation.
func (s *Store) recover(machine string) error {
	snapshots, journals, err := s.generations()
	if err != nil {
		return err
	}
	h, err := s.readSnapshots(snapshots)
	if err != nil {
		return err
	}
	s.fresh = h.agent == ""
	base := s.gen
	if h.agent != "" && !slices.Contains(journals, base) {
		s.damaged++
		s.lossy("a journal of the checkpoints is missing", "file", filepath.Join(s.dir, fileName(journalFile, base)))
	}
	for _, gen := range journals {
		s.gen = max(s.gen, gen)
		if gen < base {
			continue
		}
		jh, records, err := s.readJournal(gen, base)
		if err != nil {
			return err
		}
		if records > 0 && !slices.Contains(snapshots, gen) { // it is published before the journal's first record
			s.damaged++
			s.log.Error("a snapshot of the checkpoints is missing; going on with what was kept before it, and all journals",
				"file", filepath.Join(s.dir, fileName(snapshotFile, gen)))
		}
		if h.agent == "" {
			h = jh
		}
	}
	s.gen = slices.Max(append([]uint64{s.gen}, snapshots...))
	if err := s.identify(h, machine); err != nil {
		return err
	}
	return s.roll()
}

// generations lists what there is, and removes what was never finished.
func (s *Store) generations() (snapshots, journals []uint64, err error) {
	names, err := s.list()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, disk.TempExt) {
			if err := s.disk.Remove(filepath.Join(s.dir, name)); err != nil {
				return nil, nil, err
			}
			continue
		}
		switch kind, gen, ok := parseName(name); {
		case ok && kind == snapshotFile:
			snapshots = append(snapshots, gen)
		case ok:
			journals = append(journals, gen)
		}
	}
	slices.Sort(snapshots)
	slices.Sort(journals)
	return snapshots, journals, nil
}

// readSnapshots takes the newest whole snapshot; damaged ones go to
// quarantine.
func (s *Store) readSnapshots(gens []uint64) (head, error) {
	s.st = newState()
	for _, gen := range slices.Backward(gens) {
		name := fileName(snapshotFile, gen)
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil && !errors.Is(err, unix.EISDIR) {
			return head{}, fmt.Errorf("read snapshot: %w", err)
		}
		var st state
		var h head
		if err == nil {
			st, h, err = readSnapshot(data)
		}
		if err == nil && h.gen != gen {
			err = fmt.Errorf("%w: it says that it is generation %d", errTorn, h.gen)
		}
		if errors.Is(err, errNewer) {
			return head{}, fmt.Errorf("%s: %w; use that version, or another directory", name, err)
		}
		if err == nil {
			s.st, s.gen = st, gen
			return h, nil
		}
		if err := s.quarantine(name, err); err != nil {
			return head{}, err
		}
	}
	if len(gens) > 0 {
		s.log.Error("no snapshot of the checkpoints is whole: streams that the journals do not open are read again from their beginning",
			"dir", s.dir)
	}
	return head{}, nil
}

// quarantine moves a damaged file away.
func (s *Store) quarantine(name string, why error) error {
	s.damaged++
	to := s.freeName(name)
	if err := s.disk.Rename(filepath.Join(s.dir, name), to); err != nil {
		return fmt.Errorf("move damaged %s to quarantine: %w", name, err)
	}
	s.log.Error("a damaged checkpoint file was moved to quarantine; going on with what came before it",
		"file", filepath.Join(s.dir, name), "to", to, "error", why)
	return nil
}

// freeName finds a name in quarantine that nothing has yet.
func (s *Store) freeName(name string) string {
	to := filepath.Join(s.dir, quarantineDir, name)
	for n := 1; ; n++ {
		if _, err := os.Lstat(to); err != nil {
			return to
		}
		to = filepath.Join(s.dir, quarantineDir, name+"."+strconv.Itoa(n))
	}
}

// identify settles who the agent is. On another machine than the one that the
// state was made on, the agent gets a new id. Its streams keep theirs: a
// container has another machine-id at each start and goes on with the same
// files. Where two machines go on with copies of one directory, the demux tells
// bytes that differ apart.
func (s *Store) identify(h head, machine string) error {
	s.ids.machine, s.ids.here = machine, machine
	if machine == "" {
		s.ids.machine = h.machine // unknown for now: stays bound to what it was
		s.ids.here, _ = os.Hostname()
	}
	var err error
	if s.ids.nonce, err = randomText(5); err != nil {
		return err
	}
	moved := h.machine != "" && machine != "" && h.machine != machine
	if h.agent != "" && !moved {
		s.ids.agent = h.agent
		return nil
	}
	if s.ids.agent, err = randomText(10); err != nil {
		return err
	}
	if h.agent != "" {
		s.log.Warn("this directory comes from a machine with another machine-id; the agent gets a new id, its streams go on",
			"dir", s.dir, "was", h.agent, "is", s.ids.agent, "streams", len(s.st.streams))
	}
	return nil
}

// idMaker makes the ids of streams: the agent's, a random text made at each
// start, and a count. No start repeats another's ids, whatever was lost of the
// state, and a clone never gives those of its original.
type idMaker struct {
	agent   string
	machine string // hash of the machine-id that the state is bound to
	here    string // the machine we run on: hash of its machine-id, or host name
	nonce   string
	count   atomic.Uint64
}

// next makes a unique id; that of a fork begins with the id of the stream that it
// goes on from.
func (m *idMaker) next(fork string) string {
	n := strconv.FormatUint(m.count.Add(1), 10)
	if fork == "" || len(fork) > maxFork {
		return m.agent + "-" + m.nonce + "-" + n
	}
	return fork + "~" + m.nonce + "-" + n
}

// maxFork bounds the ids of forks of forks: each adds to the one before.
const maxFork = 16 << 10

// derive makes the id of a source that can be told from all others on this
// machine.
func (m *idMaker) derive(kind, dataType, origin string) string {
	h := sha256.New()
	for _, s := range []string{"akupara stream", m.here, kind, dataType, origin} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return base32Text(h.Sum(nil)[:15])
}

func base32Text(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

func randomText(bytes int) (string, error) {
	b := make([]byte, bytes)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return base32Text(b), nil
}

// hashOfMachineID is empty where the machine has no id. The id itself is
// meant to stay on the machine (machine-id(5)).
func hashOfMachineID(path string) string {
	id, err := os.ReadFile(path)
	if text := strings.TrimSpace(string(id)); err == nil && text != "" {
		sum := sha256.Sum256([]byte("akupara " + text))
		return hex.EncodeToString(sum[:16])
	}
	return ""
}
