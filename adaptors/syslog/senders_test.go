package syslog

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/adaptortest"
)

// Senders as people have them. Each is tried where it is installed.
func TestRealSendersAreUnderstood(t *testing.T) {
	dir := t.TempDir()
	out := &sink{}
	a, _ := run(t, decode(t, "listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0', 'unix:"+dir+"/log']"), out)
	_, udp, _ := net.SplitHostPort(at(a, 0))
	_, tcp, _ := net.SplitHostPort(at(a, 1))
	count := 0
	if logger, err := exec.LookPath("logger"); err == nil {
		for name, args := range map[string][]string{
			"udp":     {"-d", "-n", "127.0.0.1", "-P", udp},
			"tcp":     {"-T", "-n", "127.0.0.1", "-P", tcp},
			"counted": {"-T", "-n", "127.0.0.1", "-P", tcp, "--octet-count"},
			"rfc3164": {"-T", "-n", "127.0.0.1", "-P", tcp, "--rfc3164"},
			"unix":    {"-u", dir + "/log"},
		} {
			t.Run("logger/"+name, func(t *testing.T) {
				text := "from logger by " + name
				said, err := exec.Command(logger, append(args, "-p", "auth.err", "-t", "tester", text)...).CombinedOutput()
				if err != nil {
					t.Fatalf("logger: %v: %s", err, said)
				}
				count++
				all := out.wait(t, count)
				got := all[len(all)-1].text
				if !strings.HasPrefix(got, "<35>") || !strings.HasSuffix(got, text) {
					t.Errorf("got %q, want a priority and the text", got)
				}
			})
		}
	}
	if rsyslogd, err := exec.LookPath("rsyslogd"); err == nil {
		for _, framing := range []string{"traditional", "octet-counted"} {
			t.Run("rsyslogd/"+framing, func(t *testing.T) {
				count += throughRsyslogd(t, rsyslogd, tcp, framing, out, count)
			})
		}
	}
}

// throughRsyslogd writes messages to an rsyslogd that forwards them.
func throughRsyslogd(t *testing.T, rsyslogd, port, framing string, out *sink, before int) int {
	dir := t.TempDir()
	conf := fmt.Sprintf(`
global(workDirectory="%[1]s")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="%[1]s/in" RateLimit.Interval="0")
action(type="omfwd" target="127.0.0.1" port="%[2]s" protocol="tcp" TCP_Framing="%[3]s" template="RSYSLOG_SyslogProtocol23Format")
`, dir, port, framing)
	if err := os.WriteFile(dir+"/conf", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(rsyslogd, "-n", "-f", dir+"/conf", "-i", dir+"/pid")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "rsyslogd listens", func() bool {
		conn, err := net.Dial("unixgram", dir+"/in")
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	conn := dial(t, "unixgram", dir+"/in")
	const n = 500
	for i := range n {
		say(t, conn, fmt.Sprintf("<35>Mar  1 10:00:00 tester[7]: message %d by %s", i, framing))
	}
	got := out.wait(t, before+n)[before:]
	for i, m := range got {
		if !strings.HasPrefix(m.text, "<35>1 ") || !strings.HasSuffix(strings.TrimSpace(m.text), fmt.Sprintf("message %d by %s", i, framing)) {
			t.Fatalf("message %d is %q", i, m.text)
		}
	}
	return n
}

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.key, a.cert, a.pem = a.sign("authority", nil)
	return a
}

var serial int64

func (a *authority) sign(name string, by *authority) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: by == nil, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// write puts a certificate and its key into files.
func (a *authority) write(dir, name string) tls.Certificate {
	a.t.Helper()
	key, _, certPEM := a.sign(name, a)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	for path, b := range map[string][]byte{name + ".crt": certPEM, name + ".key": keyPEM, "ca.crt": a.pem} {
		if err := os.WriteFile(filepath.Join(dir, path), b, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func TestTLSTakesMessagesOfClientsWithACertificateAlone(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	ca.write(dir, "server")
	client := ca.write(dir, "client")
	out := &sink{}
	a, _ := run(t, decode(t, fmt.Sprintf("listen: ['tls://127.0.0.1:0']\ntls: {cert: %[1]s/server.crt, key: %[1]s/server.key, client_ca: %[1]s/ca.crt}", dir)), out)
	conn, err := tls.Dial("tcp", at(a, 0), &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{client}})
	if err != nil {
		t.Fatal(err)
	}
	say(t, conn, "8 <13>good")
	_ = conn.Close()
	if got := out.wait(t, 1)[0]; got != (message{"syslog", "127.0.0.1", "tls", "", "<13>good"}) {
		t.Errorf("got %q", got)
	}
	if bare, err := tls.Dial("tcp", at(a, 0), &tls.Config{RootCAs: ca.pool()}); err == nil { // TLS 1.3 tells it later
		_, _ = bare.Write([]byte("7 <13>bad"))
		_ = bare.Close()
	}
	eventually(t, "it is told", func() bool {
		s := a.Status().Skipped
		return len(s) == 1 && strings.Contains(s[0].Reason, "1 TLS handshakes failed") && strings.Contains(s[0].Reason, "127.0.0.1")
	})
	out.wait(t, 1)
}

func TestCertificateThatIsReplacedIsUsedByTheNextConnection(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	ca.write(dir, "server")
	a, _ := run(t, decode(t, fmt.Sprintf("listen: ['tls://127.0.0.1:0']\ntls: {cert: %[1]s/server.crt, key: %[1]s/server.key}", dir)), &sink{})
	shown := func() string {
		conn, err := tls.Dial("tcp", at(a, 0), &tls.Config{RootCAs: ca.pool()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := shown()
	eventually(t, "the new one is shown", func() bool {
		ca.write(dir, "server") // a file's time may be coarse
		return shown() != before
	})
}

func TestExampleOfTheReadme(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	ca.write(dir, "server")
	cfg := adaptortest.Example(t, Kind(), "0.0.0.0:514", "127.0.0.1:0", "0.0.0.0:6514", "127.0.0.1:0", "/etc/akupara/", dir+"/").(*Config)
	out := &sink{}
	a, _ := run(t, cfg, out)
	say(t, dial(t, "udp", at(a, 0)), "<35>Mar  1 10:00:00 host sshd[7]: a")
	say(t, dial(t, "tcp", at(a, 1)), "<13>b\n")
	conn, err := tls.Dial("tcp", at(a, 2), &tls.Config{RootCAs: ca.pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say(t, conn, "5 <37>c")
	types := map[string]string{}
	for _, m := range out.wait(t, 3) {
		types[m.transport] = m.typ
	}
	if types["udp"] != "auth_errors" || types["tcp"] != "syslog" || types["tls"] != "auth" {
		t.Errorf("types %v, want those of the rules", types)
	}
}
