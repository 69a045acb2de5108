package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	content = bytes.Repeat([]byte("weights "), 40000)
	config  = []byte(`{"model_type":"test"}`)
)

// server is a hub with one model; large files lie at another address, as at the
// real one. cut is the number of bytes after which it hangs up, once.
type server struct {
	*httptest.Server
	ranges []string
	cut    int
	wrong  bool
}

func newServer(t *testing.T) *server {
	s := &server{}
	mux := http.NewServeMux()
	mux.HandleFunc("/owner/model/resolve/main/model.safetensors", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256(content)
		if s.wrong {
			sum[0]++
		}
		w.Header().Set("X-Linked-Etag", fmt.Sprintf("%q", hex.EncodeToString(sum[:])))
		http.Redirect(w, r, "/store", http.StatusFound)
	})
	mux.HandleFunc("/store", func(w http.ResponseWriter, r *http.Request) {
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		if s.cut > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			w.Write(content[:s.cut])
			s.cut = 0
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	mux.HandleFunc("/owner/model/resolve/main/config.json", func(w http.ResponseWriter, r *http.Request) {
		sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(config), config))
		w.Header().Set("Etag", fmt.Sprintf("%q", hex.EncodeToString(sum[:])))
		w.Write(config)
	})
	mux.HandleFunc("/owner/gated/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		w.Write(config)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func pull(t *testing.T, c *Client, name string) (string, error) {
	t.Helper()
	m, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return c.Pull(context.Background(), m)
}

func TestPull(t *testing.T) {
	s := newServer(t)
	c := &Client{Hub: s.URL, Cache: t.TempDir()}
	if _, err := c.Lookup("owner/model"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "models pull") {
		t.Errorf("before: %v", err)
	}
	dir, err := pull(t, c, "owner/model")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"model.safetensors": content, "config.json": config} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if found, err := c.Lookup("owner/model"); err != nil || found != dir {
		t.Errorf("after: %q, %v", found, err)
	}
	if _, err := pull(t, c, "owner/model"); err != nil || len(s.ranges) != 1 {
		t.Errorf("what is there was brought again: %v, %v", s.ranges, err)
	}
}

// A download that breaks off goes on from where it was.
func TestResume(t *testing.T) {
	s := newServer(t)
	c := &Client{Hub: s.URL, Cache: t.TempDir()}
	s.cut = 100000
	if _, err := pull(t, c, "owner/model"); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Fatalf("cut: %v", err)
	}
	dir, err := pull(t, c, "owner/model")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "model.safetensors")); !bytes.Equal(got, content) {
		t.Errorf("%d bytes, or other ones", len(got))
	}
	if len(s.ranges) != 2 || s.ranges[1] != "bytes=100000-" {
		t.Errorf("asked for %q", s.ranges)
	}
}

// What does not have the sum that the hub states is not kept.
func TestSum(t *testing.T) {
	s := newServer(t)
	s.wrong = true
	c := &Client{Hub: s.URL, Cache: t.TempDir()}
	if _, err := pull(t, c, "owner/model"); err == nil || !strings.Contains(err.Error(), "sum") {
		t.Fatalf("wrong sum: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(c.Cache, "*", "*"))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRefused(t *testing.T) {
	s := newServer(t)
	c := &Client{Hub: s.URL, Cache: t.TempDir()}
	if _, err := pull(t, c, "owner/gated"); err == nil || !strings.Contains(err.Error(), "--token") {
		t.Errorf("without a token: %v", err)
	}
	c.Token = "secret"
	if _, err := pull(t, c, "owner/gated"); err != nil {
		t.Errorf("with a token: %v", err)
	}
	if _, err := pull(t, c, "owner/missing"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing: %v", err)
	}
	s.Close()
	if _, err := pull(t, c, "owner/other"); err == nil || !strings.Contains(err.Error(), "network") {
		t.Errorf("no network: %v", err)
	}
}

func TestFind(t *testing.T) {
	for _, name := range []string{"", "nothing", "../x", "a/b/c", "a/..", "owner/-x"} {
		if m, err := Find(name); err == nil {
			t.Errorf("%q gives %v", name, m)
		}
	}
	for _, m := range Catalog() {
		if found, err := Find(m.Name); err != nil || found.Repo != m.Repo || m.Licence == "" || len(m.Files) == 0 {
			t.Errorf("%s: %v, %v", m.Name, found, err)
		}
	}
}

// Where the repository has no configuration, ours stands beside the weights.
func TestConfig(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(content) }))
	defer h.Close()
	for _, m := range Catalog() {
		if m.Config == "" {
			continue
		}
		c := &Client{Hub: h.URL, Cache: t.TempDir()}
		dir, err := c.Pull(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		var recipe struct {
			Rate int   `json:"sampling_rate"`
			Hop  []int `json:"upsample_rates"`
		}
		text, err := os.ReadFile(filepath.Join(dir, m.Name+".json"))
		if err == nil {
			err = json.Unmarshal(text, &recipe)
		}
		hop := 1
		for _, r := range recipe.Hop {
			hop *= r
		}
		if want := fmt.Sprintf("hificodec-%dk-%dd", recipe.Rate/1000, hop); err != nil || m.Name != want {
			t.Errorf("%s has the recipe of %s (%v)", m.Name, want, err)
		}
	}
}
