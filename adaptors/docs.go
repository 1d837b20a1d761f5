package adaptors

import "embed"

// Docs are the READMEs of the kinds' folders, for whoever tells people about
// kinds. The agent does not, and its binary does not hold them.
//
//go:embed */README.md
var Docs embed.FS
