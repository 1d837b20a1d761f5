package show

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/agentd/client"
)

// Streams writes a row for each stream of a page, and says what is beyond it.
func Streams(w io.Writer, s client.Streams, offset, cells int) error {
	t := Table{Columns: []Column{
		{Name: "adaptor"}, {Name: "source", Flex: 1}, {Name: "settled", Right: true}, {Name: "read", Right: true, Drop: 2},
		{Name: "size", Right: true}, {Name: "is", Drop: 3}, {Name: "stream", Drop: 1},
	}}
	for _, x := range s.Streams {
		is := "away"
		switch {
		case x.Live:
			is = "live"
		case x.Ended:
			is = "ended"
		}
		t.Rows = append(t.Rows, []string{x.Adaptor, x.Source, fmt.Sprint(x.Settled), fmt.Sprint(x.Read), fmt.Sprint(x.Size), is, x.Stream})
	}
	if err := t.Write(w, cells); err != nil {
		return err
	}
	if n := len(s.Streams); n < s.Total {
		_, err := fmt.Fprintf(w, "(%d to %d of %d; --offset %d shows the next)\n", min(offset+1, s.Total), offset+n, s.Total, offset+n)
		return err
	}
	return nil
}

// Switches writes a row for each switch.
func Switches(w io.Writer, list []client.Switch, cells int) error {
	t := Table{Columns: []Column{
		{Name: "name"}, {Name: "switch", Flex: 1}, {Name: "from", Drop: 2},
		{Name: "dropped", Right: true}, {Name: "records", Right: true, Drop: 1},
	}}
	for _, s := range list {
		t.Rows = append(t.Rows, []string{
			s.Name, strings.Join(keys("", s.Rest), " "), s.Origin, Bytes(float64(s.DroppedBytes)), fmt.Sprint(s.DroppedRecords),
		})
	}
	return t.Write(w, cells)
}

// keys writes what is set of a mapping, with what is set within it:
// label.app=web. prefix stands before each key.
func keys(prefix string, m map[string]any) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		switch v := m[k].(type) {
		case nil:
		case map[string]any:
			out = append(out, keys(prefix+k+".", v)...)
		case []any:
			parts := make([]string, len(v))
			for i := range v {
				parts[i] = fmt.Sprint(v[i])
			}
			out = append(out, prefix+k+"=["+strings.Join(parts, ", ")+"]")
		default:
			out = append(out, fmt.Sprintf("%s%s=%v", prefix, k, v))
		}
	}
	return out
}

// Reloaded says what a reload did.
func Reloaded(w io.Writer, c client.Config) error {
	hash := c.Hash[:min(len(c.Hash), 12)]
	_, err := fmt.Fprintf(w, "generation %d, hash %s, applied %s, from %s\n",
		c.Generation, Clean(hash), c.AppliedAt.Local().Format(time.DateTime), Clean(c.Source))
	if err != nil || c.Changed == nil {
		return err
	}
	ch, said := c.Changed, false
	for _, x := range []struct {
		what  string
		names []string
	}{{"added", ch.Added}, {"removed", ch.Removed}, {"changed", ch.Changed}, {"applied", ch.Applied}} {
		if len(x.names) > 0 {
			said = true
			if _, err := fmt.Fprintf(w, "%-8s %s\n", x.what, Clean(strings.Join(x.names, ", "))); err != nil {
				return err
			}
		}
	}
	if !said {
		_, err = fmt.Fprintln(w, "nothing changed in the section agent")
	}
	return err
}

// Drained says what is left on its way.
func Drained(w io.Writer, d client.Drain, cells int) error {
	state := "reading goes on"
	if d.Draining {
		state = "reading is held"
	}
	left := "all that was read is settled"
	if !d.Settled {
		left = Bytes(float64(d.LeftBytes)) + " that were read are not settled yet"
	}
	waited := ""
	if d.WaitedSeconds > 0 {
		waited = ", after " + Seconds(d.WaitedSeconds)
	}
	if _, err := fmt.Fprintf(w, "%s; %s%s; %s in sources are not read\n", state, left, waited, Bytes(float64(d.UnreadBytes))); err != nil {
		return err
	}
	if len(d.Adaptors) == 0 {
		return nil
	}
	t := Table{Columns: []Column{{Name: "adaptor"}, {Name: "not settled", Right: true}, {Name: "not read", Right: true, Drop: 1}}}
	for _, a := range d.Adaptors {
		t.Rows = append(t.Rows, []string{a.Name, Bytes(float64(a.LeftBytes)), Bytes(float64(a.UnreadBytes))})
	}
	return t.Write(w, cells)
}

// Rewound says which streams were set back, and which were not.
func Rewound(w io.Writer, r client.Rewound, cells int) error {
	if len(r.Rewound) == 0 {
		if _, err := fmt.Fprintf(w, "no stream of %s was set back\n", Clean(r.Adaptor)); err != nil {
			return err
		}
	} else {
		t := Table{Columns: []Column{
			{Name: "source", Flex: 1}, {Name: "from", Right: true}, {Name: "back to", Right: true}, {Name: "stream", Drop: 1},
		}}
		for _, x := range r.Rewound {
			t.Rows = append(t.Rows, []string{x.Path, fmt.Sprint(x.From), fmt.Sprint(x.To), x.Stream})
		}
		if err := t.Write(w, cells); err != nil {
			return err
		}
	}
	if len(r.Left) == 0 {
		return nil
	}
	t := Table{Columns: []Column{{Name: "left as it is", Flex: 1}, {Name: "why", Flex: 1}, {Name: "stream", Drop: 1}}}
	for _, x := range r.Left {
		t.Rows = append(t.Rows, []string{x.Path, x.Reason, x.Stream})
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return t.Write(w, cells)
}
