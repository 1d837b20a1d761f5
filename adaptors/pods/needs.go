package pods

import "github.com/akupara/akupara/adaptors"

// Needs implements adaptors.Needer. The kind can't be bound to folders
// (adaptors.Rooter): with Docker, logs are links to wherever its data lies, so
// that it is added in the config alone. Switches and reload change what it
// collects while it runs.
func (c *Config) Needs() []adaptors.Need {
	needs := []adaptors.Need{{What: adaptors.File, Value: c.Root + "/**"}}
	for _, path := range []string{c.Metadata.TokenFile, c.Metadata.CAFile} {
		if path != "" {
			needs = append(needs, adaptors.Need{What: adaptors.File, Value: path})
		}
	}
	if c.Metadata.URL != "" {
		needs = append(needs, adaptors.Need{What: adaptors.URL, Value: c.Metadata.URL})
	}
	return needs
}
