package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// removeLimit bounds the removal of what a failed Publish wrote.
const removeLimit = 10 * time.Second

// LeftError is part of the error of a Publish that could not remove its
// temporary file either.
type LeftError struct {
	Temp  string
	Cause error
}

func (e *LeftError) Error() string { return fmt.Sprintf("remove %s: %v", e.Temp, e.Cause) }

func (e *LeftError) Unwrap() error { return e.Cause }

// Publish is the one way to make a file that readers find: whole under path,
// over a file that may be there, or not at all. It writes the file under the
// name temp, which must never have been used before (see Temp), closes it,
// compares its length with what was written, and renames it.
//
// After an error the file is published only if its rename happened and the
// reply was lost; temp is removed by then, so it can't happen any more. Errors
// of write are wrapped.
func Publish(ctx context.Context, fsys FS, temp, path string, write func(io.Writer) error) error {
	f, err := fsys.Create(ctx, temp)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create %s: %w", temp, err) // another's, which stays
	}
	if err != nil {
		err = fmt.Errorf("create %s: %w", temp, err)
	} else if err = fill(ctx, fsys, f, temp, write); err == nil {
		if err = fsys.Rename(ctx, temp, path); err == nil {
			return nil
		}
		err = fmt.Errorf("rename %s to %s: %w", temp, path, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	if cause := fsys.Remove(ctx, temp); cause != nil {
		err = errors.Join(err, &LeftError{temp, cause})
	}
	return err
}

// fill writes and closes f, and makes sure that the store has all of it.
func fill(ctx context.Context, fsys FS, f File, temp string, write func(io.Writer) error) error {
	w := &counter{w: f}
	err := write(w)
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close %s: %w", temp, closeErr)
	}
	if err != nil {
		return err
	}
	info, err := fsys.Stat(ctx, temp)
	if err != nil {
		return fmt.Errorf("check %s: %w", temp, err)
	}
	if info.Size != w.n {
		return fmt.Errorf("check %s: it has %d bytes, %d were written", temp, info.Size, w.n)
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// PublishBytes is Publish of a small file that is in memory.
func PublishBytes(ctx context.Context, fsys FS, temp, path string, data []byte) error {
	return Publish(ctx, fsys, temp, path, func(w io.Writer) error {
		if _, err := w.Write(data); err != nil {
			return fmt.Errorf("write %s: %w", temp, err)
		}
		return nil
	})
}
