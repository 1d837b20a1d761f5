// Command testsum reads the output of go test -json and prints what a person
// wants to see of it: a line for each package as go test prints it, all of the
// output of what failed, and in the end every skipped test with its reason. It
// exits with 1 when a test failed, or with CI set when one was skipped for
// want of something that CI must have.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

func main() { os.Exit(run(os.Stdin, os.Stdout, os.Getenv("CI") != "")) }

func run(in io.Reader, out io.Writer, ci bool) int {
	output := map[string]*strings.Builder{} // of tests and packages not done yet
	var skipped []string
	passed, failed := 0, 0
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(out, "%s", line) // go test's own words, not a test's
				continue
			}
			key := e.Package + e.ImportPath + " " + e.Test
			switch e.Action {
			case "output", "build-output":
				if output[key] == nil {
					output[key] = &strings.Builder{}
				}
				output[key].WriteString(e.Output)
				if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL\t") || e.Action == "build-output") {
					fmt.Fprint(out, e.Output)
				}
			case "fail":
				failed++
				if b := output[key]; b != nil {
					fmt.Fprintf(out, "\n==== FAILED: %s\n%s====\n", key, b)
				}
			case "skip":
				if e.Test != "" {
					skipped = append(skipped, reason(e, output[key]))
				}
			case "pass":
				if e.Test != "" {
					passed++
				}
			}
			if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
				delete(output, key)
			}
		}
		if err != nil {
			break
		}
	}
	for _, s := range skipped {
		fmt.Fprintln(out, "**** SKIPPED:", s)
	}
	fmt.Fprintf(out, "%d tests passed, %d failed, %d skipped\n", passed, failed, len(skipped))
	if failed > 0 || passed == 0 {
		return 1
	}
	if ci && len(skipped) > 0 {
		fmt.Fprintln(out, "CI skips no tests")
		return 1
	}
	return 0
}

// reason is the test's name and what it said when it skipped.
func reason(e event, said *strings.Builder) string {
	why := ""
	if said != nil {
		for _, line := range strings.Split(said.String(), "\n") {
			if l := strings.TrimSpace(line); l != "" && !strings.HasPrefix(l, "===") && !strings.HasPrefix(l, "---") {
				why += " " + l
			}
		}
	}
	return strings.TrimPrefix(e.Package, "github.com/akupara/akupara/") + "." + e.Test + ":" + why
}
