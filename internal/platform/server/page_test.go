package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"flink-entrypoint/internal/yaml"
)

// A page is docs/platform-api.yaml, as JSON.
type page struct {
	t        *testing.T
	doc      map[string]any
	compiler *jsonschema.Compiler
	asked    map[string]bool // operations that were called
	one      sync.Mutex      // a compiler is for one goroutine
}

func readPage(t *testing.T) *page {
	t.Helper()
	b, err := os.ReadFile("../../../docs/platform-api.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := yaml.Read(b, yaml.Options{Strict: true, Bytes: 1 << 20, Depth: 100})
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, doc: plain(d.Root).(map[string]any), compiler: jsonschema.NewCompiler(), asked: map[string]bool{}}
	if err := p.compiler.AddResource("page.json", p.doc); err != nil {
		t.Fatal(err)
	}
	p.compiler.AssertFormat()
	return p
}

// plain is a node as encoding/json would have it.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, p := range n.Pairs {
			m[p.Key.Text] = plain(p.Value)
		}
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, i := range n.Items {
			l = append(l, plain(i))
		}
		return l
	}
	if n.Plain && n.Tag != yaml.TagStr {
		var v any
		if json.Unmarshal([]byte(n.Text), &v) == nil {
			return v
		}
	}
	return n.Text
}

// get walks the page by JSON pointer, through references.
func (p *page) get(pointer string) (any, string) {
	var at any = p.doc
	where := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil, ""
		}
		at = m[strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")]
		where += "/" + part
		if m, ok := at.(map[string]any); ok {
			if ref, ok := m["$ref"].(string); ok {
				at, where = p.get(strings.TrimPrefix(ref, "#"))
			}
		}
	}
	return at, where
}

func escaped(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1")
}

var (
	parameter = regexp.MustCompile(`\\\{[a-z]+\\\}`)
	forms     sync.Map // of paths, by template
)

// operation finds the path template of a request.
func (p *page) operation(path string) string {
	best := ""
	for template := range p.doc["paths"].(map[string]any) {
		form, ok := forms.Load(template)
		if !ok {
			pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(template), `\{file\}`, ".+") + "$"
			form, _ = forms.LoadOrStore(template, regexp.MustCompile(parameter.ReplaceAllString(pattern, "[^/]+")))
		}
		if form.(*regexp.Regexp).MatchString(path) && (best == "" || strings.Count(template, "{") < strings.Count(best, "{")) {
			best = template
		}
	}
	return best
}

// parameters are the names of an operation's parameters in its query.
func (p *page) parameters(template, method string) []string {
	var names []string
	list, _ := p.get("/paths/" + escaped(template) + "/" + method + "/parameters")
	all, _ := list.([]any)
	for _, x := range all {
		m := x.(map[string]any)
		if ref, ok := m["$ref"].(string); ok {
			target, _ := p.get(strings.TrimPrefix(ref, "#"))
			m = target.(map[string]any)
		}
		if m["in"] == "query" {
			names = append(names, m["name"].(string))
		}
	}
	return names
}

// check holds a request and its answer against the page.
func (p *page) check(method, path string, resp *http.Response, body []byte) {
	p.t.Helper()
	p.one.Lock()
	defer p.one.Unlock()
	path, query, _ := strings.Cut(path, "?")
	template := p.operation(path)
	if values, err := url.ParseQuery(query); err != nil {
		p.t.Error(path, err)
	} else {
		for name := range values {
			if known := p.parameters(template, strings.ToLower(method)); template != "" && !slices.Contains(known, name) {
				p.t.Errorf("%s %s: the page has no parameter %s, only %q", method, template, name, known)
			}
		}
	}
	if template == "" {
		if resp.StatusCode != http.StatusNotFound {
			p.t.Errorf("%s %s: the page has no such path", method, path)
		}
		return
	}
	operation := "/paths/" + escaped(template) + "/" + strings.ToLower(method)
	o, _ := p.get(operation)
	if o == nil {
		if resp.StatusCode != http.StatusMethodNotAllowed && resp.StatusCode != http.StatusUnauthorized {
			p.t.Errorf("the page has no %s %s, but it is answered with %d", method, template, resp.StatusCode)
		}
		return
	}
	p.asked[strings.ToUpper(method)+" "+template] = true
	response, where := p.get(fmt.Sprintf("%s/responses/%d", operation, resp.StatusCode))
	if response == nil {
		p.t.Errorf("%s %s: the page has no status %d (%s)", method, template, resp.StatusCode, body)
		return
	}
	content, _ := response.(map[string]any)["content"].(map[string]any)
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if len(content) == 0 {
		if len(body) > 0 {
			p.t.Errorf("%s %s %d: a body where the page has none: %s", method, template, resp.StatusCode, body)
		}
		return
	}
	if _, ok := content[kind]; !ok {
		p.t.Errorf("%s %s %d: the content type is %q, the page has %v", method, template, resp.StatusCode, kind, content)
		return
	}
	if !strings.HasSuffix(kind, "json") || strings.HasSuffix(template, "/versions/{n}") && resp.StatusCode == http.StatusOK {
		return
	}
	schema, err := p.compiler.Compile("page.json#" + where + "/content/" + escaped(kind) + "/schema")
	if err != nil {
		p.t.Fatalf("%s: %v", where, err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		p.t.Errorf("%s %s %d: %v\n%s", method, template, resp.StatusCode, err, body)
	}
}

// missing lists the operations of the page that were never called.
func (p *page) missing() []string {
	var out []string
	for path, methods := range p.doc["paths"].(map[string]any) {
		for m := range methods.(map[string]any) {
			if name := strings.ToUpper(m) + " " + path; m != "parameters" && !p.asked[name] {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out
}
