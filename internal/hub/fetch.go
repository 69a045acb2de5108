package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Default is the hub that is used where none is named.
const Default = "https://huggingface.co"

// Client downloads from a hub.
type Client struct {
	Hub   string // address, such as Default
	Cache string // folder; each model has one of its own in it
	// Token is sent as a bearer token to the hub itself, for models behind a licence
	// that was accepted there; empty for none.
	Token string
	// Progress is called with what is done of a file and its size, -1 where that is
	// not known; nil for none.
	Progress func(file string, done, total int64)
}

// CacheFolder is where models are kept for the user.
func CacheFolder() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "sotto", "models"), err
}

// Folder is where a model is kept.
func (c *Client) Folder(m Model) string { return filepath.Join(c.Cache, m.Name) }

// Pull brings the files of a model that are not there yet and gives their folder.
func (c *Client) Pull(ctx context.Context, m Model) (string, error) {
	dir := c.Folder(m)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	for _, f := range m.Files {
		if err := c.file(ctx, m, f, filepath.Join(dir, f.As)); err != nil {
			return "", fmt.Errorf("%s: %s: %w", m.Name, f.Path, explain(err))
		}
	}
	if m.Config != "" {
		if err := os.WriteFile(filepath.Join(dir, m.Name+".json"), []byte(m.Config), 0o666); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// explain adds what to do about an error of the network.
func explain(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	if errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w: is there a network? files that are there already need none: give their folder with --model", err)
	}
	return err
}

// file brings one file. What has arrived is kept as NAME.part.
func (c *Client) file(ctx context.Context, m Model, f File, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	part, err := os.OpenFile(to+".part", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer part.Close()
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	resp, err := c.get(ctx, m, f, have)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK && have > 0 || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		// The hub does not resume, or the file changed: from the start.
		if err := part.Truncate(0); err != nil {
			return err
		}
		if _, err := part.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if have = 0; resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			if resp, err = c.get(ctx, m, f, 0); err != nil {
				return err
			}
			defer resp.Body.Close()
		}
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		return refused(resp)
	}
	total := int64(-1)
	if resp.ContentLength >= 0 {
		total = have + resp.ContentLength
	}
	report := func(done int64) {
		if c.Progress != nil {
			c.Progress(f.As, done, total)
		}
	}
	done, err := io.Copy(part, &counting{resp.Body, have, report})
	if err != nil {
		return fmt.Errorf("broke off after %d bytes: run it again to go on from there: %w", have+done, err)
	}
	if err := check(part, sum(resp)); err != nil {
		part.Close()
		return errors.Join(err, os.Remove(to+".part"))
	}
	if err := part.Close(); err != nil {
		return err
	}
	return os.Rename(to+".part", to)
}

// get asks for a file from a byte on.
func (c *Client) get(ctx context.Context, m Model, f File, from int64) (*http.Response, error) {
	address, err := url.JoinPath(c.Hub, m.Repo, "resolve", "main", f.Path)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	// The hub states the sum of a large file before it redirects to where that is.
	var linked string
	client := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: time.Minute, TLSHandshakeTimeout: time.Minute},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if tag := next.Response.Header.Get(linkedSum); tag != "" {
				linked = tag
			}
			if len(via) > 5 {
				return errors.New("more than 5 redirections")
			}
			return nil
		},
	}
	resp, err := client.Do(req)
	if err == nil && linked != "" {
		resp.Header.Set(linkedSum, linked)
	}
	return resp, err
}

// linkedSum is the header with the SHA-256 of a large file.
const linkedSum = "X-Linked-Etag"

// refused says why the hub gives no file.
func refused(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the hub answers %s: accept the licence on the model's page and give a token with --token", resp.Status)
	case http.StatusNotFound:
		return fmt.Errorf("the hub answers %s: it has no such file", resp.Status)
	}
	return fmt.Errorf("the hub answers %s: try again later", resp.Status)
}

// sum is what the hub says of the content: a SHA-256, or the name that git has for
// a small file; empty for neither.
func sum(resp *http.Response) string {
	for _, header := range []string{linkedSum, "Etag"} {
		tag := strings.Trim(strings.TrimPrefix(resp.Header.Get(header), "W/"), `"`)
		if raw, err := hex.DecodeString(tag); err == nil && (len(raw) == sha256.Size || len(raw) == sha1.Size) {
			return tag
		}
	}
	return ""
}

// check holds a file to a sum.
func check(f *os.File, want string) error {
	if want == "" {
		return nil
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var h hash.Hash
	if len(want) == 2*sha256.Size {
		h = sha256.New()
	} else {
		h = sha1.New()
		io.WriteString(h, "blob "+strconv.FormatInt(size, 10)+"\x00")
	}
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%d bytes with sum %s, the hub states %s: what came is not what was asked for: removed, try again", size, got, want)
	}
	return nil
}

// counting reports how much was read.
type counting struct {
	io.Reader
	done   int64
	report func(done int64)
}

func (r *counting) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.done += int64(n)
	r.report(r.done)
	return n, err
}

// Lookup gives the folder of a model that was pulled, and fs.ErrNotExist for one
// that was not.
func (c *Client) Lookup(name string) (string, error) {
	m, err := Find(name)
	if err != nil {
		return "", err
	}
	for _, f := range m.Files {
		if _, err := os.Stat(filepath.Join(c.Folder(m), f.As)); err != nil {
			return "", fmt.Errorf("%s: %w: bring it with 'sotto models pull %s'", name, fs.ErrNotExist, name)
		}
	}
	return c.Folder(m), nil
}
