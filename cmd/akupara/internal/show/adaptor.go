package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/agentd/client"
	"go.yaml.in/yaml/v3"
)

// maxPositions is how many sources an agent lists of one adaptor.
const maxPositions = 1000

// Adaptors writes a row for each adaptor.
func Adaptors(w io.Writer, list []client.Adaptor, cells int) error {
	t := Table{Columns: []Column{
		{Name: "name", Flex: 1}, {Name: "kind", Drop: 6}, {Name: "type", Flex: 2, Drop: 2}, {Name: "state"},
		{Name: "lag", Right: true}, {Name: "behind", Right: true, Drop: 4}, {Name: "rate 1m", Right: true, Drop: 3},
		{Name: "position", Right: true, Drop: 5}, {Name: "last error", Flex: 3, Drop: 1},
	}}
	for _, a := range list {
		t.Rows = append(t.Rows, []string{
			a.Name, a.Kind, a.Type, a.State, Bytes(float64(a.LagBytes)), Seconds(a.LagSeconds),
			Bytes(a.Rates.Bytes.OneMinute) + "/s", position(a), a.LastError,
		})
	}
	return t.Write(w, cells)
}

// position is how much of an adaptor's one source is settled, or how many there
// are.
func position(a client.Adaptor) string {
	switch n := len(a.Position); n {
	case 0:
		return "-"
	case 1:
		return Bytes(float64(a.Position[0].Settled))
	case maxPositions:
		return fmt.Sprintf("%d+ sources", n)
	default:
		return plural(int64(n), "source", "sources")
	}
}

// Line is one adaptor in a sentence, after something was done to it.
func Line(a client.Adaptor) string {
	s := a.Kind
	if a.Type != "" {
		s += ", type " + a.Type
	}
	s += ": " + a.State
	if a.LastError != "" && a.State == "failed" {
		s += ": " + a.LastError
	}
	return Clean(s)
}

// Adaptor writes all that there is about one adaptor.
func Adaptor(w io.Writer, a client.Adaptor, cells int) error {
	var b bytes.Buffer
	field := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", name, Clean(fmt.Sprintf(format, args...)))
	}
	field("name", "%s", a.Name)
	field("kind", "%s", a.Kind)
	field("type", "%s", a.Type)
	field("state", "%s", a.State)
	origin := map[string]string{"config": "the config", "rest": "added while the agent ran"}[a.Origin]
	if origin == "" {
		origin = a.Origin
	}
	field("from", "%s, generation %d", origin, a.Generation)
	field("delivery", "%s", a.Delivery)
	if a.Persona != "" {
		field("persona", "%s", a.Persona)
	}
	field("lag", "%s not settled, %s behind", Bytes(float64(a.LagBytes)), Seconds(a.LagSeconds))
	r := a.Rates
	field("bytes/s", "%s now; %s, %s, %s over 1, 5, 15 minutes",
		Bytes(a.Rate), Bytes(r.Bytes.OneMinute), Bytes(r.Bytes.FiveMinutes), Bytes(r.Bytes.FifteenMinutes))
	field("records/s", "%s, %s, %s over 1, 5, 15 minutes",
		Number(r.Records.OneMinute), Number(r.Records.FiveMinutes), Number(r.Records.FifteenMinutes))
	field("dropped", "%s, %s", plural(a.Dropped.Records, "record", "records"), Bytes(float64(a.Dropped.Bytes)))
	for _, reason := range slices.Sorted(maps.Keys(a.Dropped.Reasons)) {
		c := a.Dropped.Reasons[reason]
		field("", "%s: %s, %s", reason, plural(c.Records, "record", "records"), Bytes(float64(c.Bytes)))
	}
	switch {
	case a.LastError == "":
		field("last error", "none")
	case a.LastErrorAt != nil:
		field("last error", "%s: %s", a.LastErrorAt.Local().Format(time.DateTime), a.LastError)
	default:
		field("last error", "%s", a.LastError)
	}
	writeEntry(&b, a.Entry)
	if err := positions(&b, a, cells); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeEntry writes an entry as YAML.
func writeEntry(b *bytes.Buffer, entry json.RawMessage) {
	if len(entry) == 0 {
		return
	}
	// JSON is YAML: its nodes keep the order of the keys.
	var doc yaml.Node
	if yaml.Unmarshal(entry, &doc) != nil {
		fmt.Fprintf(b, "\nentry\n    %s\n", Clean(string(entry)))
		return
	}
	block(&doc)
	text, err := yaml.Marshal(&doc)
	if err != nil {
		fmt.Fprintf(b, "\nentry\n    %s\n", Clean(string(entry)))
		return
	}
	fmt.Fprintf(b, "\nentry\n")
	for line := range strings.Lines(string(text)) {
		fmt.Fprintf(b, "    %s\n", Clean(strings.TrimRight(line, "\n")))
	}
}

// block has a node written in lines instead of braces.
func block(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		block(c)
	}
}

func positions(b *bytes.Buffer, a client.Adaptor, cells int) error {
	if len(a.Position) > 0 {
		t := Table{Columns: []Column{
			{Name: "source", Flex: 1}, {Name: "settled", Right: true}, {Name: "read", Right: true, Drop: 2},
			{Name: "size", Right: true}, {Name: "stream", Drop: 1},
		}}
		for _, p := range a.Position {
			t.Rows = append(t.Rows, []string{p.Path, fmt.Sprint(p.Settled), fmt.Sprint(p.Read), fmt.Sprint(p.Size), p.Stream})
		}
		b.WriteByte('\n')
		if err := t.Write(b, cells); err != nil {
			return err
		}
		if len(a.Position) == maxPositions {
			fmt.Fprintf(b, "(the %d with most lag; \"akupara streams\" pages through all)\n", maxPositions)
		}
	}
	if len(a.Skipped) > 0 {
		t := Table{Columns: []Column{{Name: "not read", Flex: 1}, {Name: "why", Flex: 1}}}
		for _, s := range a.Skipped {
			t.Rows = append(t.Rows, []string{s.Path, s.Reason})
		}
		b.WriteByte('\n')
		return t.Write(b, cells)
	}
	return nil
}
