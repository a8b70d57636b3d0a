package flinkconf

import (
	"strings"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/secret"
)

// ApplyDynamicArgs returns a copy of c with the dynamic properties (-D k=v, -Dk=v) that Flink's BashJavaUtils would find among
// the arguments of a role's script. Everything else is skipped. Their layer is [DynamicProperty], their place "-D".
//
// What Flink makes of odd arguments (a -D without value, values without "=", quotes, a bare "D") is copied from FlinkConfigLoader
// and from the commons-cli parser that it calls; arguments that Flink rejects give its FlinkParseException ([*javatext.Exception]).
func ApplyDynamicArgs(c *Conf, args []string, v flinkversion.Version) (*Conf, error) {
	// The scripts put --configDir in front, so the option that Flink requires is always there.
	p := argParser{rules: rulesOf(v)}
	for _, token := range append([]string{"--configDir", "."}, filterArgs(args)...) {
		if err := p.token(token); err != nil {
			return nil, err
		}
	}
	if err := p.checkComplete(); err != nil {
		return nil, err
	}
	out := c.Clone()
	for _, o := range p.found {
		if o.name != "D" || len(o.values) == 0 {
			continue
		}
		value := "true"
		if len(o.values) > 1 {
			value = o.values[1]
		}
		out.Set(Entry{Key: o.values[0], Value: secret.Public(value), Source: Source{DynamicProperty, "-D"}})
	}
	return out, nil
}

// filterArgs is FlinkConfigLoader.filterCmdArgs: known options with the argument after them, and joined -Dk=v.
// Like Flink's it takes "c", "configDir" and "D" for options without any hyphen, too.
func filterArgs(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		switch name := stripHyphens(args[i]); {
		case name == "c" || name == "configDir" || name == "D":
			out = append(out, args[i])
			if i+1 < len(args) {
				i++
				out = append(out, args[i])
			}
		case strings.HasPrefix(args[i], "-D"):
			out = append(out, args[i])
		}
	}
	return out
}

func stripHyphens(s string) string {
	if t, ok := strings.CutPrefix(s, "--"); ok {
		return t
	}
	return strings.TrimPrefix(s, "-")
}

// argOption is one occurrence of an option on the command line.
type argOption struct {
	name   string // c or D
	values []string
}

// takes returns the number of values the option wants.
func (o *argOption) takes() int {
	if o.name == "D" {
		return 2
	}
	return 1
}

// add is Option.addValueForProcessing: a value of -D is split at its first "=".
func (o *argOption) add(value string) {
	if o.name == "D" && len(o.values) == 0 {
		if k, rest, ok := strings.Cut(value, "="); ok {
			o.values = append(o.values, k)
			value = rest
		}
	}
	o.values = append(o.values, value)
}

// argParser is org.apache.commons.cli.DefaultParser (stopAtNonOption) for the options -c/--configDir and -D.
type argParser struct {
	rules rules
	found []*argOption
	open  *argOption // still takes values
	skip  bool       // after "--" or the first token that is not an option
}

func (p *argParser) checkComplete() error {
	if p.open != nil && len(p.open.values) < p.open.takes() {
		return &javatext.Exception{Class: FlinkParse, Message: "Failed to parse the command line arguments.",
			Cause: &javatext.Exception{Class: MissingArgument, Message: "Missing argument for option: " + p.open.name}}
	}
	return nil
}

func (p *argParser) option(name string) error {
	if err := p.checkComplete(); err != nil {
		return err
	}
	p.open = &argOption{name: name}
	p.found = append(p.found, p.open)
	return nil
}

// optionWith adds an option that has all its values in the same token.
func (p *argParser) optionWith(name string, values ...string) error {
	if err := p.option(name); err != nil {
		return err
	}
	for _, v := range values {
		p.open.add(v)
	}
	p.open = nil
	return nil
}

func isShortName(s string) bool {
	s = stripHyphens(s)
	return s == "c" || s == "D"
}

// matchesLong reports whether s abbreviates --configDir; commons-cli accepts any prefix, the empty one included.
func matchesLong(s string) bool { return strings.HasPrefix("configDir", stripHyphens(s)) }

// hasLongPrefix reports whether s goes on after a long option, as in -configDir/path.
func hasLongPrefix(s string) bool {
	s = stripHyphens(s)
	return len(s) > len("configDir")+1 && strings.HasPrefix(s, "configDir")
}

func (p *argParser) isOption(token string) bool {
	if len(token) < 2 || token[0] != '-' {
		return false
	}
	name, _, _ := strings.Cut(token, "=")
	if matchesLong(name) || (hasLongPrefix(token) && !strings.HasPrefix(token, "--")) {
		return true
	}
	if !p.rules.stripsBeforeEquals {
		return isShortName(token[1:2])
	}
	return isShortName(name[1:]) || (len(name) > 1 && isShortName(name[1:2]))
}

func (p *argParser) token(token string) error {
	err := p.dispatch(token)
	if p.open != nil && len(p.open.values) >= p.open.takes() {
		p.open = nil
	}
	return err
}

func (p *argParser) dispatch(token string) error {
	switch {
	case p.skip:
	case token == "--":
		p.skip = true
	case p.open != nil && !p.isOption(token):
		if len(token) > 1 && token[0] == '"' && token[len(token)-1] == '"' && !strings.Contains(token[1:len(token)-1], `"`) {
			token = token[1 : len(token)-1]
		}
		p.open.add(token)
	case strings.HasPrefix(token, "--"):
		return p.long(token)
	case len(token) > 1 && token[0] == '-':
		return p.short(token[1:], token)
	default:
		p.skip = true
	}
	return nil
}

func (p *argParser) long(token string) error {
	name, value, joined := strings.Cut(token, "=")
	switch {
	case !matchesLong(name):
		p.skip = true
		return nil
	case joined:
		return p.optionWith("c", value)
	default:
		return p.option("c")
	}
}

// short handles a token with one hyphen; t is the token without it.
func (p *argParser) short(t, token string) error {
	name, value, joined := strings.Cut(t, "=")
	switch {
	case len(t) == 1 || (!joined && isShortName(t)):
		if !isShortName(t) {
			p.skip = true
			return nil
		}
		return p.option(stripHyphens(t))
	case !joined && matchesLong(t):
		return p.long(token)
	case !joined && hasLongPrefix(t):
		return p.optionWith("c", t[len("configDir"):])
	case !joined && t[0] == 'D':
		return p.optionWith("D", t[1:])
	case !joined: // options in one token, as in -cFILE
		if t[0] != 'c' {
			p.skip = true
			return nil
		}
		if err := p.option("c"); err != nil {
			return err
		}
		p.open.add(t[1:])
		return nil
	case len(name) == 1 && isShortName(name):
		return p.optionWith(name, value)
	case len(name) == 1:
		p.skip = true
		return nil
	case name == "": // commons-cli takes the first letter of nothing
		return &javatext.Exception{Class: javatext.IndexOutOfBounds, Message: "begin 0, end 1, length 0"}
	case name[0] == 'D':
		return p.optionWith("D", name[1:], value)
	default:
		return p.long(token)
	}
}
