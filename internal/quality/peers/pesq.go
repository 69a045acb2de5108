package peers

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed pesq.py
var pesqScript string

// pesq is an interpreter of Python with the package pesq. It is not safe for
// concurrent use.
type pesq struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	errors strings.Builder
}

func startPESQ(ctx context.Context, python string) (*pesq, error) {
	p := &pesq{cmd: exec.CommandContext(ctx, python, "-c", pesqScript)}
	p.cmd.Stderr = &p.errors
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("PESQ: %w", err)
	}
	return p, nil
}

// score gives the wide-band PESQ of sound at Rate, through files in dir.
func (p *pesq) score(dir string, reference, decoded []float32) (float64, error) {
	a, b := filepath.Join(dir, "reference.wav"), filepath.Join(dir, "decoded.wav")
	for path, pcm := range map[string][]float32{a: reference, b: decoded} {
		if err := writeWAV(path, pcm, Rate); err != nil {
			return 0, err
		}
	}
	if _, err := fmt.Fprintf(p.in, "%s\t%s\n", a, b); err != nil || !p.out.Scan() {
		p.cmd.Wait()
		return 0, fmt.Errorf("PESQ: %s ended: does it have the packages numpy and pesq? %s", p.cmd.Path, lastLine(p.errors.String()))
	}
	if p.out.Text() == "none" {
		return 1, nil // the least score: nothing to hear
	}
	return strconv.ParseFloat(p.out.Text(), 64)
}

func (p *pesq) close() {
	p.in.Close()
	p.cmd.Wait()
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
