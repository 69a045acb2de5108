package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sotto-audio/sotto/codec/vocos"
	"github.com/sotto-audio/sotto/internal/hub"
	"github.com/sotto-audio/sotto/internal/published"
)

type modelsPullCmd struct {
	Name  string `arg:"" help:"Name of a model (see the list below), or OWNER/REPOSITORY at the hub."`
	Hub   string `default:"${hub}" env:"SOTTO_HUB" placeholder:"URL" help:"Address of the hub."`
	Token string `env:"SOTTO_HUB_TOKEN" placeholder:"TOKEN" help:"Token of the hub, for models that ask for one."`
}

// Help is shown by --help.
func (modelsPullCmd) Help() string {
	var names []string
	for _, m := range hub.Catalog() {
		names = append(names, fmt.Sprintf("  %-30s %s", m.Name, m.Licence))
	}
	return `Brings the weights into a cache folder, from where --model takes them by name. A download that breaks off goes on where it was; the sum that the hub states is checked. Nothing else in this program uses the network unasked.

Examples:
  sotto models pull mimi
  sotto encode --model mimi talk.wav talk.sotto
  sotto models pull kyutai/mimi --hub https://mirror.example

Models, and the licences of their weights:
` + strings.Join(names, "\n")
}

// Run is called by kong.
func (c *modelsPullCmd) Run(s *session) error {
	m, err := hub.Find(c.Name)
	if err != nil {
		return &usageError{err}
	}
	cache, err := hub.CacheFolder()
	if err != nil {
		return fmt.Errorf("no cache folder: %w", err)
	}
	fmt.Fprintf(s.stderr, "sotto: %s: the weights of %s are under %s\n", m.Name, m.Repo, m.Licence)
	if m.NonCommercial {
		fmt.Fprintf(s.stderr, "sotto: %s: that licence excludes commercial use\n", m.Name)
	}
	bars := newProgress(s.stderr)
	ends := map[string]func(){}
	reports := map[string]func(int64){}
	client := &hub.Client{Hub: c.Hub, Cache: cache, Token: c.Token, Progress: func(file string, done, total int64) {
		if reports[file] == nil {
			reports[file], ends[file] = bars.task(file, total)
		}
		reports[file](done)
	}}
	dir, err := client.Pull(s.ctx, m)
	for _, end := range ends {
		end()
	}
	bars.wait()
	if err != nil {
		return err
	}
	model, err := published.Load(dir)
	if err != nil {
		return fmt.Errorf("%s: what was brought cannot be used: %w", dir, err)
	}
	i := model.Info()
	flag := "--model"
	if i.Family == vocos.Family && len(i.Bitrates) > 0 {
		flag = "--vocoder"
	}
	fmt.Fprintf(s.stdout, "%s: %s, %.2f M parameters, %sfingerprint %s: use it with %s %s\n", dir, i.Name, float64(i.Parameters)/1e6, bitrates(i), i.Fingerprint, flag, c.Name)
	return nil
}

// pulled gives the folder of a model that was named instead of a file.
func pulled(name string) (string, error) {
	if _, err := os.Stat(name); err == nil || filepath.Ext(name) != "" {
		return name, nil
	}
	if _, err := hub.Find(name); err != nil {
		return name, nil
	}
	cache, err := hub.CacheFolder()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w", err)
	}
	return (&hub.Client{Cache: cache}).Lookup(name)
}
