package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/open"
	"github.com/spf13/cobra"
)

func (a *app) cat() *cobra.Command {
	var headers bool
	c := &cobra.Command{
		Use:   "cat URI...",
		Short: "Print the records of sink files, raw",
		Long: `Prints what sink files hold, byte for byte as it was collected, chunk after
chunk. A URI is file:///path, hdfs://host:port/path, a path of this machine, or
a path within the store such as raw/syslog/2026-11-22/NAME.avro. Of a folder, all
sink files in it are printed, in the order of their names.

A damaged file is printed up to the damage; the exit code is 1 then.`,
		Example: `  akupara cat ./data/store/archive/syslog
  akupara cat hdfs://127.0.0.1:8020/akupara/raw/hadoop/2026-11-22/NAME.avro
  akupara cat --headers raw/hadoop`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("a URI is missing")
			}
			return nil
		},
	}
	c.Flags().BoolVar(&headers, "headers", false, "print the chunks' headers instead, a line of JSON each")
	return a.command(c, func(ctx context.Context, args []string) error {
		out := bufio.NewWriterSize(a.stdout, 256<<10)
		p := printer{out: out, headers: headers}
		for _, arg := range args {
			st, name, err := a.locate(arg)
			if err != nil {
				return errors.Join(err, out.Flush())
			}
			if err := p.tree(ctx, st, name, arg); err != nil {
				return errors.Join(err, out.Flush())
			}
		}
		return out.Flush()
	})
}

// locate finds the store and the path in it that an argument of cat means.
func (a *app) locate(arg string) (store.FS, string, error) {
	if !strings.Contains(arg, "://") {
		abs, err := filepath.Abs(arg)
		if err != nil {
			return nil, "", err
		}
		if _, err := os.Stat(abs); err != nil {
			if filepath.IsAbs(arg) {
				return nil, "", err
			}
			return a.inStore(arg)
		}
		arg = "file://" + escape(abs)
	}
	dir, name := path.Split(strings.TrimRight(arg, "/"))
	if strings.HasSuffix(dir, "://") { // a whole store
		dir, name = arg, ""
	}
	st, err := open.Open(dir, open.Options{})
	if err != nil {
		return nil, "", err
	}
	if unescaped, err := unescape(name); err == nil {
		name = unescaped
	}
	return st, name, nil
}

func (a *app) inStore(arg string) (store.FS, string, error) {
	s, err := a.mustLoad()
	if err == nil {
		err = s.mustExist()
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s is no file here, and in the store: %w", arg, err)
	}
	st, err := s.openStore()
	return st, path.Clean(filepath.ToSlash(arg)), err
}

// printer prints sink files.
type printer struct {
	out     *bufio.Writer
	headers bool
	data    []byte // reused from block to block
	raw     []byte
}

// tree prints a sink file, or all those below a folder. shown is what the user
// called it.
func (p *printer) tree(ctx context.Context, st store.FS, name, shown string) error {
	info, err := st.Stat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist // the store's own words add nothing
	}
	if err != nil {
		return fmt.Errorf("cat %s: %w", shown, err)
	}
	if !info.IsDir {
		return p.file(ctx, st, name, shown)
	}
	children, err := st.List(ctx, name)
	if err != nil {
		return fmt.Errorf("cat %s: %w", shown, err)
	}
	for _, c := range children {
		if c.IsDir || store.IsSink(c.Path) {
			err := p.tree(ctx, st, c.Path, shown+"/"+path.Base(c.Path))
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // a live demux moves files away
				return err
			}
		}
	}
	return nil
}

func (p *printer) file(ctx context.Context, st store.FS, name, shown string) error {
	r, err := st.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("cat %s: %w", shown, err)
	}
	defer r.Close()
	sink, err := chunk.ReadSink(r, r.Size())
	if err != nil {
		return fmt.Errorf("cat %s: %w", shown, err)
	}
	for i := range sink.Index.Blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.block(sink, i, shown); err != nil {
			return fmt.Errorf("cat %s: damaged at block %d of %d, what comes before was printed: %w", shown, i+1, len(sink.Index.Blocks), err)
		}
	}
	if sink.Damage != nil {
		return fmt.Errorf("cat %s: all blocks were printed, but: %w", shown, sink.Damage)
	}
	return nil
}

func (p *printer) block(sink *chunk.Sink, i int, shown string) error {
	data, err := sink.ReadBlock(i, p.data)
	if err != nil {
		return err
	}
	p.data = data
	chunks, raw, err := sink.Index.Blocks[i].Decode(sink.Index.Type, data, p.raw)
	p.raw = raw
	if err != nil {
		return err
	}
	for j := range chunks {
		if !p.headers {
			_, err = p.out.Write(chunks[j].Body)
		} else {
			err = writeHeader(p.out, &chunks[j], sink.Index.Blocks[i].Agent, shown)
		}
		if err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	return nil
}

// header is a chunk as cat --headers prints it.
type header struct {
	File     string            `json:"file"`
	Type     string            `json:"type"`
	Kind     string            `json:"kind"`
	Host     string            `json:"host"`
	Source   string            `json:"source"`
	Stream   string            `json:"stream"`
	First    int64             `json:"first"`
	Last     int64             `json:"last"`
	Time     time.Time         `json:"time"`
	Tags     map[string]string `json:"tags,omitempty"`
	Encoding string            `json:"encoding,omitempty"`
	Borders  []int64           `json:"borders,omitempty"`
	Dropped  int64             `json:"dropped,omitempty"` // bytes of [first, last), by a filter
	Reason   string            `json:"reason,omitempty"`
	Agent    string            `json:"agent"`
}

func writeHeader(w io.Writer, c *chunk.Chunk, agent, file string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(header{
		File: file, Type: c.Type, Kind: c.Kind.String(), Host: c.Host, Source: c.Source, Stream: c.Stream,
		First: c.First, Last: c.Last, Time: c.Time, Tags: c.Tags, Encoding: c.Encoding, Borders: c.Borders,
		Dropped: c.Dropped(c.Range()), Reason: c.Reason, Agent: agent,
	})
}

func escape(p string) string { return (&url.URL{Path: p}).EscapedPath() }

func unescape(p string) (string, error) { return url.PathUnescape(p) }
