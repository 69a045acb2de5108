package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: ${enum}."`
}

// Help is shown by --help.
func (completionCmd) Help() string {
	return `Examples:
  source <(sotto completion bash)
  source <(sotto completion zsh)
  sotto completion fish > ~/.config/fish/completions/sotto.fish`
}

// Run is called by kong.
func (c *completionCmd) Run(s *session, parser *kong.Kong) error {
	if c.Shell == "fish" {
		return fishCompletion(s.stdout, parser)
	}
	return bashCompletion(s.stdout, parser, c.Shell == "zsh")
}

// flagsOf lists the long flags of a command.
func flagsOf(n *kong.Node) (flags []string) {
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			flags = append(flags, f.Name)
		}
	}
	return flags
}

// children lists the visible subcommands.
func children(n *kong.Node) (names []string) {
	for _, c := range n.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

// bashCompletion writes a script for bash, which zsh runs through its own
// emulation.
func bashCompletion(w io.Writer, parser *kong.Kong, zsh bool) error {
	if zsh {
		fmt.Fprintln(w, "autoload -U +X compinit bashcompinit && compinit -i && bashcompinit")
	}
	fmt.Fprintln(w, "_sotto() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words\n\tcase ${COMP_WORDS[1]} in")
	for _, c := range parser.Model.Children {
		words := children(c)
		for _, f := range flagsOf(c) {
			words = append(words, "--"+f)
		}
		for _, sub := range c.Children {
			for _, f := range flagsOf(sub) {
				words = append(words, "--"+f)
			}
		}
		if c.Name == "completion" {
			words = append(words, "bash", "zsh", "fish")
		}
		fmt.Fprintf(w, "\t%s) words=%q ;;\n", c.Name, strings.Join(words, " "))
	}
	top := append(children(parser.Model.Node), "--help", "--version")
	fmt.Fprintf(w, "\t*) words=%q ;;\n\tesac\n", strings.Join(top, " "))
	_, err := fmt.Fprint(w, `	[ "$COMP_CWORD" -eq 1 ] && words="`+strings.Join(top, " ")+`"
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[ "$COMP_CWORD" -gt 1 ] && COMPREPLY+=($(compgen -f -- "$cur"))
	return 0
}
complete -o filenames -F _sotto sotto
`)
	return err
}

// fishCompletion writes a script for fish.
func fishCompletion(w io.Writer, parser *kong.Kong) error {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'" }
	for _, c := range parser.Model.Children {
		fmt.Fprintf(w, "complete -c sotto -n __fish_use_subcommand -f -a %s -d %s\n", c.Name, quote(c.Help))
		seen := fmt.Sprintf("'__fish_seen_subcommand_from %s'", c.Name)
		for _, sub := range c.Children {
			fmt.Fprintf(w, "complete -c sotto -n %s -f -a %s -d %s\n", seen, sub.Name, quote(sub.Help))
		}
		for _, node := range append([]*kong.Node{c}, c.Children...) {
			for _, group := range node.AllFlags(true) {
				for _, f := range group {
					if f.Name != "help" {
						fmt.Fprintf(w, "complete -c sotto -n %s -l %s -d %s\n", seen, f.Name, quote(f.Help))
					}
				}
			}
		}
	}
	_, err := fmt.Fprintln(w, "complete -c sotto -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'")
	return err
}
