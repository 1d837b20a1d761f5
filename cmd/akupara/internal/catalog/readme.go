package catalog

import (
	"io/fs"
	"strings"
)

// Readme is what the kind's folder says of it, "" where there is none. docs are
// adaptors.Docs.
func Readme(docs fs.FS, kind string) string {
	text, err := fs.ReadFile(docs, strings.ReplaceAll(kind, "_", "")+"/README.md")
	if err != nil {
		return ""
	}
	return string(text)
}

// Example is the first yaml block of a README: a list of entries.
func Example(readme string) string {
	_, rest, _ := strings.Cut(readme, "```yaml\n")
	block, _, closed := strings.Cut(rest, "```")
	if !closed {
		return ""
	}
	return block
}
