package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/sotto-audio/sotto/asr"
	asrsotto "github.com/sotto-audio/sotto/asr/sotto"
	"github.com/sotto-audio/sotto/stream/serve"
)

type serveCmd struct {
	Addr string `default:"127.0.0.1:8640" placeholder:"HOST:PORT" help:"Where to listen: \":8640\" is every network that this machine is in. ${default} by default."`
	modelFlag
	deviceFlag
	ASR       string        `name:"asr" placeholder:"FILE" help:"Recogniser (weights file or folder), instead of the one inside this program; \"none\" serves none."`
	Beam      int           `placeholder:"N" help:"Hypotheses of a live stream. 48 by default with the recogniser inside this program: half of what files get, for more streams at once."`
	TLSCert   string        `name:"tls-cert" placeholder:"FILE" help:"Certificate chain (PEM). Browsers give a page from elsewhere the microphone over HTTPS only."`
	TLSKey    string        `name:"tls-key" placeholder:"FILE" help:"Its private key (PEM)."`
	TokenFile string        `placeholder:"FILE" help:"File with a bearer token that clients must send; the environment's SOTTO_TOKEN otherwise."`
	Host      []string      `placeholder:"NAME" help:"Name under which clients reach this server, besides localhost and addresses; repeatable."`
	Origin    []string      `placeholder:"URL" help:"Origin whose pages may call this server, besides its own, such as https://example.org; repeatable."`
	MaxConns  int           `name:"max-connections" default:"64" placeholder:"N" help:"Requests and streams at once. ${default} by default."`
	MaxBytes  int64         `default:"268435456" placeholder:"N" help:"Bytes of an upload. ${default} by default."`
	MaxTime   time.Duration `default:"4h" placeholder:"TIME" help:"Sound in a request or stream, and the life of a stream. ${default} by default."`
	Idle      time.Duration `default:"30s" placeholder:"TIME" help:"Time without a byte after which a client is let go. ${default} by default."`
	Grace     time.Duration `default:"20s" placeholder:"TIME" help:"Time for what runs when the server ends. ${default} by default."`
	LogJSON   bool          `name:"log-json" help:"Log JSON objects."`
}

// Help is shown by --help.
func (serveCmd) Help() string {
	return `Serves a page (record or drop a file, hear it at every bitrate, read it live), a
web-socket protocol, OpenAI's /v1/audio/transcriptions, /healthz, /readyz and
/metrics; docs/serve.md describes them. Ctrl-C finishes what runs.

Examples:
  sotto serve
  sotto serve --addr :8640 --tls-cert cert.pem --tls-key key.pem --host speech.example.org
  SOTTO_TOKEN=secret sotto serve --addr :8640
  curl -F file=@talk.wav -F model=sotto http://127.0.0.1:8640/v1/audio/transcriptions`
}

// Validate refuses arguments that do not go together.
func (c *serveCmd) Validate() error {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case c.Beam < 0:
		return errors.New("--beam must be 1 or more")
	case c.MaxConns < 1 || c.MaxBytes < 1:
		return errors.New("--max-connections and --max-bytes must be above 0")
	case c.MaxTime < time.Second || c.Idle < time.Second || c.Grace < 0:
		return errors.New("--max-time and --idle must be at least 1s, --grace must not be negative")
	}
	return nil
}

// Run is called by kong.
func (c *serveCmd) Run(s *session) error {
	s.endless()
	var logs slog.Handler = slog.NewTextHandler(s.stderr, nil)
	if c.LogJSON {
		logs = slog.NewJSONHandler(s.stderr, nil)
	}
	token := os.Getenv("SOTTO_TOKEN")
	if c.TokenFile != "" {
		data, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return err
		}
		if token = strings.TrimSpace(string(data)); token == "" {
			return fmt.Errorf("%s: holds no token", c.TokenFile)
		}
	}
	var security *tls.Config
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return err
		}
		security = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	// Streams share the processors out among themselves.
	model, err := c.loadThreads(1)
	if err == nil {
		model, err = c.codec(s, model)
	}
	if err != nil {
		return err
	}
	var recognizer asr.Recognizer
	switch c.ASR {
	case "none":
	case "":
		recognizer, err = asrsotto.Default(asrsotto.WithThreads(1))
		if c.Beam == 0 {
			c.Beam = asrsotto.LiveBeam
		}
	default:
		recognizer, err = (&recognizerFlags{Model: c.ASR}).load()
	}
	if err == nil && recognizer != nil {
		recognizer, err = c.recognizer(s, recognizer)
	}
	if err != nil {
		return err
	}
	for i, h := range c.Host {
		c.Host[i] = strings.ToLower(h)
	}
	server, err := serve.New(serve.Options{
		Codec: model, Recognizer: recognizer, Beam: c.Beam, Token: token, Origins: c.Origin, Hosts: c.Host, Version: version(), Log: slog.New(logs),
		Limits: serve.Limits{Connections: c.MaxConns, Bytes: c.MaxBytes, Seconds: int(c.MaxTime.Seconds()), Idle: c.Idle, Grace: c.Grace},
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	scheme := "http"
	if security != nil {
		scheme = "https"
	}
	fmt.Fprintf(s.stdout, "%s://%s\n", scheme, l.Addr())
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() && token == "" {
		fmt.Fprintln(s.stderr, "sotto: everyone who reaches this address may use the server: SOTTO_TOKEN or --token-file asks for a token")
	}
	return server.Serve(s.ctx, l, security)
}
