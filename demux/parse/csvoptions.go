package parse

import (
	"errors"

	"github.com/akupara/akupara/config"
)

type csvOptions struct {
	Delimiter string `config:"delimiter"`
	// Header says whether a stream's first record names the columns.
	Header choice `config:"header"`
	// Quotes says whether fields may stand in quotes.
	Quotes bool `config:"quotes"`
	// Fields are names of columns, in their order. Without them those that the type's
	// section declares under columns are.
	Fields []string `config:"fields"`

	columns []string
}

// choice is true, false, or auto.
type choice uint8

const (
	auto choice = iota
	yes
	no
)

// Want implements config.Wanter.
func (choice) Want() string { return "auto, true or false" }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *choice) UnmarshalText(text []byte) error {
	switch string(text) {
	case "auto":
		*c = auto
	case "true":
		*c = yes
	case "false":
		*c = no
	default:
		return errors.New("it is another word")
	}
	return nil
}

// takesNames implements namer.
func (*csvOptions) takesNames() {}

// Validate implements config.Validator: it reads the section's columns.
func (o *csvOptions) Validate(n config.Node) (problems config.Problems) {
	columns := n.Get("columns")
	for _, item := range columns.Items() {
		if item.Text() == "" {
			problems = append(problems, item.Problemf("want the name of a column"))
		}
		o.columns = append(o.columns, item.Text())
	}
	for _, f := range columns.Fields() {
		o.columns = append(o.columns, f.Key)
	}
	return problems
}
