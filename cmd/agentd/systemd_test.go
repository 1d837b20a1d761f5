package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const unitFile = "../../deploy/systemd/akupara-agent.service"

// unit reads a systemd unit: SECTION.KEY to its values, in their order.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	out, section := map[string][]string{}, ""
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		key, value, isKey := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
		case !isKey || section == "":
			t.Fatalf("%s:%d: %q is neither a section nor a key", name, n, line)
		default:
			out[section+"."+key] = append(out[section+"."+key], value)
		}
	}
	return out
}

func TestTheUnitGivesNoMoreThanTheAgentNeeds(t *testing.T) {
	t.Parallel()
	got := unit(t, unitFile)
	for key, want := range map[string]string{
		"Service.User":                    "akupara-agent",
		"Service.Group":                   "akupara-agent",
		"Service.CapabilityBoundingSet":   "CAP_DAC_READ_SEARCH",
		"Service.AmbientCapabilities":     "CAP_DAC_READ_SEARCH",
		"Service.NoNewPrivileges":         "yes",
		"Service.ProtectSystem":           "strict",
		"Service.ProtectHome":             "read-only",
		"Service.PrivateTmp":              "yes",
		"Service.PrivateDevices":          "yes",
		"Service.ProtectKernelTunables":   "yes",
		"Service.ProtectKernelModules":    "yes",
		"Service.ProtectKernelLogs":       "yes",
		"Service.ProtectControlGroups":    "yes",
		"Service.RestrictNamespaces":      "yes",
		"Service.RestrictSUIDSGID":        "yes",
		"Service.LockPersonality":         "yes",
		"Service.MemoryDenyWriteExecute":  "yes",
		"Service.SystemCallArchitectures": "native",
		"Service.RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
		"Service.StateDirectory":          "akupara-agent",
		"Service.RuntimeDirectory":        "akupara-agent",
		"Service.ExecReload":              "/bin/kill -HUP $MAINPID",
		"Service.ExecStart":               "/usr/bin/agentd --config /etc/akupara/agent.yaml",
		"Service.Restart":                 "always",
		"Install.WantedBy":                "multi-user.target",
	} {
		if !slices.Equal(got[key], []string{want}) {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	for _, key := range []string{"Service.MemoryMax", "Service.MemoryHigh", "Service.TasksMax", "Service.SystemCallFilter", "Service.UMask"} {
		if len(got[key]) == 0 {
			t.Errorf("%s is not given", key)
		}
	}
	sysusers, err := os.ReadFile("../../deploy/systemd/akupara-agent.sysusers")
	if err != nil || !strings.Contains(string(sysusers), "u akupara-agent ") {
		t.Errorf("the unit's user is not made: %v, %s", err, sysusers)
	}
}

func TestSystemdTakesTheUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not here: the keys are checked by the test before")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// The program need not be installed, but there has to be one.
	name := filepath.Join(t.TempDir(), "akupara-agent.service")
	if err := os.WriteFile(name, bytes.Replace(data, []byte("/usr/bin/agentd"), []byte(self), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", name).CombinedOutput(); err != nil || bytes.Contains(out, []byte("akupara-agent")) {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=25", name).CombinedOutput()
	if bytes.Contains(out, []byte("unrecognized option")) {
		t.Log("this systemd-analyze is older than 250")
		return
	}
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}
