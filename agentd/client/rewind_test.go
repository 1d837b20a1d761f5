package client_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/akupara/akupara/agentd/client"
)

// A stream may begin above 0: its beginning is not offset 0.
func TestRewindWithoutAnOffsetIsToTheBeginning(t *testing.T) {
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = string(body)
		_, _ = io.WriteString(w, `{}`)
	}))
	defer s.Close()
	c := open(t, client.Options{Address: s.URL})
	offset := int64(0)
	for want, r := range map[string]client.Rewind{
		`{"all":true}`:            {All: true},
		`{"all":true,"offset":0}`: {All: true, Offset: &offset},
	} {
		if _, err := c.Rewind(context.Background(), "x", r); err != nil || asked != want {
			t.Errorf("asked %s, %v; want %s", asked, err, want)
		}
	}
}
