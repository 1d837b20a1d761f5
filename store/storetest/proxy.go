package storetest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and its servers and breaks what passes. Its
// Dial is the client's; each address is reached through a relay over real TCP.
// Rules are for one address, or for all but those with their own by Any.
type Proxy struct {
	t testing.TB

	mu      sync.Mutex
	changed *sync.Cond
	relays  map[string]*relay
	rules   map[string]*rule
	conns   map[*link]struct{}
	counts  map[string]int // of requests, by word
	closed  bool
}

// Any is every address that has no rule of its own.
const Any = "*"

type rule struct {
	stall        bool     // nothing passes
	stallReplies bool     // requests pass
	refuse       bool     // connections are closed at once
	refuseAt     [][]byte // words of requests at which the connection breaks
	deliver      bool     // the request is delivered before that
	once         bool
	left         int64 // bytes of requests until the connection breaks; 0: no limit
	hits         int
}

type relay struct {
	listener net.Listener
	target   string
}

// link is one connection, as its two ends.
type link struct{ client, server net.Conn }

func (l *link) close() { l.client.Close(); l.server.Close() }

// NewProxy starts without rules; everything passes. It ends with the test.
func NewProxy(t testing.TB) *Proxy {
	p := &Proxy{t: t, relays: map[string]*relay{}, rules: map[string]*rule{}, conns: map[*link]struct{}{}, counts: map[string]int{}}
	p.changed = sync.NewCond(&p.mu)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		for _, r := range p.relays {
			r.listener.Close()
		}
		for l := range p.conns {
			l.close()
		}
		p.changed.Broadcast()
		p.mu.Unlock()
	})
	return p
}

// Dial connects to address through the proxy.
func (p *Proxy) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	r := p.relays[address]
	if r == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			p.mu.Unlock()
			return nil, err
		}
		r = &relay{listener: l, target: address}
		p.relays[address] = r
		go p.serve(r)
	}
	p.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, "tcp", r.listener.Addr().String())
}

// Stall lets connections be made and nothing pass, as of a stopped process.
func (p *Proxy) Stall(address string) { p.set(address, &rule{stall: true}) }

// StallReplies lets requests pass and withholds what is answered.
func (p *Proxy) StallReplies(address string) { p.set(address, &rule{stallReplies: true}) }

// Break closes all connections and each new one, as of a killed process.
func (p *Proxy) Break(address string) {
	p.set(address, &rule{refuse: true})
	p.cut(address)
}

// BreakAfter closes each connection after n more bytes of requests.
func (p *Proxy) BreakAfter(address string, n int64) { p.set(address, &rule{left: n}) }

// LoseReply delivers the next request that contains word, waits for the answer,
// and breaks the connection instead of passing it on.
func (p *Proxy) LoseReply(address, word string) {
	p.set(address, &rule{refuseAt: [][]byte{[]byte(word)}, deliver: true, once: true})
}

// BreakOn breaks the connection at each request that contains one of words,
// which is not delivered.
func (p *Proxy) BreakOn(address string, words ...string) {
	r := &rule{}
	for _, w := range words {
		r.refuseAt = append(r.refuseAt, []byte(w))
	}
	p.set(address, r)
}

// Pass ends the address's rule; what was withheld goes on.
func (p *Proxy) Pass(address string) { p.set(address, nil) }

// Hits is how often the address's present rule has broken a connection.
func (p *Proxy) Hits(address string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.rules[address]; r != nil {
		return r.hits
	}
	return 0
}

// Count starts to count the requests that contain word, or tells how many there
// were since.
func (p *Proxy) Count(word string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.counts[word]
	p.counts[word] = n
	return n
}

// Addresses lists what was dialled so far.
func (p *Proxy) Addresses() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for a := range p.relays {
		all = append(all, a)
	}
	return all
}

func (p *Proxy) set(address string, r *rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r == nil {
		delete(p.rules, address)
	} else {
		p.rules[address] = r
	}
	p.changed.Broadcast()
}

func (p *Proxy) cut(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.conns {
		if address == Any || l.server.RemoteAddr().String() == address {
			l.close()
		}
	}
}

// rule is the rule for target; p.mu is held.
func (p *Proxy) rule(target string) *rule {
	if r := p.rules[target]; r != nil {
		return r
	}
	if r := p.rules[Any]; r != nil {
		return r
	}
	return &rule{}
}

func (p *Proxy) serve(r *relay) {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.rule(r.target).refuse
		p.mu.Unlock()
		if refuse {
			client.Close()
			continue
		}
		server, err := net.DialTimeout("tcp", r.target, 5*time.Second)
		if err != nil {
			client.Close()
			continue
		}
		l := &link{client, server}
		p.mu.Lock()
		p.conns[l] = struct{}{}
		p.mu.Unlock()
		// set by a request whose reply is to be lost
		lose := make(chan struct{}, 1)
		go p.requests(l, r.target, lose)
		go p.replies(l, r.target, lose)
	}
}

// wait blocks while blocked says so of the target's rule; false: it is over.
func (p *Proxy) wait(target string, blocked func(*rule) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && blocked(p.rule(target)) {
		p.changed.Wait()
	}
	return !p.closed
}

func (p *Proxy) requests(l *link, target string, lose chan struct{}) {
	defer p.end(l)
	buf := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buf)
		if err != nil || !p.wait(target, func(r *rule) bool { return r.stall }) {
			return
		}
		p.mu.Lock()
		for word := range p.counts {
			p.counts[word] += bytes.Count(buf[:n], []byte(word))
		}
		r := p.rule(target)
		broken := false
		for _, word := range r.refuseAt {
			if !bytes.Contains(buf[:n], word) || r.once && r.hits > 0 {
				continue
			}
			r.hits++
			if r.deliver {
				lose <- struct{}{}
			} else {
				broken = true
			}
			break
		}
		if r.left > 0 {
			if r.left -= int64(n); r.left <= 0 {
				r.left, r.hits, broken = 1, r.hits+1, true
			}
		}
		p.mu.Unlock()
		if broken {
			return
		}
		if _, err := l.server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) replies(l *link, target string, lose chan struct{}) {
	defer p.end(l)
	buf := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buf)
		if err != nil {
			return
		}
		if !p.wait(target, func(r *rule) bool { return r.stall || r.stallReplies }) {
			return
		}
		select {
		case <-lose:
			return
		default:
		}
		if _, err := l.client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) end(l *link) {
	l.close()
	p.mu.Lock()
	delete(p.conns, l)
	p.mu.Unlock()
}
