// Linguist's strategies over the tables of linguist.json (tables.py writes them), where go-enry's differ: newer names, extensions and
// heuristics, generic extensions, candidates that narrow, and the bound on what heuristics and classifier read.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/go-enry/go-enry/v2"
	"github.com/go-enry/go-enry/v2/data"
)

//go:embed linguist.json
var packed []byte

const considered = 50 * 1024 // bytes of a file that linguist's heuristics and classifier read

type need struct {
	Not     bool
	Pattern string
	matcher *regexp.Regexp
}

type rule struct {
	Languages []string
	Needs     []*need
}

var table struct {
	Aliases                             map[string]string
	Extensions, Filenames, Interpreters map[string][]string
	Generic                             []string
	Heuristics                          map[string][]*rule
	Vendor, Documentation, Generated    []string // patterns of paths

	vendor, documentation, generated paths
}

func init() {
	if err := json.Unmarshal(packed, &table); err != nil {
		panic(err)
	}
	table.vendor, table.documentation, table.generated = compiled(table.Vendor), compiled(table.Documentation), compiled(table.Generated)
	data.LanguageByAliasMap = table.Aliases
	data.LanguagesByExtension = table.Extensions
	data.LanguagesByFilename = table.Filenames
	data.LanguagesByInterpreter = table.Interpreters
	known := map[string]*regexp.Regexp{}
	for _, rules := range table.Heuristics {
		for _, r := range rules {
			for _, n := range r.Needs {
				if known[n.Pattern] == nil {
					known[n.Pattern] = regexp.MustCompile(n.Pattern)
				}
				n.matcher = known[n.Pattern]
			}
		}
	}
	enry.DefaultStrategies = []enry.Strategy{
		byModeline,
		enry.GetLanguagesByFilename,
		narrowed(enry.GetLanguagesByShebang),
		narrowed(byExtension),
		byXML,
		byManpage,
		byHeuristics,
		byClassifier,
	}
}

// narrowed keeps, of what a strategy finds, what earlier ones left possible.
func narrowed(strategy enry.Strategy) enry.Strategy {
	return func(name string, content []byte, candidates []string) []string {
		return both(strategy(name, content, candidates), candidates)
	}
}

func both(found, candidates []string) []string {
	if len(candidates) == 0 {
		return found
	}
	var kept []string
	for _, f := range found {
		for _, c := range candidates {
			if f == c {
				kept = append(kept, f)
			}
		}
	}
	return kept
}

func byExtension(name string, content []byte, candidates []string) []string {
	lower := strings.ToLower(filepath.Base(name))
	for _, generic := range table.Generic {
		if strings.HasSuffix(lower, generic) {
			return nil
		}
	}
	return enry.GetLanguagesByExtension(filepath.Base(name), content, candidates)
}

func byXML(_ string, content []byte, candidates []string) []string {
	if len(candidates) > 0 {
		return candidates
	}
	head := bytes.SplitN(content[:min(len(content), considered)], []byte("\n"), 3)
	for i := 0; i < len(head) && i < 2; i++ {
		if bytes.Contains(head[i], []byte("<?xml version=")) {
			return []string{"XML"}
		}
	}
	return nil
}

func byManpage(name string, content []byte, candidates []string) []string {
	if len(candidates) > 0 {
		return candidates
	}
	return enry.GetLanguagesByManpage(name, content, candidates)
}

// Of Emacs `-*- ruby -*-` and `-*- a: b; mode: ruby -*-`, of Vim ` vim: set a=b ft=ruby :`, in the first and last five lines: the first of
// Emacs's, else the first of Vim's.
var (
	emacsMode = regexp.MustCompile(`(?i)-\*-(?:[ \t]*([^:;\s]+?)[ \t]*|(?:.*?[ \t;])??[ \t]*mode[ \t]*:[ \t]*([^:;\s]+?)(?:[ \t;].*?)?)-\*-`)
	vimLine   = regexp.MustCompile(`(?m)(?:(?:^|[ \t])(?:vi(?:m[<=>]?[0-9]+|m)?|Vim(?:[<=>]?[0-9]+)?)|[ \t]ex)` +
		`(:(?:(?:[ \t]*:[ \t]*|[ \t])?\w*(?:[ \t]*=(?:[^\\\s]|\\.)*)?)*?[ \t:](?:filetype|ft|syntax)[ \t]*=(\w+)(?:$|\s|:).*)`)
	vimSet = regexp.MustCompile(`^:[ \t]*set?[ \t]`)
	vimEnd = regexp.MustCompile(`^:[ \t]*set?[ \t][^\r\n:]+:`)
)

const modelines = 5 // lines at each end of a file

func byModeline(_ string, content []byte, _ []string) []string {
	lines := ends(content)
	if bytes.Contains(lines, []byte("UseVimball")) {
		return nil
	}
	var alias []byte
	if found := emacsMode.FindSubmatch(lines); found != nil {
		alias = append(found[1], found[2]...)
	} else {
		for _, found := range vimLine.FindAllSubmatch(lines, -1) {
			if !vimSet.Match(found[1]) || vimEnd.Match(found[1]) {
				alias = found[2]
				break
			}
		}
	}
	if language, ok := enry.GetLanguageByAlias(string(alias)); ok {
		return []string{language}
	}
	return nil
}

// ends returns the first and the last lines; all where these meet.
func ends(content []byte) []byte {
	head, foot := 0, len(content)
	for n := 0; n < modelines; n++ {
		next := bytes.IndexByte(content[head:], '\n')
		if next < 0 {
			return content
		}
		head += next + 1
	}
	if bytes.HasSuffix(content, []byte("\n")) {
		foot--
	}
	for n := 0; n < modelines; n++ {
		before := bytes.LastIndexByte(content[head:max(head, foot)], '\n')
		if before < 0 {
			return content
		}
		foot = head + before
	}
	return append(append([]byte(nil), content[:head]...), content[foot:]...)
}

func byHeuristics(name string, content []byte, candidates []string) []string {
	content = content[:min(len(content), considered)]
	lower := strings.ToLower(filepath.Base(name))
	for dot := strings.IndexByte(lower, '.'); dot >= 0; {
		if rules, ok := table.Heuristics[lower[dot:]]; ok {
			for _, r := range rules {
				if r.holds(content) {
					return r.Languages
				}
			}
			return nil
		}
		next := strings.IndexByte(lower[dot+1:], '.')
		if next < 0 {
			return nil
		}
		dot += 1 + next
	}
	return nil
}

func (r *rule) holds(content []byte) bool {
	for _, n := range r.Needs {
		if n.matcher.Match(content) == n.Not {
			return false
		}
	}
	return true
}

func byClassifier(name string, content []byte, candidates []string) []string {
	return enry.GetLanguagesByClassifier(name, content[:min(len(content), considered)], candidates)
}
